//! Short texts without an allocation: most results are a number, a hash or a flag.

use std::fmt;

/// An owned text; up to [`Text::INLINE`] bytes are kept in place.
#[derive(Clone)]
pub(super) enum Text {
    Inline { len: u8, bytes: [u8; Text::INLINE] },
    Heap(Box<str>),
}

impl Text {
    /// As much as fits beside the tag without making the value larger than the other variant does.
    const INLINE: usize = 22;

    pub(super) fn as_str(&self) -> &str {
        match self {
            // They were a `str` when they were put here: the check is of 22 bytes at most.
            Self::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Self::Heap(text) => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() > Self::INLINE {
            return Self::Heap(text.into());
        }
        let mut bytes = [0; Self::INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Inline { len: text.len() as u8, bytes }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_come_back_as_they_were() {
        assert_eq!(size_of::<Text>(), 24);
        for text in ["", "1", "\"éé\"", &"x".repeat(22), &"x".repeat(23), &"é".repeat(500)] {
            assert_eq!(Text::from(text).as_str(), text);
        }
    }
}
