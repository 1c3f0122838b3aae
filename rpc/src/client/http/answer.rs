//! What an answer means for the calls that the exchange has carried.

use super::exchange::{Answer, Exchanges};
use crate::{
    jsonrpc::{Connection, ErrorCode, Event, Reply},
    transport::HttpError,
};

/// How many characters of an answer that cannot be read are shown.
const SHOWN: usize = 200;

/// The replies to all calls that the exchange has carried, which `connection` knows by their numbers from 0.
///
/// # Errors
///
/// Where there is none among what was answered.
pub(super) fn replies(
    exchanges: &Exchanges,
    connection: &mut Connection<usize>,
    answer: Answer,
) -> Result<Vec<Reply>, HttpError> {
    let read = Read::of(connection, &answer.body);
    exchanges.end(connection);
    if !answer.status.is_success() && !read.has_reply() {
        return Err(exchanges.refused(answer.status, answer.headers, &answer.body));
    }
    if read.is_no_json {
        return Err(exchanges.no_reply(answer));
    }
    Ok(read.into_replies())
}

/// What was found in an answer.
#[derive(Default)]
struct Read {
    /// A place for each call.
    replies: Vec<Option<Reply>>,
    /// An error that answers none of the calls by its id: it can only mean all that have no other answer.
    refusal: Option<Reply>,
    /// What is wrong with what there is.
    problem: Option<String>,
    is_no_json: bool,
}

impl Read {
    fn of(connection: &mut Connection<usize>, body: &[u8]) -> Self {
        let mut read = Self { replies: vec![None; connection.len()], ..Self::default() };
        if body.trim_ascii().is_empty() {
            read.is_no_json = true;
            return read;
        }
        // A session would answer this. Over HTTP there is no way to: the response has ended the exchange.
        let (mut events, mut nothing) = (connection.events(body), Vec::new());
        while let Some(event) = events.next(connection, &mut nothing) {
            match event {
                Event::Reply { call, reply } => read.replies[call] = Some(reply),
                Event::Unasked(reply) if reply.is_error() => read.refusal = Some(reply),
                Event::Unasked(_) => read.problem = Some("it has the id of another call".to_owned()),
                Event::Refused { error, .. } => {
                    read.is_no_json |= error.code() == ErrorCode::PARSE_ERROR;
                    read.problem = Some(format!("it is no reply: {}", error.message()));
                }
                Event::Request { .. } | Event::Notification { .. } => {
                    read.problem = Some("it is a request".to_owned());
                }
            }
        }
        read
    }

    /// Whether there is anything that a JSON-RPC server says to its callers.
    fn has_reply(&self) -> bool {
        self.replies.iter().flatten().chain(&self.refusal).any(|reply| !reply.is_malformed())
    }

    fn into_replies(self) -> Vec<Reply> {
        let Self { replies, refusal, problem, .. } = self;
        let missing = || match &refusal {
            Some(reply) => reply.clone(),
            None => Reply::malformed(problem.as_deref().unwrap_or("the answer has none to this call")),
        };
        replies.into_iter().map(|reply| reply.unwrap_or_else(missing)).collect()
    }
}

/// As much of a text as an excerpt may need. A character has up to four bytes. The last one may be
/// cut in two, and is beyond what is shown then.
pub(super) fn start_of(text: &[u8]) -> &[u8] {
    &text[..text.len().min(4 * (SHOWN + 1))]
}

/// The start of a text that the server has sent: on one line, and whatever it is.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut characters = text.trim().chars();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            control if control.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            other => shown.push(other),
        }
    }
    if characters.next().is_some() {
        shown.push('\u{2026}');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        for (text, shown) in [
            (&b" \r\n<html>\n<body>\x1b[31mno\0\n"[..], "<html> <body>\u{fffd}[31mno\u{fffd}"),
            (b"caf\xe9", "caf\u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(excerpt(&String::from_utf8_lossy(start_of(text))), shown);
        }
        let long = "\u{1f600}".repeat(10_000);
        assert_eq!(excerpt(&long), format!("{}\u{2026}", "\u{1f600}".repeat(200)));
        assert_eq!(excerpt(&"x".repeat(200)), "x".repeat(200));
    }
}
