//! Texts that are kept for a moment: most results are a number, a hash or a flag, and need no memory of their own.

use std::fmt;

use super::buffer::Buffer;

/// An owned text. Up to [`Text::INLINE`] bytes are kept in place, more in a buffer that is used again.
#[derive(Clone)]
pub(super) enum Text {
    Inline { len: u8, bytes: [u8; Text::INLINE] },
    Buffer(Buffer),
}

impl Text {
    /// As much as fits beside the tag without making the value larger than the other variant does.
    const INLINE: usize = 30;

    /// JSON text: its readers check that it is UTF-8 where that matters, in strings.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Buffer(buffer) => buffer,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() > Self::INLINE {
            let mut buffer = Buffer::with_room_for(text.len());
            buffer.extend_from_slice(text.as_bytes());
            return Self::Buffer(buffer);
        }
        let mut bytes = [0; Self::INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Inline { len: text.len() as u8, bytes }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_come_back_as_they_were() {
        assert_eq!(size_of::<Text>(), 32);
        for text in ["", "1", "\"éé\"", &"x".repeat(30), &"x".repeat(31), &"é".repeat(5000)] {
            assert_eq!(Text::from(text).as_bytes(), text.as_bytes());
        }
    }
}
