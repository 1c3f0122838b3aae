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

use std::time::Duration;

use crate::session::Session;

/// Connects to `url`, for example `tcp://127.0.0.1:8000`, with everything as it is by default.
///
/// # Errors
///
/// Where the URL is wrong, or no peer answers there.
pub async fn connect(url: &str) -> Result<Session, ConnectError> {
    Connector::new(url)?.connect().await
}

/// What comes of `work`, or the time that it was not done in.
async fn in_time<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, Duration> {
    match limit {
        None => Ok(work.await),
        // What is late already is not even tried.
        Some(Duration::ZERO) => Err(Duration::ZERO),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
    }
}
