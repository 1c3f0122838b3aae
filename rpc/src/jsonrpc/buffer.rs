//! Buffers that are used again: what is written or kept for a moment needs no allocation of its own.
//!
//! Every thread keeps the buffers that were dropped on it, up to a bound. Without that, messages of 1 MiB run at 0.6 of the rate:
//! the allocator gives such memory back to the system each time.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

/// Up to here a buffer is one of the small ones, which are kept by number.
const SMALL: usize = 4 << 10;
const KEPT_SMALL: usize = 64;
/// How many bytes of larger ones a thread keeps.
const KEPT_LARGE: usize = 8 << 20;

#[derive(Default)]
struct Kept {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    large_bytes: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

fn take(bytes: usize) -> Vec<u8> {
    let kept = KEPT.try_with(|kept| kept.try_borrow_mut().ok()?.take(bytes > SMALL)).ok().flatten();
    let mut buffer = kept.unwrap_or_default();
    buffer.reserve(bytes);
    buffer
}

fn give_back(buffer: Vec<u8>) {
    // Where the thread is ending there is nothing left to keep it for.
    let _ = KEPT.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            kept.keep(buffer);
        }
    });
}

/// A buffer to write into.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer for about `bytes` bytes.
    pub(crate) fn with_room_for(bytes: usize) -> Self {
        Self(take(bytes))
    }
}

/// A copy of a text, which is known to be one ever after: nobody has to check its encoding again.
#[derive(Debug)]
pub(crate) struct TextBuffer(String);

impl TextBuffer {
    pub(crate) fn copy_of(text: &str) -> Self {
        // An empty buffer is a text, whatever it held before.
        let mut copy = String::from_utf8(take(text.len())).unwrap_or_default();
        copy.push_str(text);
        Self(copy)
    }
}

impl Deref for TextBuffer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Clone for TextBuffer {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl Drop for TextBuffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.0).into_bytes());
    }
}

impl Kept {
    fn take(&mut self, large: bool) -> Option<Vec<u8>> {
        if !large {
            return self.small.pop();
        }
        let buffer = self.large.pop()?;
        self.large_bytes -= buffer.capacity();
        Some(buffer)
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        buffer.clear();
        if capacity > SMALL {
            if self.large_bytes + capacity <= KEPT_LARGE {
                self.large_bytes += capacity;
                self.large.push(buffer);
            }
        } else if capacity > 0 && self.small.len() < KEPT_SMALL {
            self.small.push(buffer);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.0));
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::with_room_for(self.len());
        copy.extend_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_is_empty() {
        let mut first = Buffer::with_room_for(100);
        first.extend_from_slice(b"abc");
        let memory = first.as_ptr();
        drop(first);
        let second = Buffer::with_room_for(10);
        assert_eq!(second.as_ptr(), memory);
        assert!(second.is_empty());
    }

    #[test]
    fn what_a_thread_keeps_is_bounded() {
        let held: Vec<Buffer> = (0..1000).map(|n| Buffer::with_room_for(n * 1000)).collect();
        drop(held);
        KEPT.with_borrow(|kept| {
            assert!(kept.small.len() <= KEPT_SMALL);
            assert!(kept.large.iter().map(Vec::capacity).sum::<usize>() <= KEPT_LARGE);
            assert_eq!(kept.large.iter().map(Vec::capacity).sum::<usize>(), kept.large_bytes);
        });
    }
}
