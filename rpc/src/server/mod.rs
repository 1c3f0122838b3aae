//! Servers: listening, accepting peers, serving them over sessions and HTTP, and graceful shutdown.

mod accept;
mod builder;
mod handle;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_work;
mod listen;
mod listener;
mod shared;

pub use builder::{Server, ServerBuilder};
pub use handle::ServerHandle;
#[cfg(feature = "http")]
pub use http::{HttpBody, HttpOptions, HttpService};
pub use listen::Listen;
pub use shared::BindError;
