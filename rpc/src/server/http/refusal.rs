//! What is not answered by a dispatcher.

use std::time::Duration;

use http::{HeaderValue, Method, Response, StatusCode, header};

use super::body::HttpBody;
use crate::{
    framing::is_far_over,
    jsonrpc::{ErrorCode, ErrorObject, shown::brief},
    limits::Limits,
    service::Dispatcher,
    transport::Denied,
};

/// Why a request has not come to the dispatcher.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Access(String),

    #[error("{0}")]
    Host(String),

    #[error("nothing is served at this path")]
    Path,

    #[error("the method is {0}: messages are posted")]
    Method(Method),

    #[error("the content type is {}: it has to be application/json", .0.as_deref().unwrap_or("missing"))]
    MediaType(Option<String>),

    #[error("the content encoding is {0}: nothing is unpacked here")]
    Encoding(String),

    #[error("the body has {}: the limit is {limit} (`frame_size`)", declared.map_or("more bytes".to_owned(), |size| format!("{size} bytes")))]
    TooLarge { declared: Option<u64>, limit: usize },

    #[error("the body has not arrived within {0:?}")]
    Late(Duration),

    #[error("the body could not be read: {0}")]
    Broken(String),

    #[error(
        "too many requests at once: the server works on no more than {0} (`connections`), of which one connection \
         has a share. Try again later, or with fewer at once"
    )]
    Busy(usize),

    #[cfg_attr(
        not(feature = "ws"),
        expect(dead_code, reason = "it refuses a client that asks for a WebSocket")
    )]
    #[error("too many connections: {open} are open, and {limit} may be. Try again later")]
    Full { open: usize, limit: usize },

    #[error(
        "no room for the body, of which {arrived} bytes have arrived: those that arrive at the server may have {limit} \
         bytes together (`body_bytes`), of which one connection has a share. Try again later, or with fewer at once"
    )]
    NoRoom { arrived: usize, limit: usize },

    #[error("excessive resource usage")]
    Cost,
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Malformed(reason) => Self::Host(reason),
            Denied::Forbidden(reason) => Self::Access(reason),
        }
    }
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Access(_) => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) | Self::Host(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) | Self::Full { .. } | Self::NoRoom { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cost => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    const fn code(&self) -> ErrorCode {
        match self {
            Self::Busy(_) | Self::Full { .. } | Self::NoRoom { .. } => ErrorCode::SERVER_BUSY,
            Self::Cost => ErrorCode::EXCESSIVE_RESOURCE_USAGE,
            _ => ErrorCode::INVALID_REQUEST,
        }
    }

    /// What it costs the peer.
    pub(super) const fn cost(&self, limits: &Limits) -> f64 {
        match self {
            Self::TooLarge { .. } => limits.cost_of_unreadable,
            // What is not the peer's fault, and what has been paid for.
            Self::Busy(_) | Self::Full { .. } | Self::NoRoom { .. } | Self::Cost => 0.0,
            _ => limits.cost_of_error,
        }
    }

    /// The status, and an error with the id null for those who read on.
    pub(super) fn response(&self, dispatcher: &Dispatcher) -> Response<HttpBody> {
        tracing::debug!(rpc.system.name = "jsonrpc", status = self.status().as_u16(), error = %brief(self), "an HTTP request was refused");
        if let &Self::TooLarge { declared: Some(size), limit } = self
            && is_far_over(usize::try_from(size).unwrap_or(usize::MAX), limit)
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc",
                size,
                limit,
                "a body far over the limit was refused: where such bodies are to be taken, raise `Limits::frame_size` on this side"
            );
        }
        let error = ErrorObject::new(self.code(), self.to_string());
        let error = match self.code() {
            // Its code says it.
            ErrorCode::INVALID_REQUEST => error,
            _ => error.not_executed(),
        };
        let mut response = Response::new(HttpBody::from(dispatcher.refuse(&error)));
        *response.status_mut() = self.status();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Method(_) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
