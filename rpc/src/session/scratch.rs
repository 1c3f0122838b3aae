//! A buffer that every thread keeps for writing what is then copied to where it belongs.

use std::cell::Cell;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Grown buffers are worth keeping: without that, messages of 1 MiB run at 0.6 of the rate.
const KEPT: usize = 4 << 20;

/// An empty buffer, taken from the thread and given back when dropped.
///
/// What serializes a value of the user's must not hold the link's lock (it is the user's code): it writes in here.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) fn take() -> Self {
        Self(BUFFER.take())
    }
}

impl std::ops::Deref for Scratch {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() <= KEPT {
            buffer.clear();
            // Where the thread is ending there is nothing left to keep it for.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}
