//! Byte streams between two peers, and the URLs that name them. Nothing here interprets the bytes.
//!
//! One folder per transport. Each makes a connection, or wraps one in another: TLS over TCP.

mod connection;
#[cfg_attr(not(feature = "ws"), expect(dead_code, reason = "no transport has control frames then"))]
mod control;
mod endpoint;
mod extensions;
#[cfg(any(feature = "http", feature = "ws"))]
mod http;
mod memory;
mod messages;
mod opening;
mod redact;
#[cfg(all(unix, any(feature = "tcp", feature = "unix")))]
mod socket;
#[cfg(feature = "socks")]
pub mod socks;
#[cfg(feature = "stdio")]
pub mod stdio;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "tls-no-provider")]
pub mod tls;
#[cfg(all(unix, feature = "unix"))]
pub mod unix;
#[cfg(any(feature = "http", feature = "ws"))]
mod web_access;
#[cfg(feature = "ws")]
pub mod websocket;

pub use connection::ByteStream;
#[cfg(feature = "ws")]
pub(crate) use connection::ForeignHandshake;
#[cfg(all(feature = "http", feature = "ws"))]
pub(crate) use connection::Plain;
#[cfg(not(all(unix, feature = "unix")))]
pub(crate) use connection::without_unix;
pub(crate) use connection::{Connection, Handshake, Io, RefusedHandshake, Socket, Takes, built_without};
pub(crate) use control::{CloseFrame, Closing, ControlFrames};
#[cfg(any(feature = "socks", feature = "tls-no-provider"))]
pub(crate) use endpoint::Host;
pub use endpoint::{Endpoint, EndpointError};
pub(crate) use endpoint::{Kind, Net, Scheme};
pub use extensions::{Extension, Extensions};
#[cfg(feature = "http")]
pub use http::HttpError;
#[cfg(any(feature = "http", feature = "ws"))]
pub use http::HttpHeaders;
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use http::{MOST_INTERIM, TooManyInterim};
pub use memory::memory;
pub(crate) use memory::{connect_in_memory, listen_in_memory};
pub use messages::{JoinedMessages, MessageChannel, join_messages};
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
pub(crate) use opening::Start;
pub(crate) use opening::{ECHO, Expected, Foreign, LogRate, Opening, log_foreign, told};
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use redact::Secrets;
#[cfg(feature = "http")]
pub(crate) use redact::shown;
#[cfg(any(feature = "http", feature = "ws"))]
pub use web_access::WebAccess;
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use web_access::{Denied, FromItself, PageScheme, has_address};
