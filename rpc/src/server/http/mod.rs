//! HTTP: the body of a request is one message, and the body of its response is the reply.
//!
//! There is no session: each request is served by a [`Dispatcher`](crate::Dispatcher). A request
//! that is refused before the dispatcher has an HTTP status of 4xx or 5xx; every reply of the
//! dispatcher, error or not, has 200.

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

/// The protocols offered in the TLS handshake (ALPN), best first.
#[cfg(feature = "tls-no-provider")]
pub(super) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];
