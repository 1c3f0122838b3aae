//! Untrusted text and errors, as they are shown to a person: on one line, and of limited length.
//!
//! The text of a peer may contain line breaks, which forge lines of a log (CWE-117), control
//! sequences of a terminal, and characters that reverse the direction of writing. They are escaped
//! wherever the text is displayed: by an error, an endpoint or an event of `tracing`. The fields of
//! those hold the text unescaped.

use std::{
    error::Error,
    fmt::{self, Display, Write as _},
    io,
};

/// The most bytes of a text in an event.
const EVENT_TEXT: usize = 1_000;

/// Displays a text without characters that end a line or control a terminal. Escaping twice changes
/// nothing.
#[derive(Clone, Copy)]
pub(crate) struct Escaped<T> {
    text: T,
    longest: usize,
}

/// Escapes a text of any length: for errors.
pub(crate) const fn escaped<T: Display>(text: T) -> Escaped<T> {
    Escaped { text, longest: usize::MAX }
}

/// Escapes a text, and cuts it to the length for an event.
pub(crate) const fn brief<T: Display>(text: T) -> Escaped<T> {
    brief_to(EVENT_TEXT, text)
}

/// Escapes a text, and cuts it to `longest` bytes.
pub(crate) const fn brief_to<T: Display>(longest: usize, text: T) -> Escaped<T> {
    Escaped { text, longest }
}

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = EscapingWriter { out: f, left: self.longest, cut: 0 };
        write!(line, "{}", self.text)?;
        match line.cut {
            0 => Ok(()),
            cut => write!(f, "… ({cut} bytes more)"),
        }
    }
}

/// The same as `Display`, so that a field of an error can be shown by it.
impl<T: Display> fmt::Debug for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

struct EscapingWriter<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// The number of bytes that may still be shown.
    left: usize,
    /// The number of bytes that were cut off.
    cut: usize,
}

impl fmt::Write for EscapingWriter<'_, '_> {
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

/// Whether the text is shown as it is.
pub(crate) fn is_clean(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// Control characters (C0, DEL, C1), separators of lines and paragraphs, and characters that change
/// the direction of writing (UAX 9, 2).
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

/// Displays `error` with its causes on one line:
/// `the session is closed: the connection was lost: broken pipe`.
///
/// The `Display` of this crate's errors does not repeat their [`source`](Error::source), so
/// printers of causes (anyhow's `{:#}`, eyre, tracing-error) show each text once. This function
/// adds the causes where an error is formatted alone.
///
/// Control characters, line separators and characters that change the direction of writing are
/// escaped. If an error of another crate repeats its cause at the end of its text, the cause is
/// left out.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (session, _peer) = rpc::testing::pair((), ());
/// let error = session.call::<u64>("add", (1, 2)).await.unwrap_err();
/// assert_eq!(error.to_string(), "the peer answered with an error");
/// assert_eq!(
///     rpc::chain(&error).to_string(),
///     "the peer answered with an error: method `add` not found (code -32601)"
/// );
/// # }
/// ```
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> Chain<'a> {
    Chain(error)
}

/// Displays an error with its causes: see [`chain`].
#[derive(Clone, Copy)]
pub struct Chain<'a>(&'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = self.0.to_string();
        escaped(&above).fmt(f)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !repeats(&above, &text) {
                write!(f, ": {}", escaped(&text))?;
            }
            (above, next) = (text, cause.source());
        }
        Ok(())
    }
}

/// The same as `Display`.
impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Whether the text of an error ends in that of its cause, and not within a word.
fn repeats(error: &str, cause: &str) -> bool {
    error.strip_suffix(cause).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
}

/// Cleans an error of the system, or of an application's stream, that becomes the source of one of
/// this crate's errors. Printers of causes show its text unescaped, so an error with control
/// characters is replaced by its escaped text.
pub(crate) fn clean_io(error: io::Error) -> io::Error {
    let kind = error.kind();
    match cleaned(&error) {
        None => error,
        Some(cleaned) => io::Error::new(kind, cleaned),
    }
}

/// Cleans any error in the same way.
#[cfg(feature = "http")]
pub(crate) fn clean_boxed(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
    cleaned(&*error).map_or(error, Into::into)
}

/// Cleans an error of serde in the same way: the names and values in it are untrusted.
pub(crate) fn clean_json(error: serde_json::Error) -> serde_json::Error {
    match cleaned(&error) {
        None => error,
        // `serde_json` parses the line and the column out of the text, so they are kept.
        Some(cleaned) => serde::de::Error::custom(cleaned),
    }
}

fn cleaned(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if !is_clean(&cause.to_string()) {
            return Some(chain(error).to_string());
        }
        next = cause.source();
    }
    None
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

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Linked {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn linked(texts: &[&'static str]) -> Linked {
        let mut links =
            texts.iter().rev().fold(None, |source, &text| Some(Box::new(Linked { text, source })));
        *links.take().expect("there is a text")
    }

    #[test]
    fn each_cause_is_shown_once() {
        for (texts, shown) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a: b: c", "b: c", "c"], "a: b: c"),
            (&["b", "b", "c"], "b: c"),
            // Within `piano`, `no` ends a word; it is no word of its own.
            (&["it has no piano", "no"], "it has no piano: no"),
            (&["no piano", "no"], "no piano: no"),
            (&["a\nb", "c\u{202e}"], r"a\nb: c\u{202e}"),
        ] {
            assert_eq!(chain(&linked(texts)).to_string(), shown);
            assert_eq!(format!("{:?}", chain(&linked(texts))), shown);
        }
    }

    #[test]
    fn a_cause_stays_what_it_is_unless_it_would_end_a_line() {
        let error = clean_io(io::Error::new(io::ErrorKind::BrokenPipe, linked(&["a", "b"])));
        assert!(error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Linked>));
        let error = clean_io(io::Error::new(io::ErrorKind::BrokenPipe, linked(&["a", "b\n"])));
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::BrokenPipe, r"a: b\n".to_owned()));
        assert!(error.source().is_none());

        let error = clean_json(serde_json::from_str::<u8>("\n 300").expect_err("it is too large"));
        let told = (error.line(), error.column(), error.classify());
        let again = clean_json(serde::de::Error::custom(format!("a\n{error}")));
        assert_eq!((again.line(), again.column(), again.classify()), told);
        assert!(again.to_string().starts_with(r"a\n"), "{again}");
    }
}
