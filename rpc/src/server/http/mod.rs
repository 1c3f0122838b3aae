//! HTTP: a request's body is one message, and the response's its answer.
//!
//! No session is carried: each request is answered by a [`Dispatcher`](crate::Dispatcher). What is refused before it reaches the dispatcher
//! has a status of HTTP's; what the dispatcher answers has 200, also where it is an error.

mod activity;
mod connect_info;
mod connection;
mod flow;
mod request;
mod service;
#[cfg(feature = "ws")]
mod upgrade;

pub use connection::HttpOptions;
pub(super) use connection::HttpProtocol;
pub use request::HttpBody;
pub use service::HttpService;

/// What is offered in the handshake of TLS, best first.
#[cfg(feature = "tls-no-provider")]
pub(super) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];
