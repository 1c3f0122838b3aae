//! Calls over HTTP: each is a POST of its own, over pooled connections. There is no session, so the
//! server cannot call back.

mod builder;
mod caller;
mod connections;
mod exchange;

pub use builder::{HttpClientBuilder, HttpClientError};
pub use caller::HttpClient;
