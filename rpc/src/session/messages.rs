//! Sessions that carry the application's own messages in place of JSON-RPC.

use std::{fmt, marker::PhantomData, time::Duration};

use super::{
    CloseReason, Session,
    capacity::{NotSent, poll_capacity},
};
use crate::{framing::FrameError, jsonrpc::buffer::Buffer};

/// The encoding of a message in a protocol without replies.
///
/// ```
/// use rpc::{Message, framing::FrameError};
///
/// /// A reading of a meter: big-endian, in hundredths.
/// struct Reading(u32);
///
/// impl Message for Reading {
///     fn read(frame: &[u8]) -> Result<Self, FrameError> {
///         match <[u8; 4]>::try_from(frame) {
///             Ok(bytes) => Ok(Self(u32::from_be_bytes(bytes))),
///             Err(_) => Err(FrameError::Invalid(format!("a reading has 4 bytes, and not {}", frame.len()))),
///         }
///     }
///
///     fn write(&self, out: &mut Vec<u8>) {
///         out.extend_from_slice(&self.0.to_be_bytes());
///     }
/// }
/// ```
pub trait Message: Sized + Send + 'static {
    /// Decodes the content of a frame.
    ///
    /// # Errors
    ///
    /// If it is no valid message. It is dropped, and the peer is charged
    /// [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable), times the error's
    /// [severity](FrameError::severity).
    fn read(frame: &[u8]) -> Result<Self, FrameError>;

    /// Appends the encoded message, without its framing.
    fn write(&self, out: &mut Vec<u8>);
}

/// A session that carries messages of type `M` in place of JSON-RPC: typed messages in both
/// directions, and no replies. Bitcoin nodes use such a protocol.
///
/// It is made by [`Connector::connect_messages`](crate::Connector::connect_messages) and
/// [`ServerBuilder::messages`](crate::ServerBuilder::messages), which take the handler of received
/// messages. Limits, cost, timeouts, groups, hooks and close reasons are those of the [`Session`]
/// inside it; a message counts as a request there.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, Message, MessageSession, Server, framing::{FrameError, NetstringFramer}};
///
/// struct Text(String);
///
/// impl Message for Text {
///     fn read(frame: &[u8]) -> Result<Self, FrameError> {
///         String::from_utf8(frame.to_vec()).map(Self).map_err(|error| FrameError::Invalid(error.to_string()))
///     }
///
///     fn write(&self, out: &mut Vec<u8>) {
///         out.extend_from_slice(self.0.as_bytes());
///     }
/// }
///
/// // The server shouts back, as often as it is told something.
/// let server = Server::builder()
///     .framer(NetstringFramer::new())
///     .messages(async |session: MessageSession<Text>, heard: Text| {
///         let _ = session.send(&Text(heard.0.to_uppercase())).await;
///     })
///     .bind("tcp://127.0.0.1:0").await?;
/// let url = server.endpoint().to_string();
/// let running = server.start();
///
/// let (heard, mut hears) = tokio::sync::mpsc::channel(10);
/// let session = Connector::new(&url)?
///     .framer(NetstringFramer::new())
///     .connect_messages(move |_, text: Text| {
///         let heard = heard.clone();
///         async move { drop(heard.send(text.0).await) }
///     })
///     .await?;
/// session.send(&Text("hello".into())).await?;
/// assert_eq!(hears.recv().await.as_deref(), Some("HELLO"));
/// # running.shutdown().await;
/// # Ok(()) }
/// ```
pub struct MessageSession<M> {
    session: Session,
    message: PhantomData<fn(M) -> M>,
}

/// The reason why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session had ended, or has ended while the message waited for capacity.
    #[error("the session is closed")]
    Closed(#[source] CloseReason),

    /// There was no capacity for it in time: see
    /// [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes) and
    /// [`Limits::call_timeout`](crate::Limits::call_timeout).
    #[error("there was no room to send for {0:?}")]
    Timeout(Duration),

    /// It does not fit into a frame.
    #[error("the message cannot be sent")]
    Frame(#[source] FrameError),
}

impl<M> MessageSession<M> {
    pub(crate) const fn new(session: Session) -> Self {
        Self { session, message: PhantomData }
    }

    /// The session inside: for closing, the peer, statistics, cost and extensions. Calls through it
    /// end with [`Unsupported::Calls`](crate::Unsupported::Calls).
    pub const fn session(&self) -> &Session {
        &self.session
    }
}

impl<M: Message> MessageSession<M> {
    /// Hands a message over for sending, and waits only for capacity to do so. Messages are sent in
    /// the order in which they were handed over.
    ///
    /// Cancel safe: if the future is dropped before it is ready, the message is not sent.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. `Ok` means that the message will be sent in its turn if the session
    /// lives, and no more.
    pub async fn send(&self, message: &M) -> Result<(), SendError> {
        // User code: it must not run under a lock.
        let mut written = Buffer::new();
        message.write(&mut written);
        let (shared, mut wait) = (self.session.shared(), None);
        let timeout = || shared.limits.call_timeout();
        let sent = std::future::poll_fn(|cx| {
            poll_capacity(shared, &mut wait, timeout, cx, |_, _| shared.send_message(&written))
        });
        sent.await.map_err(|not_sent| match not_sent {
            NotSent::Closed(reason) => SendError::Closed(reason),
            NotSent::Timeout(after) => SendError::Timeout(after),
            NotSent::Frame(error) => SendError::Frame(error),
            NotSent::Unsupported(_) => unreachable!("a message needs no version of JSON-RPC"),
        })
    }
}

impl<M> Clone for MessageSession<M> {
    fn clone(&self) -> Self {
        Self::new(self.session.clone())
    }
}

impl<M> fmt::Debug for MessageSession<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageSession").field(&self.session).finish()
    }
}
