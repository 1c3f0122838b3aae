//! Bytes to frames and back: where one message ends and the next begins.
//!
//! Framers are synchronous and do no I/O. They look at the bytes read so far and say where a frame stands in them; on the way
//! out they put their marks around a message that is already in the outgoing buffer. Nothing is copied.
//!
//! # What a stream may not begin with
//!
//! A web page can have its browser send a request of HTTP to any port, without asking anybody, and
//! messages of JSON-RPC in it. So a session of JSON-RPC over a stream of bytes looks at what comes
//! first, before a framer does. Where that is another protocol, the session ends with
//! [`CloseReason::WrongProtocol`](crate::CloseReason::WrongProtocol) and an event of `tracing` at
//! the level `INFO`, and nothing of it is handled: a request of HTTP (any method, target and
//! version), a hello of TLS, a command of SMTP, POP3, FTP or IRC, and what servers of HTTP, TLS,
//! SSH, SMTP, FTP, IMAP, POP3 or Redis say first. This holds on both sides, whatever the framing and
//! the [`Limits`](crate::Limits), over TCP, Unix sockets, within TLS, in memory, and over streams of
//! yours.
//!
//! So it is where a peer uses another framing of this crate than this side does, which would wait
//! for the end of a frame that does not come. A client is answered, once, in its own language:
//! [`guide::errors`](crate::guide::errors#where-the-other-side-speaks-something-else) has a table.
//!
//! It does not hold for a [`MessageSession`](crate::MessageSession), whose messages may be
//! anything: a protocol of lines has to refuse such a beginning itself. WebSocket has a check of
//! its own, of the `Origin`.

#[cfg(feature = "bitcoin")]
mod bitcoin;
mod codec;
mod content_length;
mod delimited;
mod framer;
mod length_prefixed;
mod recognise;
#[cfg(test)]
mod tests;
#[cfg(feature = "ws")]
pub(crate) mod websocket;

#[cfg(feature = "bitcoin")]
pub use bitcoin::{BitcoinFramer, BitcoinMessage};
pub use codec::CodecFramer;
pub use content_length::ContentLengthFramer;
pub(crate) use content_length::is_token;
pub use delimited::{JsonFramer, NewlineFramer};
pub(crate) use framer::{AnyFramer, excerpt, is_far_over};
pub use framer::{FrameError, Framed, Framer};
pub(crate) use length_prefixed::DeclaredBody;
pub use length_prefixed::{LengthPrefixedFramer, NetstringFramer};
pub(crate) use recognise::{Beginning, Framing};
