//! Byte streams between two sides, and the URLs that name them. Nothing here knows what the bytes mean.
//!
//! One folder a transport. Each makes a connection, or turns one into another: TLS over TCP.

mod control;
mod endpoint;
mod extensions;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "http", feature = "ws"))]
mod http_headers;
#[cfg(any(feature = "http", feature = "ws"))]
mod interim;
mod io;
mod joined;
mod log_rate;
mod memory;
mod messages;
mod opening;
#[cfg(any(feature = "http", feature = "ws"))]
mod secrets;
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
#[cfg(all(unix, any(feature = "tcp", feature = "unix")))]
mod watched;
#[cfg(any(feature = "http", feature = "ws"))]
mod web_access;
#[cfg(feature = "ws")]
pub mod websocket;

use std::{fmt, sync::Arc};

pub(crate) use control::{CloseFrame, Closing, ControlFrames};
#[cfg(any(feature = "http", feature = "ws"))]
use endpoint::HIDDEN;
#[cfg(feature = "tcp")]
pub(crate) use endpoint::Host;
#[cfg(feature = "http")]
pub(crate) use endpoint::shown;
pub use endpoint::{Endpoint, EndpointError};
pub(crate) use endpoint::{Kind, Net, Scheme};
pub use extensions::{Extension, Extensions};
use futures::future::BoxFuture;
#[cfg(feature = "http")]
pub use http::HttpError;
#[cfg(any(feature = "http", feature = "ws"))]
pub use http_headers::HttpHeaders;
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use interim::{MOST_INTERIM, TooManyInterim};
pub use io::ByteStream;
pub(crate) use io::{Io, Plain};
pub use joined::{JoinedMessages, join_messages};
pub(crate) use log_rate::LogRate;
pub use memory::memory;
pub(crate) use memory::{connect_in_memory, listen_in_memory};
pub use messages::MessageChannel;
pub(crate) use messages::{MessageFramer, MessageStream};
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
pub(crate) use opening::Start;
pub(crate) use opening::{ECHO, Expected, Foreign, Opening, log_foreign, told};
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use secrets::Secrets;
#[cfg(any(feature = "http", feature = "ws"))]
pub use web_access::WebAccess;
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) use web_access::{Denied, FromItself, PageScheme, has_address};

use crate::{framing::AnyFramer, jsonrpc::ErrorObject};

/// A connection that was made, and not yet given to a session.
pub(crate) struct Connection {
    pub(crate) io: Box<dyn Io>,
    /// What was read of it already, behind a handshake.
    pub(crate) read: Vec<u8>,
    pub(crate) peer: Endpoint,
    /// What is known of it besides: credentials, certificates, headers.
    pub(crate) extensions: Extensions,
    /// How messages are told apart, where the session's settings do not say: what carries messages brings its own.
    pub(crate) framer: Option<Box<dyn AnyFramer>>,
    /// Where the transport has control frames.
    pub(crate) control: Option<Arc<ControlFrames>>,
    pub(crate) takes: Takes,
}

/// What the peer has said in a handshake that it takes, besides what every peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Takes {
    /// Notices of its subscriptions.
    pub(crate) notices: bool,
    /// That calls to it are taken back.
    pub(crate) cancel: bool,
    /// That it is told when this side shuts down.
    pub(crate) closing: bool,
}

impl Connection {
    pub(crate) fn new(io: impl ByteStream, peer: Endpoint) -> Self {
        Self::over(Plain::new(io), peer)
    }

    /// Over what may be able to tell that the peer is gone.
    pub(crate) fn over(io: impl Io, peer: Endpoint) -> Self {
        // It is shown wherever the session is.
        let peer = peer.redacted();
        Self {
            io: Box::new(io),
            read: Vec::new(),
            peer,
            extensions: Extensions::default(),
            framer: None,
            control: None,
            takes: Takes::default(),
        }
    }

    /// Over a socket, which tells that the peer is gone where the system does.
    #[cfg(all(unix, any(feature = "tcp", feature = "unix")))]
    pub(crate) fn over_socket(socket: impl watched::StreamSocket, peer: Endpoint) -> Self {
        Self::over(watched::Watched::new(socket), peer)
    }

    /// Over a socket.
    #[cfg(all(not(unix), feature = "tcp"))]
    pub(crate) fn over_socket(socket: impl ByteStream, peer: Endpoint) -> Self {
        Self::new(socket, peer)
    }

    /// Over a stream and sink of messages.
    pub(crate) fn of_messages(messages: impl MessageChannel, peer: Endpoint) -> Self {
        let framer = MessageFramer::new();
        let connection = Self::new(MessageStream::new(messages), peer);
        Self { framer: Some(Box::new(framer)), ..connection }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// What peers arrive at.
pub(crate) trait Socket: fmt::Debug + Send + Sync + 'static {
    /// The next peer, before any handshake. `None` where nobody will come any more. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, std::io::Result<Option<Connection>>>;
}

/// What has to be agreed on with a peer that has arrived before the first message: TLS, WebSocket.
pub(crate) trait Handshake: fmt::Debug + Send + Sync + 'static {
    /// Turns what was accepted into what messages go over. It has as long as
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout), and is dropped then.
    fn shake(&self, connection: Connection) -> BoxFuture<'static, std::io::Result<Connection>>;

    /// Tells a peer `error` for whom there is no place, in answer to what it asks, and gives nothing; or, where the handshake has no
    /// words for that, goes through it, and gives what comes behind it. Waits no longer than it is let.
    fn refuse<'a>(
        &'a self,
        connection: Connection,
        error: &'a ErrorObject,
    ) -> BoxFuture<'a, std::io::Result<Option<Connection>>> {
        let _ = error;
        let shaken = self.shake(connection);
        Box::pin(async { shaken.await.map(Some) })
    }
}

/// What a peer has asked for was understood, and refused: it has cost less than what cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedHandshake(pub(crate) String);

/// The peer speaks another protocol, and the log has that.
#[cfg(feature = "ws")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ForeignHandshake(pub(crate) String);

/// What is said of a scheme that this crate was built without.
pub(crate) fn built_without(feature: &str) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        format!("`rpc` was built without its feature `{feature}`"),
    )
}

/// The same of Unix sockets, which not every system has.
#[cfg(not(all(unix, feature = "unix")))]
pub(crate) fn without_unix() -> std::io::Error {
    match cfg!(unix) {
        true => built_without("unix"),
        false => std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "this system is not known to have Unix sockets",
        ),
    }
}
