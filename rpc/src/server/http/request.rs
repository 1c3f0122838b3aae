//! The body of a request, and the refusals of requests that do not reach the dispatcher.

use std::{
    convert::Infallible,
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};

use crate::{
    framing::is_far_over,
    jsonrpc::{ErrorCode, ErrorObject, shown::brief},
    limits::{Limits, OverLimit},
    server::{
        http_work::{Permits, Scarce, body_bytes},
        shared::{self, ServerFull},
    },
    service::Dispatcher,
    transport::{Denied, Endpoint, LogRate},
};

/// The body of a response: a whole reply, or nothing.
#[derive(Debug, Clone, Default)]
pub struct HttpBody(Bytes);

impl From<Bytes> for HttpBody {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Body for HttpBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Reads a body of up to `frame_size` bytes. One with a larger declared size is not read at all;
/// one that turns out to be larger is dropped. Each buffered byte takes a permit.
pub(super) async fn read_body<B>(body: B, permits: Permits<'_>, limits: &Limits) -> Result<Bytes, HttpRefusal>
where
    B: Body<Error: fmt::Display>,
{
    let limit = limits.frame_size;
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        return Err(HttpRefusal::TooLarge { declared: Some(declared), limit });
    }
    let mut body = pin!(body);
    let mut read = PartialBody { bytes: Vec::new(), limit, permits, permitted: body_bytes(limits) };
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| HttpRefusal::Broken(error.to_string()))?;
        // Trailers are ignored.
        let Ok(mut data) = frame.into_data() else { continue };
        if read.bytes.is_empty() && data.remaining() <= limit && body.is_end_stream() {
            // The body came in one piece, which is not copied.
            return Ok(data.copy_to_bytes(data.remaining()));
        }
        read.push(&mut data)?;
    }
    Ok(read.bytes.into())
}

/// The bytes of a body so far.
struct PartialBody<'a> {
    bytes: Vec<u8>,
    limit: usize,
    permits: Permits<'a>,
    /// The number of all permits, for the error.
    permitted: usize,
}

impl PartialBody<'_> {
    fn push(&mut self, data: &mut impl Buf) -> Result<(), HttpRefusal> {
        let size = self.bytes.len() + data.remaining();
        if size > self.limit {
            return Err(HttpRefusal::TooLarge { declared: None, limit: self.limit });
        }
        if size > self.bytes.capacity() {
            // Doubled each time, up to the limit.
            let capacity = size.max(self.bytes.capacity().saturating_mul(2)).min(self.limit);
            let (arrived, limit) = (size, self.permitted);
            let grown = self.permits.grow(capacity - self.bytes.capacity());
            grown.map_err(|scarce| HttpRefusal::NoRoom { arrived, scarce, limit })?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            self.bytes.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
        Ok(())
    }
}

/// The media types of JSON-RPC. The types that browsers let a page post to other hosts without a
/// preflight (`text/plain`, forms, and no type) must never be among them.
const ACCEPTED: [&str; 3] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/// Checks that the body is declared as JSON, in UTF-8, without an encoding.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), HttpRefusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    if second.is_some() || !first.is_some_and(|of| of.to_str().is_ok_and(is_json)) {
        return Err(HttpRefusal::MediaType(first.map(|of| of.to_str().unwrap_or("(no text)").to_owned())));
    }
    match headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|of| !of.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        Some(of) => Err(HttpRefusal::Encoding(of.to_str().unwrap_or("(no text)").to_owned())),
        None => Ok(()),
    }
}

fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    ACCEPTED.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                ["utf-8", "utf8"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8))
            }
            _ => true,
        })
}

/// Why a request did not reach the dispatcher.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpRefusal {
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

    #[error("the body has not arrived within {0:?} (`frame_timeout`)")]
    Late(Duration),

    #[error("the body could not be read: {0}")]
    Broken(String),

    #[error("{}", busy(scarce, *limit))]
    Busy { scarce: Scarce, limit: usize },

    #[error(transparent)]
    ServerFull(#[from] ServerFull),

    #[error("no room for the body, of which {arrived} bytes have arrived: {}", no_room(scarce, *limit))]
    NoRoom { arrived: usize, scarce: Scarce, limit: usize },

    #[error(
        "excessive resource usage: this connection, or those where you are together, have cost {cost:.0}, and may cost \
         {limit} (`cost_hard`). Try again later"
    )]
    Cost { cost: f64, limit: f64 },

    #[error(transparent)]
    Group(#[from] OverLimit),

    #[error("the server is shutting down: it takes no further requests")]
    ShuttingDown,

    #[error(
        "the server has shut down, and did not wait any longer for this request to be finished (`close_timeout`, or \
         the time that the shutdown was given)"
    )]
    GivenUp,
}

fn busy(scarce: &Scarce, limit: usize) -> String {
    let &Scarce { held, left, is_for_all } = scarce;
    match is_for_all {
        true => format!(
            "too many requests at once: the server works on {}, and may work on {limit} (`Limits::connections`). \
             Try again later",
            limit.saturating_sub(left)
        ),
        false => format!(
            "too many requests at once over one connection: it has {held}, and may have no more than are left for \
             others, {left} of the {limit} that the server may work on (`Limits::connections`). Try again later, or \
             with fewer at once"
        ),
    }
}

fn no_room(scarce: &Scarce, limit: usize) -> String {
    let &Scarce { held, left, is_for_all } = scarce;
    match is_for_all {
        true => format!(
            "those that arrive at the server have {}, and may have {limit} bytes together (`body_bytes`). Try again \
             later",
            limit.saturating_sub(left)
        ),
        false => format!(
            "those that arrive over this connection have {held}, and may have no more than is left for others, {left} \
             of what all may have, {limit} bytes together (`body_bytes`). Try again later, or with fewer at once"
        ),
    }
}

impl From<Denied> for HttpRefusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Malformed(reason) => Self::Host(reason),
            Denied::Forbidden(reason) => Self::Access(reason),
        }
    }
}

impl HttpRefusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Access(_) => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) | Self::Host(_) => StatusCode::BAD_REQUEST,
            Self::Busy { .. }
            | Self::ServerFull(_)
            | Self::NoRoom { .. }
            | Self::Group(OverLimit::Connections { .. })
            | Self::ShuttingDown
            | Self::GivenUp => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cost { .. } | Self::Group(OverLimit::Cost { .. }) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    const fn code(&self) -> ErrorCode {
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => ErrorCode::SERVER_BUSY,
            StatusCode::TOO_MANY_REQUESTS => ErrorCode::EXCESSIVE_RESOURCE_USAGE,
            _ => ErrorCode::INVALID_REQUEST,
        }
    }

    /// The charge to the peer.
    pub(super) const fn cost(&self, limits: &Limits) -> f64 {
        match self {
            Self::TooLarge { .. } => limits.cost_of_unreadable,
            _ => match self.code() {
                ErrorCode::INVALID_REQUEST => limits.cost_of_error,
                // Not the peer's fault, or charged already.
                _ => 0.0,
            },
        }
    }

    /// Returns true if the connection is to be closed: the rest of the body is not read, or further
    /// requests would fail, too.
    const fn closes(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. }
                | Self::Cost { .. }
                | Self::Group(OverLimit::Cost { .. })
                | Self::ShuttingDown
                | Self::GivenUp
        )
    }

    /// Logs the limit that was reached, if it was one, and the field to change.
    pub(super) fn log(&self, peer: &Endpoint, rate: &LogRate) {
        let is_limit = matches!(
            self,
            Self::Busy { .. }
                | Self::NoRoom { .. }
                | Self::ServerFull(_)
                | Self::Group(_)
                | Self::Cost { .. }
        );
        if !is_limit {
            return;
        }
        let Some(unlogged) = rate.admit() else { return };
        match self {
            &Self::Busy { limit, .. } => tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = "http", network.peer.address = %peer, limit, unlogged,
                "an HTTP request was answered 503, as too many are worked on at once. Where the system has room for more, raise \
                 `Limits::connections`"
            ),
            &Self::NoRoom { limit, .. } => tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = "http", network.peer.address = %peer, limit, unlogged,
                "an HTTP request was answered 503, as too many bytes of bodies arrive at once. Where there is memory for more, raise \
                 `Limits::body_bytes`"
            ),
            Self::ServerFull(full) => shared::log_full(full, peer, unlogged),
            Self::Group(over) => shared::log_over(over, peer, unlogged),
            &Self::Cost { cost, limit } => shared::log_over(&OverLimit::Cost { cost, limit }, peer, unlogged),
            _ => {}
        }
    }

    /// The response: the status, and as its body an error with the id null. `version` is that of
    /// the request.
    pub(super) fn response(&self, dispatcher: &Dispatcher, version: Version) -> Response<HttpBody> {
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
        let error = match self {
            // The handler may have had effects.
            Self::GivenUp => error,
            // The code implies it.
            _ if self.code() == ErrorCode::INVALID_REQUEST => error,
            _ => error.not_executed(),
        };
        let mut response = error_response(self.status(), dispatcher.refuse(&error), self.closes(), version);
        if let Self::Method(_) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// A response with an error in JSON, to a request of `version`. `closes`: the connection is closed
/// after it.
pub(super) fn error_response(
    status: StatusCode,
    body: Bytes,
    closes: bool,
    version: Version,
) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // HTTP/2 has no such header: it ends the stream.
    if closes && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
