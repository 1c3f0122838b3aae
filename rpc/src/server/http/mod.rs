//! HTTP: a request's body is one message, and the response's its answer.
//!
//! No session is carried: each request is answered by a [`Dispatcher`](crate::Dispatcher). What is refused before it reaches the dispatcher
//! has a status of HTTP's; what the dispatcher answers has 200, also where it is an error.

mod arrival;
mod attach;
mod body;
mod capacity;
mod connection;
mod connections;
mod content_type;
mod flow;
mod frames;
mod options;
mod payer;
mod refusal;
mod refused;
mod service;
#[cfg(feature = "ws")]
mod upgrade;
mod watch;
mod watched;

pub use body::HttpBody;
pub(super) use capacity::Capacity;
pub(super) use connection::Http;
pub(super) use connections::Connections;
pub use options::HttpOptions;
pub use service::HttpService;

/// What is offered in the handshake of TLS, best first.
#[cfg(feature = "tls-no-provider")]
pub(super) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];
