//! Detection of another protocol by the first bytes of a stream.
//!
//! A web page can have the browser post to any port without consent, with messages of its choice in
//! the body. A stream that starts like another protocol is therefore closed before any frame of it
//! is handled, whatever the framing.
//!
//! The start of a JSON-RPC message after a length of up to eight bytes is never taken for another
//! protocol: if a length happens to look like a word, the brace after it decides. (A bare `QUIT` is
//! SMTP nevertheless. As a length it would announce over a GiB whose first byte is a line break.)

mod protocols;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::endpoint::Endpoint;
use crate::{
    framing::{Framing, excerpt},
    jsonrpc::shown::{brief, escaped},
};
use protocols::ProtocolMatch;

/// Verdict on the first bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// No known other protocol.
    Ours,
    /// Only blanks. They are not a message, and anything may follow.
    Blank,
    /// It may be another protocol: more bytes are needed.
    Undecided,
    /// Another protocol.
    Foreign(Foreign),
}

impl Opening {
    /// Judges the first bytes of a stream. `is_all`: no more bytes will arrive, so an incomplete
    /// line counts as a line.
    pub(crate) fn of(bytes: &[u8], is_all: bool) -> Self {
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let text = &bytes[blanks..];
        if text.is_empty() {
            return Self::Blank;
        }
        match protocols::fit(bytes, text, is_all) {
            ProtocolMatch::Certain(protocol) => Self::Foreign(Foreign::of(protocol, text)),
            ProtocolMatch::Possible if !is_all => Self::Undecided,
            ProtocolMatch::Possible | ProtocolMatch::None => Self::Ours,
        }
    }
}

/// Another protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Its name.
    pub(crate) protocol: &'static str,
    /// The start of the received bytes, escaped.
    pub(crate) found: String,
}

impl Foreign {
    /// Identifies the protocol of a stream that is known to be a wrong one.
    #[cfg(any(feature = "http", feature = "tls-no-provider", feature = "ws"))]
    pub(crate) fn seen_in(bytes: &[u8]) -> Self {
        if let Opening::Foreign(foreign) = Opening::of(bytes, true) {
            return foreign;
        }
        match Framing::seen_in(bytes) {
            Some(framing) => Self::of(framing.protocol(), bytes),
            None => Self::unknown(bytes),
        }
    }

    /// Bytes of an unknown protocol.
    pub(crate) fn unknown(bytes: &[u8]) -> Self {
        let start = &bytes[..bytes.len().min(SHOWN)];
        let is_text = start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        Self::of(if is_text { TEXT } else { BINARY }, bytes)
    }

    pub(crate) fn of(protocol: &'static str, bytes: &[u8]) -> Self {
        Self { protocol, found: excerpt(bytes) }
    }

    /// Whether a client of that protocol sent this: the greeting or error of a server is not
    /// answered.
    pub(crate) fn asks(&self) -> bool {
        match self.protocol {
            "HTTP" => !self.found.starts_with("HTTP/"),
            "TLS" => !self.found.starts_with("\\x15"),
            protocol => Framing::called(protocol).is_some(),
        }
    }

    /// Text of the 400 response to a client of another protocol at a WebSocket listener.
    #[cfg(feature = "ws")]
    pub(crate) fn told_to_client(&self) -> String {
        let advice = advice_to_client(self.protocol);
        format!("it began with `{}`, which looks like {}. {advice}", self.found, self.protocol)
    }

    /// Describes the bytes received instead of the expected protocol, with advice.
    #[cfg(any(feature = "http", feature = "ws"))]
    pub(crate) fn told(&self, expected: Expected) -> impl std::fmt::Display {
        told(expected, self.protocol, &self.found)
    }
}

/// Number of bytes examined to tell text from binary data.
const SHOWN: usize = 40;

/// The same as `Foreign::told`, from its parts.
pub(crate) fn told(expected: Expected, protocol: &str, found: &str) -> String {
    let advice = advice(expected, protocol, found);
    let found = escaped(found);
    match protocol {
        _ if expected != Expected::Messages => {
            format!("it began with `{found}`, which looks like {protocol}. {advice}")
        }
        ECHO => format!(
            "the peer sends back what it is sent, and answers nothing: it began with `{found}`. {advice}"
        ),
        TEXT | BINARY => {
            format!("the peer sends {protocol} that is no JSON-RPC: it began with `{found}`. {advice}")
        }
        _ => format!("the peer speaks {protocol}, and this side does not: it began with `{found}`. {advice}"),
    }
}

/// Names for unknown protocols.
const TEXT: &str = "text";
const BINARY: &str = "binary data";

/// Name for an echo, as `cat` sends.
pub(crate) const ECHO: &str = "what it is sent";

/// The protocol that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Messages of a session over a byte stream.
    Messages,
    /// A TLS handshake.
    #[cfg(feature = "tls-no-provider")]
    Tls,
    /// HTTP.
    #[cfg(feature = "http")]
    Http,
    /// A WebSocket handshake.
    #[cfg(feature = "ws")]
    WebSocket,
}

const OTHER_PLACE: &str = "Look whether the address, or the program, is the right one";

/// Advice about a peer that sent `protocol`. `found` is the escaped start of its bytes.
fn advice(expected: Expected, protocol: &str, found: &str) -> String {
    let framing = Framing::called(protocol);
    match expected {
        Expected::Messages => match (protocol, framing) {
            (_, Some(framing)) => format!(
                "Set `{}` with `framer` on this side (of `Connector`, `Listen`, `ServerBuilder`), or the \
                 framing of this side on the other one",
                framing.in_code()
            ),
            // Only a server sends an alert here.
            ("TLS", _) if found.starts_with("\\x15") => {
                "Connect with a URL of TLS (`tls://`, `wss://`, `https://`)".to_owned()
            }
            ("TLS", _) => {
                "Listen at a URL of TLS (`tls://`, `wss://`, `https://`), or have the peer connect \
                           without (`tcp://`, `ws://`, `http://`)"
                    .to_owned()
            }
            ("HTTP", _) if found.starts_with("HTTP/") => {
                "Call it by an `HttpClient` (`http://`), or connect to it as a WebSocket (`ws://`)".to_owned()
            }
            ("HTTP", _) => "Listen at `http://`, which serves WebSockets too, or have the peer connect \
                            without HTTP (`tcp://`)"
                .to_owned(),
            _ => OTHER_PLACE.to_owned(),
        },
        #[cfg(feature = "tls-no-provider")]
        Expected::Tls => match (protocol, framing) {
            (_, Some(_)) => {
                "It is spoken without TLS: use `tcp://` on this side, or `tls://` on the other one".to_owned()
            }
            ("HTTP", _) => {
                "It is spoken without TLS: use `http://` or `ws://` on this side, or `https://` or \
                            `wss://` on the other one"
                    .to_owned()
            }
            _ => OTHER_PLACE.to_owned(),
        },
        #[cfg(feature = "http")]
        Expected::Http => not_http(protocol, framing, "http", "https", found),
        #[cfg(feature = "ws")]
        Expected::WebSocket => not_http(protocol, framing, "ws", "wss", found),
    }
}

#[cfg(any(feature = "http", feature = "ws"))]
fn not_http(protocol: &str, framing: Option<Framing>, plain: &str, secure: &str, found: &str) -> String {
    match (protocol, framing) {
        (_, Some(framing)) => format!(
            "There is no HTTP around it: use `tcp://` and `{}` on this side, or `{plain}://` on the other one",
            framing.in_code()
        ),
        ("TLS", _) => format!("Use `{secure}://` on both sides, or `{plain}://` on both"),
        ("HTTP", _) if found.starts_with("HTTP/1") => {
            "It is version 1 that is spoken there: leave out what asks for version 2 (`http2_only`)"
                .to_owned()
        }
        _ => OTHER_PLACE.to_owned(),
    }
}

/// The same for a client that mistakes a WebSocket server for another one.
#[cfg(feature = "ws")]
fn advice_to_client(protocol: &str) -> String {
    match (protocol, Framing::called(protocol)) {
        (_, Some(framing)) => format!(
            "WebSocket is spoken here: connect to `ws://`, or have the server listen at `tcp://` with `{}`",
            framing.in_code()
        ),
        ("TLS", _) => {
            "TLS is not spoken here: connect to `ws://`, or have the server listen at `wss://`".to_owned()
        }
        _ => OTHER_PLACE.to_owned(),
    }
}

/// Number of bytes kept: more than an error shows.
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
const KEPT: usize = 48;

/// The first bytes of a stream, kept for an error.
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
#[derive(Debug, Clone)]
pub(crate) struct Start {
    bytes: [u8; KEPT],
    length: usize,
}

#[cfg(any(feature = "http", feature = "tls-no-provider"))]
impl Start {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; KEPT], length: 0 }
    }

    /// Whether no more bytes are kept.
    pub(crate) const fn is_full(&self) -> bool {
        self.length == KEPT
    }

    /// Adds the next bytes that were read.
    pub(crate) fn add(&mut self, read: &[u8]) {
        let kept = read.len().min(KEPT - self.length);
        self.bytes[self.length..self.length + kept].copy_from_slice(&read[..kept]);
        self.length += kept;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Identifies the protocol.
    pub(crate) fn seen(&self) -> Foreign {
        Foreign::seen_in(self.bytes())
    }
}

/// Logs a peer of another protocol, and the `outcome`. Port scanners are frequent: events beyond
/// `rate` are logged at level `DEBUG`. Sessions that this side has opened are not limited.
pub(crate) fn log_foreign(
    (expected, foreign): (Expected, &Foreign),
    (peer, session): (&Endpoint, Option<u64>),
    rate: Option<&LogRate>,
    outcome: &str,
) {
    let &Foreign { protocol, ref found } = foreign;
    let advice = advice(expected, protocol, found);
    match rate.map_or(Some(0), LogRate::admit) {
        Some(unlogged) => tracing::info!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer,
            session, protocol, %found, advice = %brief(advice), unlogged,
            "a peer speaks another protocol: {outcome}, and nothing of it was handled"
        ),
        None => tracing::debug!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer,
            session, protocol, %found, advice = %brief(advice),
            "a peer speaks another protocol: {outcome}, and nothing of it was handled"
        ),
    }
}

/// Limit of events per [`WINDOW`].
const LOGGED: u32 = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// Rate limit for log events that a peer can cause at will.
#[derive(Debug, Default)]
pub(crate) struct LogRate(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    /// Start of the window.
    since: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl LogRate {
    /// Whether one more event is logged now; if so, the number of events suppressed before it.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = lately.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW);
        if is_over {
            (lately.since, lately.logged) = (Some(now), 0);
        }
        if lately.logged >= LOGGED {
            lately.left_out += 1;
            return None;
        }
        lately.logged += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests;
