//! Framing: where one message ends and the next begins.
//!
//! Framers are synchronous and do no I/O. They find frames in the bytes read so far, and frame an
//! outgoing message in place in the write buffer. Nothing is copied.
//!
//! # What a stream may not begin with
//!
//! A web page can have the browser send an HTTP request to any port, without consent, with JSON-RPC
//! messages in its body. A JSON-RPC session over a byte stream therefore inspects the first bytes
//! before a framer does. If they belong to another protocol, the session ends with
//! [`CloseReason::WrongProtocol`](crate::CloseReason::WrongProtocol) and a `tracing` event at level
//! `INFO`, and nothing is handled: an HTTP request (any method, target and version), a TLS hello,
//! an SMTP, POP3, FTP or IRC command, and the greetings of HTTP, TLS, SSH, SMTP, FTP, IMAP, POP3
//! and Redis servers. This applies to both sides, whatever the framing and the
//! [`Limits`](crate::Limits), over TCP, Unix sockets, TLS, memory and user-supplied streams.
//!
//! The same applies to a peer that uses another framing of this crate, for which this side would
//! wait for the end of a frame that never arrives. A client is answered once, in its own framing:
//! see the table in
//! [`guide::errors`](crate::guide::errors#where-the-other-side-speaks-something-else).
//!
//! The check does not apply to a [`MessageSession`](crate::MessageSession), whose messages may be
//! anything: a line-based protocol has to reject such input itself. WebSocket checks the `Origin`
//! instead.

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
