//! An error with all of its causes, as it is printed: each of them once.

use std::{
    error::Error,
    fmt::{self, Display},
    io,
};

use super::shown::{escaped, is_clean};

/// Shows `error` with its causes in one line: `the session is closed: the connection was lost: broken pipe`.
///
/// The errors of this crate say in their `Display` what they know themselves, and have the rest as their
/// [`source`](Error::source). What prints errors with their causes (anyhow's `{:#}`, eyre, tracing-error) shows each text
/// once. Where an error is formatted alone, this brings the causes along.
///
/// Control characters, and what ends a line or turns the direction of writing, are escaped. The cause that an
/// error of another crate repeats at its end is left out.
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

/// An error with its causes, to be formatted: see [`chain`].
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

/// The same as its text.
impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Whether an error says what its cause says, at its end and not as a part of a word.
fn repeats(error: &str, cause: &str) -> bool {
    error.strip_suffix(cause).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
}

/// An error of the system's, or of a stream of the application's own, that is the cause of one of ours. Its text is
/// shown as it is by what prints causes: one that would end a line is replaced by one that shows it escaped.
pub(crate) fn clean_io(error: io::Error) -> io::Error {
    let kind = error.kind();
    match cleaned(&error) {
        None => error,
        Some(cleaned) => io::Error::new(kind, cleaned),
    }
}

/// The same for any error.
#[cfg(feature = "http")]
pub(crate) fn clean_boxed(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
    cleaned(&*error).map_or(error, Into::into)
}

/// The same for what serde has to say: the names and values in it are the peer's.
pub(crate) fn clean_json(error: serde_json::Error) -> serde_json::Error {
    match cleaned(&error) {
        None => error,
        // It keeps the line and the column, which it finds in the text.
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

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Shared {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn linked(texts: &[&'static str]) -> Shared {
        let mut links =
            texts.iter().rev().fold(None, |source, &text| Some(Box::new(Shared { text, source })));
        *links.take().expect("there is a text")
    }

    #[test]
    fn each_cause_is_shown_once() {
        for (texts, shown) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a: b: c", "b: c", "c"], "a: b: c"),
            (&["b", "b", "c"], "b: c"),
            // `no` ends the word, and is another word.
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
        assert!(error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Shared>));
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
