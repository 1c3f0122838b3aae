//! Calls over HTTP: each is a POST of its own, over connections that are kept and used again. There is no session, so nobody is called
//! back.

mod builder;
mod caller;
mod connections;
mod exchange;

pub use builder::{HttpClientBuilder, HttpClientError};
pub use caller::HttpClient;
