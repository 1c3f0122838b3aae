//! Connecting to a peer.

mod connector;
mod error;
#[cfg(feature = "http")]
mod http;
mod open;

pub use connector::Connector;
pub use error::ConnectError;
#[cfg(feature = "http")]
pub use http::{HttpClient, HttpClientBuilder, HttpClientError};

use crate::session::Session;

/// Connects to `url`, for example `tcp://127.0.0.1:8000`, with everything as it is by default.
///
/// # Errors
///
/// Where the URL is wrong, or nobody answers there.
pub async fn connect(url: &str) -> Result<Session, ConnectError> {
    Connector::new(url)?.connect().await
}
