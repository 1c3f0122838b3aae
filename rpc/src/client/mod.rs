//! The side that connects: sessions, and calls over HTTP.

mod connector;
mod dial;
#[cfg(feature = "http")]
mod http;

pub use connector::{Connector, connect};
pub use dial::ConnectError;
#[cfg(feature = "http")]
pub use http::{HttpClient, HttpClientBuilder, HttpClientError};
