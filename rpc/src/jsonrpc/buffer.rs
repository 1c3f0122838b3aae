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
/// Most messages fit in here.
const USUAL: usize = 128;
/// How many bytes of larger ones a thread keeps.
const KEPT_LARGE: usize = 8 << 20;

#[derive(Default)]
struct Kept {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    large_bytes: usize,
    /// Whether the last buffer that was written into became a large one. The next will, too, more often than not, and growing
    /// one costs more than holding one that is too large for a moment.
    last_was_large: bool,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Runs `f` with what the thread keeps. Where the thread is ending there is nothing left to keep anything for.
fn kept<R>(f: impl FnOnce(&mut Kept) -> R) -> Option<R> {
    KEPT.try_with(|kept| kept.try_borrow_mut().ok().map(|mut kept| f(&mut kept))).ok().flatten()
}

/// A buffer to write into.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer for a message whose size nobody knows yet.
    pub(crate) fn new() -> Self {
        let mut buffer = kept(|kept| kept.take(kept.last_was_large)).flatten().unwrap_or_default();
        buffer.reserve(USUAL);
        Self(buffer)
    }
}

/// A copy of a text, which is known to be one ever after: nobody has to check its encoding again.
#[derive(Debug)]
pub(crate) struct TextBuffer(String);

impl TextBuffer {
    pub(crate) fn copy_of(text: &str) -> Self {
        // An empty buffer is a text, whatever it held before.
        let buffer = kept(|kept| kept.take(text.len() > SMALL)).flatten().unwrap_or_default();
        let mut copy = String::from_utf8(buffer).unwrap_or_default();
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
        kept(|kept| kept.keep(std::mem::take(&mut self.0).into_bytes()));
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
        kept(|kept| {
            kept.last_was_large = self.0.len() > SMALL;
            kept.keep(std::mem::take(&mut self.0));
        });
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
        let mut copy = Self::new();
        copy.extend_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: usize) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.resize(bytes, b'x');
        buffer
    }

    #[test]
    fn a_buffer_is_used_again_and_is_empty() {
        let first = written(100);
        let memory = first.as_ptr();
        drop(first);
        let second = Buffer::new();
        assert_eq!(second.as_ptr(), memory);
        assert!(second.is_empty());
    }

    #[test]
    fn after_a_large_message_comes_a_large_buffer_and_after_a_small_one_a_small_one() {
        drop(written(1 << 20));
        assert!(Buffer::new().capacity() >= 1 << 20);
        drop(written(10));
        assert!(Buffer::new().capacity() <= SMALL);
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        drop(written(5000));
        for text in ["", "é", &"x".repeat(5000)] {
            assert_eq!(&*TextBuffer::copy_of(text), text);
        }
    }

    #[test]
    fn what_a_thread_keeps_is_bounded() {
        let held: Vec<Buffer> = (0..1000).map(|n| written(n * 1000)).collect();
        drop(held);
        kept(|kept| {
            assert!(kept.small.len() <= KEPT_SMALL);
            let bytes = kept.large.iter().map(Vec::capacity).sum::<usize>();
            assert!(bytes <= KEPT_LARGE);
            assert_eq!(bytes, kept.large_bytes);
        })
        .expect("the thread lives");
    }
}
