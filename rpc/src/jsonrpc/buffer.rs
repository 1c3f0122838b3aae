//! Reusable byte buffers and short texts: a message that is being written, or kept for a moment,
//! needs no allocation of its own.
//!
//! Every thread keeps the small buffers that were dropped on it, up to a number. Large buffers go
//! back to the allocator: they wander between threads, and keeping them was measured to cost more
//! than it saves.

use std::{
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
};

use serde::de::DeserializeOwned;

use super::shown::escaped;

/// The largest capacity, in bytes, of a buffer that is kept.
const MAX_SIZE: usize = 4 << 10;
/// The most buffers that a thread keeps.
const MAX_BUFFERS: usize = 64;
/// Most messages fit into this many bytes.
const TYPICAL_SIZE: usize = 128;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer: one that the thread has kept, or a new one without memory.
fn take() -> Vec<u8> {
    FREE.try_with(|free| free.try_borrow_mut().ok()?.pop()).ok().flatten().unwrap_or_default()
}

fn keep(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_SIZE {
        return;
    }
    buffer.clear();
    // A thread that is ending keeps nothing.
    let _ = FREE.try_with(|free| {
        if let Ok(mut free) = free.try_borrow_mut()
            && free.len() < MAX_BUFFERS
        {
            free.push(buffer);
        }
    });
}

/// A reusable buffer to write a message into.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer, for a message whose size is not known yet.
    pub(crate) fn new() -> Self {
        let mut buffer = take();
        buffer.reserve(TYPICAL_SIZE);
        Self(buffer)
    }
}

/// A reusable copy of a text. It stays valid UTF-8, so nothing checks the encoding again.
#[derive(Debug)]
pub(crate) struct TextBuffer(String);

impl TextBuffer {
    pub(crate) fn copy_of(text: &str) -> Self {
        // The buffer is empty, so this cannot fail.
        let buffer = if text.len() > MAX_SIZE { Vec::new() } else { take() };
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
        keep(std::mem::take(&mut self.0).into_bytes());
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.0));
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

/// An owned text, such as a result: up to [`Text::INLINE`] bytes are stored in place (a number, a
/// hash or a flag fits), longer texts in a reusable buffer.
#[derive(Clone)]
pub(crate) enum Text {
    Inline { len: u8, bytes: [u8; Text::INLINE] },
    Buffer(TextBuffer),
}

impl Text {
    /// As many bytes as fit beside the tag without making this variant larger than the other one.
    const INLINE: usize = 30;

    /// Deserializes the text as JSON.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        match self {
            Self::Inline { len, bytes } => serde_json::from_slice(&bytes[..usize::from(*len)]),
            Self::Buffer(text) => serde_json::from_str(text),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // The bytes were copied from a `str`, so this cannot fail, and checking a short text
            // costs next to nothing.
            Self::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Self::Buffer(text) => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() > Self::INLINE {
            return Self::Buffer(TextBuffer::copy_of(text));
        }
        let mut bytes = [0; Self::INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Inline { len: text.len() as u8, bytes }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&escaped(self.as_str()), f)
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
    fn a_text_comes_back_as_it_was() {
        drop(written(5000));
        for text in ["", "é", &"x".repeat(5000)] {
            assert_eq!(&*TextBuffer::copy_of(text), text);
        }
    }

    #[test]
    fn what_a_thread_keeps_is_bounded() {
        let held: Vec<Buffer> = (0..1000).map(|n| written(n * 10)).collect();
        drop(held);
        FREE.with_borrow(|free| {
            assert_eq!(free.len(), MAX_BUFFERS);
            assert!(free.iter().all(|buffer| (1..=MAX_SIZE).contains(&buffer.capacity())));
        });
    }

    #[test]
    fn short_and_long_texts_come_back_as_they_were() {
        assert_eq!(size_of::<Text>(), 32);
        for text in ["", "1", "\"éé\"", &"x".repeat(30), &"x".repeat(31), &"é".repeat(5000)] {
            assert_eq!(Text::from(text).as_str(), text);
        }
    }
}
