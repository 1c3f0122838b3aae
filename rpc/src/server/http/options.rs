//! How a server speaks HTTP.

use crate::transport::WebOrigins;

/// How a server that listens at `http://` or `https://` speaks HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    origins: WebOrigins,
    has_no_content: bool,
}
