//! What to do about a peer that speaks something else, by the names that things have in this crate.

use crate::framing::Framing;

/// Text, or bytes that are no text, of a protocol that is not known.
pub(super) const TEXT: &str = "text";
pub(super) const BINARY: &str = "binary data";

/// What is sent back as it came, by `cat` and its like.
pub(crate) const ECHO: &str = "what it is sent";

/// What was expected in place of another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The messages of a session over a stream of bytes.
    Messages,
    /// A handshake of TLS.
    #[cfg(feature = "tls-no-provider")]
    Tls,
    /// HTTP.
    #[cfg(feature = "http")]
    Http,
    /// The handshake of a WebSocket.
    #[cfg(feature = "ws")]
    WebSocket,
}

const OTHER_PLACE: &str = "Look whether the address, or the program, is the right one";

/// What to do where `protocol` came, beginning with `found`, which is escaped.
pub(crate) fn advice(expected: Expected, protocol: &str, found: &str) -> String {
    let framing = Framing::called(protocol);
    match expected {
        Expected::Messages => match (protocol, framing) {
            (_, Some(framing)) => format!(
                "Set `{}` with `framer` on this side (of `Connector`, `Listen`, `ServerBuilder`), or the \
                 framing of this side on the other one",
                framing.in_code()
            ),
            // An alert is what a server answers.
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

/// The same for the client, which takes a server of WebSockets for one of something else.
#[cfg(feature = "ws")]
pub(super) fn advice_to_client(protocol: &str) -> String {
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
