//! Why a session ended.

use std::{io, sync::Arc, time::Duration};

use crate::{
    framing::FrameError,
    jsonrpc::{ErrorCode, ErrorObject, chain, shown::escaped},
    transport::{Expected, told},
};

/// The reason why a session ended. Every call in flight ends with the same one.
///
/// Reasons can be compared, mostly for tests. I/O errors are equal if their kind and their text
/// are.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// This side aborted it.
    #[error("aborted by this side")]
    Aborted,
    /// The peer closed the connection. A WebSocket gives [`PeerClosed`](Self::PeerClosed) instead.
    #[error("closed by the peer")]
    Peer,
    /// The peer closed a WebSocket, or its connection ended.
    #[error("{}", closed(*.code, .reason))]
    PeerClosed {
        /// The status code of RFC 6455: 1000 for a normal closure, 1001 if the peer goes away. Two
        /// codes are never sent: 1005 stands for a close frame without a code, 1006 for an end
        /// without a close frame.
        code: u16,
        /// The peer's reason as text for a person. May be empty.
        reason: String,
    },
    /// The server that the session belongs to shuts down.
    #[error("the server is shutting down")]
    Shutdown,
    /// Reading or writing failed.
    #[error("the connection was lost")]
    Io(#[source] Arc<io::Error>),
    /// The peer's bytes are not valid, or a frame is far larger than
    /// [`Limits::frame_size`](crate::Limits::frame_size).
    #[error(transparent)]
    Frame(FrameError),
    /// The peer's first bytes are those of another protocol than JSON-RPC, or of another framing.
    /// None of them was handled. The error says what to do about it. A
    /// [`MessageSession`](crate::MessageSession) does not end like this.
    #[error("{}", told(Expected::Messages, .protocol, .found))]
    WrongProtocol {
        /// The protocol: `"HTTP"`, `"TLS"`, `"SMTP"`, `"JSON-RPC in lines"`, and so on; `"text"` or
        /// `"binary data"` if no more is known; `"what it is sent"` for an echo.
        protocol: &'static str,
        /// The start of the received bytes, escaped: at most 40 bytes of it.
        found: String,
    },
    /// The peer stopped reading.
    #[error("the peer took none of the {unsent} bytes that waited to be sent within {after:?}")]
    SendTimeout {
        /// The bytes that waited to be sent.
        unsent: usize,
        /// [`Limits::send_timeout`](crate::Limits::send_timeout).
        after: Duration,
    },
    /// Nothing was sent or received, and nothing was in flight.
    #[error("nothing came or went for {after:?}")]
    Idle {
        /// [`Limits::idle_timeout`](crate::Limits::idle_timeout).
        after: Duration,
    },
    /// The peer sent nothing, and did not answer a ping either: see
    /// [`KeepAlive`](crate::KeepAlive).
    #[error("the peer said nothing for {after:?}, not even to a ping")]
    Silent {
        /// The interval and the timeout of the ping together.
        after: Duration,
    },
    /// The peer began a message and did not finish it in time.
    #[error("the peer began a message, and {received} bytes of it came within {after:?}, and not its end")]
    FrameTimeout {
        /// The bytes of it that were received and kept.
        received: usize,
        /// [`Limits::frame_timeout`](crate::Limits::frame_timeout).
        after: Duration,
    },
    /// The peer kept sending requests without reading the replies.
    #[error(
        "{unsent} bytes wait to be sent: the limit is {limit}, and the peer keeps asking without reading"
    )]
    OutgoingFull {
        /// The bytes that wait to be sent.
        unsent: usize,
        /// [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes).
        limit: usize,
    },
    /// The peer's cost reached the limit: it broke too many rules, or asked for too much.
    #[error("the peer's cost reached {cost:.0}: the limit is {limit:.0}")]
    Cost {
        /// The cost that was reached.
        cost: f64,
        /// [`Limits::cost_hard`](crate::Limits::cost_hard).
        limit: f64,
    },
    /// The peer sent an error with the id null before it closed the connection. With the code -101
    /// this side has reached the peer's cost limit: it is the peer's [`Cost`](Self::Cost). Send
    /// less, or ask its operator for more. With any other code, such as -102 of a server with too
    /// many connections, it was the first and only message of the peer: try again later, or do what
    /// the error says.
    #[error("{}", refused(.0))]
    Refused(#[source] ErrorObject),
    /// The request came without a session, over HTTP or through a
    /// [`Dispatcher`](crate::Dispatcher): there is no peer that could be called back.
    #[error("there is no session: the request came by itself")]
    NoSession,
    /// Code of this side panicked in the session's loop: a framer, a codec, or a stream of the
    /// application. Handlers and hooks that panic do not end a session.
    #[error("the session's loop panicked: {}", escaped(.message))]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The runtime that drove the session was shut down.
    #[error("the runtime that drove the session has stopped")]
    RuntimeStopped,
}

impl CloseReason {
    /// Whether the connection ended without a reason from the peer.
    pub(crate) const fn is_silent_end(&self) -> bool {
        matches!(self, Self::Peer | Self::PeerClosed { code: 1006, .. })
    }

    /// Whether messages that were sent before an abort are still written, with the error that tells
    /// the peer of it.
    pub(crate) const fn lets_leave(&self) -> bool {
        matches!(self, Self::Frame(_))
    }
}

/// I/O errors are equal if their kind and their text are.
impl PartialEq for CloseReason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::PeerClosed { code, reason }, Self::PeerClosed { code: of, reason: said }) => {
                (code, reason) == (of, said)
            }
            (Self::Io(error), Self::Io(other)) => {
                error.kind() == other.kind() && chain(error).to_string() == chain(other).to_string()
            }
            (Self::Frame(error), Self::Frame(other)) => error == other,
            (Self::Refused(error), Self::Refused(other)) => error == other,
            (
                Self::WrongProtocol { protocol, found },
                Self::WrongProtocol { protocol: spoken, found: start },
            ) => (protocol, found) == (spoken, start),
            (Self::SendTimeout { unsent, after }, Self::SendTimeout { unsent: bytes, after: time }) => {
                (unsent, after) == (bytes, time)
            }
            (Self::Idle { after }, Self::Idle { after: time })
            | (Self::Silent { after }, Self::Silent { after: time }) => after == time,
            (Self::FrameTimeout { received, after }, Self::FrameTimeout { received: bytes, after: time }) => {
                (received, after) == (bytes, time)
            }
            (Self::OutgoingFull { unsent, limit }, Self::OutgoingFull { unsent: bytes, limit: most }) => {
                (unsent, limit) == (bytes, most)
            }
            (Self::Cost { cost, limit }, Self::Cost { cost: amount, limit: most }) => {
                (cost, limit) == (amount, most)
            }
            (Self::Panicked { message }, Self::Panicked { message: text }) => message == text,
            // The reasons without fields. All are named, so that a new one cannot be forgotten.
            (
                Self::Local
                | Self::Aborted
                | Self::Peer
                | Self::Shutdown
                | Self::NoSession
                | Self::RuntimeStopped,
                _,
            ) => std::mem::discriminant(self) == std::mem::discriminant(other),
            (
                Self::PeerClosed { .. }
                | Self::Io(_)
                | Self::Frame(_)
                | Self::Refused(_)
                | Self::WrongProtocol { .. }
                | Self::SendTimeout { .. }
                | Self::Idle { .. }
                | Self::Silent { .. }
                | Self::FrameTimeout { .. }
                | Self::OutgoingFull { .. }
                | Self::Cost { .. }
                | Self::Panicked { .. },
                _,
            ) => false,
        }
    }
}

fn refused(error: &ErrorObject) -> &'static str {
    match error.code() {
        ErrorCode::EXCESSIVE_RESOURCE_USAGE => "closed by the peer, to which this side has cost too much",
        _ => "closed by the peer, which has refused this connection",
    }
}

fn closed(code: u16, reason: &str) -> String {
    match (code, reason) {
        (1005, "") => "closed by the peer without a code (1005)".to_owned(),
        (1006, "") => "the connection has ended without a close frame of the peer's (1006)".to_owned(),
        (1008, "") => "closed by the peer with code 1008: its policy was violated".to_owned(),
        (code, "") => format!("closed by the peer with code {code}: no reason given"),
        (code, reason) => format!("closed by the peer with code {code}: {}", escaped(reason)),
    }
}
