//! Texts that are kept for a moment: most results are a number, a hash or a flag, and need no memory of their own.

use std::fmt;

use serde::de::DeserializeOwned;

use super::{buffer::TextBuffer, shown::escaped};

/// An owned text. Up to [`Text::INLINE`] bytes are kept in place, more in a buffer that is used again.
#[derive(Clone)]
pub(crate) enum Text {
    Inline { len: u8, bytes: [u8; Text::INLINE] },
    Buffer(TextBuffer),
}

impl Text {
    /// As much as fits beside the tag without making the value larger than the other variant does.
    const INLINE: usize = 30;

    /// Reads it as JSON.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        match self {
            Self::Inline { len, bytes } => serde_json::from_slice(&bytes[..usize::from(*len)]),
            Self::Buffer(text) => serde_json::from_str(text),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // It was a text when it was put here: looking again costs next to nothing.
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

    #[test]
    fn short_and_long_texts_come_back_as_they_were() {
        assert_eq!(size_of::<Text>(), 32);
        for text in ["", "1", "\"éé\"", &"x".repeat(30), &"x".repeat(31), &"é".repeat(5000)] {
            assert_eq!(Text::from(text).as_str(), text);
        }
    }
}
