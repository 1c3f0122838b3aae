//! Texts of a peer's, as a person is shown them: in one line, and no longer than one.
//!
//! What a peer has written may hold line breaks, which forge lines of a log (CWE-117), sequences
//! that a terminal obeys, and characters that have text run the other way. Wherever it is shown, by
//! an error, an endpoint or an event, these are escaped. The fields that it is kept in have it as
//! it came.

use std::fmt::{self, Display, Write as _};

/// How much is shown of a text in an event, in bytes.
const LONGEST: usize = 1_000;

/// A text in which nothing ends a line or commands a terminal. What was escaped stays as it is when
/// it is escaped again.
#[derive(Clone, Copy)]
pub(crate) struct Escaped<T> {
    text: T,
    longest: usize,
}

/// Of any length: for errors.
pub(crate) const fn escaped<T: Display>(text: T) -> Escaped<T> {
    Escaped { text, longest: usize::MAX }
}

/// As much as belongs in an event.
pub(crate) const fn brief<T: Display>(text: T) -> Escaped<T> {
    brief_to(LONGEST, text)
}

/// As many bytes of it as are said.
pub(crate) const fn brief_to<T: Display>(longest: usize, text: T) -> Escaped<T> {
    Escaped { text, longest }
}

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line { out: f, left: self.longest, cut: 0 };
        write!(line, "{}", self.text)?;
        match line.cut {
            0 => Ok(()),
            cut => write!(f, "… ({cut} bytes more)"),
        }
    }
}

/// The same as its text, so that a field of an error may be shown by it.
impl<T: Display> fmt::Debug for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

struct Line<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// How many more bytes are shown.
    left: usize,
    /// How many were not.
    cut: usize,
}

impl fmt::Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let most = if self.cut > 0 { 0 } else { text.len().min(self.left) };
        let shown = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
        self.left -= shown;
        self.cut += text.len() - shown;
        let mut rest = &text[..shown];
        while let Some(at) = rest.find(is_unsafe) {
            self.out.write_str(&rest[..at])?;
            let character = rest[at..].chars().next().unwrap_or_default();
            match character {
                '\n' => self.out.write_str("\\n")?,
                '\r' => self.out.write_str("\\r")?,
                '\t' => self.out.write_str("\\t")?,
                other => write!(self.out, "\\u{{{:x}}}", u32::from(other))?,
            }
            rest = &rest[at + character.len_utf8()..];
        }
        self.out.write_str(rest)
    }
}

/// Whether it is shown as it is.
pub(crate) fn is_clean(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// Control characters (C0, DEL, C1), what ends a line or a paragraph, and what turns the direction
/// of writing (UAX 9, 2).
const fn is_unsafe(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_or_turns_it() {
        let text = "a\nb\r\tc\x1b[2J\0\x7f\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{feff}é漢\\n";
        let shown =
            r"a\nb\r\tc\u{1b}[2J\u{0}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{feff}é漢\n";
        assert_eq!(escaped(text).to_string(), shown);
        assert_eq!(format!("{:?}", escaped(text)), shown);
        assert_eq!(escaped(escaped(text)).to_string(), shown);
        assert_eq!(escaped("").to_string(), "");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(brief("x".repeat(1_000)).to_string(), "x".repeat(1_000));
        assert_eq!(brief("é".repeat(600)).to_string(), format!("{}… (200 bytes more)", "é".repeat(500)));
        assert_eq!(brief_to(2, format_args!("{}{}{}", "a", "é", "b")).to_string(), "a… (3 bytes more)");
    }
}
