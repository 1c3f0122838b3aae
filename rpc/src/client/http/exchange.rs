//! One exchange: a message goes out as the body of a POST, and a response comes back.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header::LOCATION, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    ext::on_informational,
};
use hyper_util::client::legacy::{Client, Error};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connections::{ConnectFailure, HyperConnector, ServerGreeting};
use crate::{
    framing::is_far_over,
    jsonrpc::{Connection, clean_boxed, clean_io, version::Version},
    limits::Limits,
    transport::{Expected, Foreign, HttpError, MOST_INTERIM, Net, Secrets, TooManyInterim, shown},
};

/// The most characters of a response that an error shows.
const SHOWN: usize = 200;

/// The state that all clones of a client share.
pub(super) struct Exchanges {
    pub(super) client: Client<HyperConnector, Full<Bytes>>,
    pub(super) uri: Uri,
    pub(super) net: Net,
    /// The server, as it is shown in errors.
    pub(super) server: String,
    pub(super) headers: HeaderMap,
    /// True if only HTTP/2 is accepted.
    pub(super) http2_only: bool,
    pub(super) limits: Limits,
    pub(super) limiter: ExchangeLimiter,
    /// Set once, by the first response, if the version is to be detected.
    pub(super) version: Mutex<Version>,
    /// The last id of a call. Unique ids are not needed, as each exchange has its own; they help
    /// the reader of a log.
    pub(super) last_id: AtomicU64,
}

/// The server does not speak HTTP.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
struct NotHttp {
    told: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Counts the interim responses (1xx) of an exchange. Over HTTP/2 hyper does not report them: there
/// only the timeout of the call bounds them.
#[derive(Default)]
struct InterimResponses {
    seen: AtomicUsize,
    /// The task that waits for the response.
    waiting: AtomicWaker,
}

impl InterimResponses {
    fn count_those_of<B>(self: &Arc<Self>, request: &mut Request<B>) {
        let interim = Arc::clone(self);
        on_informational(request, move |_| {
            if interim.seen.fetch_add(1, Ordering::Relaxed) == MOST_INTERIM {
                interim.waiting.wake();
            }
        });
    }

    /// Waits for the response, and fails when too many interim ones come before it.
    async fn unless_too_many<T>(&self, answered: impl Future<Output = T>) -> Result<T, TooManyInterim> {
        let mut answered = pin!(answered);
        poll_fn(|cx| {
            self.waiting.register(cx.waker());
            match self.seen.load(Ordering::Relaxed) > MOST_INTERIM {
                true => Poll::Ready(Err(TooManyInterim)),
                false => answered.as_mut().poll(cx).map(Ok),
            }
        })
        .await
    }
}

/// The response of the server.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The whole body, within the limit.
    pub(super) body: Bytes,
}

impl Exchanges {
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Waits for the permit to send a message of about `size` bytes.
    pub(super) async fn permit(&self, size: usize) -> ExchangePermit<'_> {
        self.limiter.acquire(size).await
    }

    /// The protocol state of one exchange with `calls` calls. The value kept with each call is its
    /// index in the message.
    pub(super) fn begin(&self, calls: usize) -> Connection<usize> {
        let version = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        Connection::of(version).with_ids_after(self.last_id.fetch_add(calls, Ordering::Relaxed))
    }

    /// Keeps the version that an exchange has detected.
    pub(super) fn end(&self, connection: &Connection<usize>) {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version.is_undecided() {
            *version = connection.version();
        }
    }

    /// Sends `message`, and reads the whole response. Dropping the future ends the exchange.
    pub(super) async fn post(&self, message: Vec<u8>) -> Result<HttpResponse, HttpError> {
        let mut request = Request::new(Full::new(Bytes::from(message)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let interim = Arc::new(InterimResponses::default());
        interim.count_those_of(&mut request);
        let response = match interim.unless_too_many(self.client.request(request)).await {
            Ok(response) => response.map_err(|error| self.failed(error))?,
            Err(problem) => {
                return Err(HttpError::Broken { url: self.server.clone(), source: problem.into() });
            }
        };
        let (Parts { status, headers, .. }, body) = response.into_parts();
        if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
            let location = excerpt(&shown(&String::from_utf8_lossy(location.as_bytes())));
            let (url, status) = (self.server.clone(), status.as_u16());
            return Err(HttpError::Redirect { url, status, location, headers: headers.into() });
        }
        let limit = self.limits.frame_size;
        match receive(body, limit, !status.is_success()).await {
            Ok(ResponseBody::Whole(body)) => Ok(HttpResponse { status, headers, body }),
            // The start of the body is enough for the error.
            Ok(received) if !status.is_success() => Err(self.refused(status, headers, received.start())),
            Ok(ResponseBody::TooLarge { declared, .. }) => {
                self.log_far_over(declared, limit);
                Err(HttpError::TooLarge { url: self.server.clone(), declared, limit })
            }
            Err(error) => {
                Err(HttpError::Broken { url: self.server.clone(), source: clean_boxed(error.into()) })
            }
        }
    }

    /// Logs a declared size far over the limit, which is hardly an accident. Its connection is
    /// closed.
    fn log_far_over(&self, declared: Option<u64>, limit: usize) {
        if let Some(size) =
            declared.filter(|&size| is_far_over(usize::try_from(size).unwrap_or(usize::MAX), limit))
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", url = %self.server, size, limit,
                "a body far over the limit was refused: where such bodies are to be taken, raise `Limits::frame_size` on this side"
            );
        }
    }

    /// The error for a response with an error status and no JSON-RPC in it.
    pub(super) fn refused(&self, status: StatusCode, headers: HeaderMap, body: &[u8]) -> HttpError {
        let (url, text, headers) = (self.server.clone(), self.excerpt(body), headers.into());
        match status {
            StatusCode::TOO_MANY_REQUESTS => HttpError::TooManyRequests { url, text, headers },
            StatusCode::SERVICE_UNAVAILABLE => HttpError::Unavailable { url, text, headers },
            other => HttpError::Status { url, status: other.as_u16(), text, headers },
        }
    }

    /// The error for a response that is not a JSON-RPC reply.
    pub(super) fn no_reply(&self, answer: HttpResponse) -> HttpError {
        let (status, text) = (answer.status.as_u16(), self.excerpt(&answer.body));
        HttpError::NoReply { url: self.server.clone(), status, text, headers: answer.headers.into() }
    }

    /// The start of a text from the server, without secrets of the request that it echoes.
    #[cold]
    fn excerpt(&self, text: &[u8]) -> String {
        let start = String::from_utf8_lossy(start_of(text));
        excerpt(&Secrets::of(&self.net.path, &self.headers, &[]).hide(&start))
    }

    /// The protocol that the server speaks on a failed connection, if that is not HTTP.
    fn foreign(&self, error: &Error) -> Option<Foreign> {
        let mut extras = http::Extensions::new();
        error.connect_info()?.get_extras(&mut extras);
        extras.get::<ServerGreeting>()?.foreign(self.http2_only)
    }

    /// The error for a server that does not speak HTTP. A server that echoes the request must not
    /// leak the path, which may hold a key.
    fn not_http(&self, foreign: &Foreign, source: Error) -> NotHttp {
        let told = foreign.told(Expected::Http).to_string();
        let told = Secrets::of(&self.net.path, &self.headers, &[]).hide(&told);
        NotHttp { told, source: clean_boxed(source.into()) }
    }

    fn failed(&self, error: Error) -> HttpError {
        let url = self.server.clone();
        if !error.is_connect() {
            let source = match self.foreign(&error) {
                Some(foreign) => self.not_http(&foreign, error).into(),
                None => clean_boxed(error.into()),
            };
            return HttpError::Broken { url, source };
        }
        let cause =
            std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<ConnectFailure>());
        match cause.cloned() {
            Some(cause) => cause.into_http_error(url),
            None => HttpError::Connect { url, source: Arc::new(clean_io(io::Error::other(error))) },
        }
    }
}

/// Bounds the exchanges in flight, and their bytes. Permits are given in order.
#[derive(Debug)]
pub(super) struct ExchangeLimiter {
    exchanges: Semaphore,
    bytes: Semaphore,
    /// The number of permits for bytes.
    most: u32,
}

/// The permits of one exchange, until dropped.
#[derive(Debug)]
pub(super) struct ExchangePermit<'a> {
    _exchange: SemaphorePermit<'a>,
    _bytes: SemaphorePermit<'a>,
}

impl ExchangeLimiter {
    /// At least one exchange, and a message of any size, is always allowed.
    pub(super) fn new(exchanges: usize, bytes: usize) -> Self {
        let most = u32::try_from(bytes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self {
            exchanges: Semaphore::new(exchanges.clamp(1, Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)),
            most,
        }
    }

    /// Waits for the permits of a message of about `size` bytes.
    async fn acquire(&self, size: usize) -> ExchangePermit<'_> {
        let bytes = u32::try_from(size).unwrap_or(u32::MAX).min(self.most);
        let never_closed = "the semaphores are never closed";
        ExchangePermit {
            _exchange: self.exchanges.acquire().await.expect(never_closed),
            _bytes: self.bytes.acquire_many(bytes).await.expect(never_closed),
        }
    }
}

/// The body of a response, as far as it was read.
#[derive(Debug)]
enum ResponseBody {
    Whole(Bytes),
    /// The body is larger than the limit.
    TooLarge {
        /// The bytes that were read before the size was known.
        start: Bytes,
        /// The size that the head declares.
        declared: Option<u64>,
    },
}

impl ResponseBody {
    /// The bytes that were read.
    fn start(&self) -> &[u8] {
        match self {
            Self::Whole(body) | Self::TooLarge { start: body, .. } => body,
        }
    }
}

/// Reads up to `limit` bytes. A declared size is never allocated in advance. A body that declares
/// more than the limit is not read; with `wants_start`, its first piece is.
async fn receive(mut body: Incoming, limit: usize, wants_start: bool) -> Result<ResponseBody, hyper::Error> {
    let declared = body.size_hint().exact();
    let declares_too_much = declared.is_some_and(|size| size > u64::try_from(limit).unwrap_or(u64::MAX));
    if declares_too_much && !wants_start {
        return Ok(ResponseBody::TooLarge { start: Bytes::new(), declared });
    }
    // A body is nearly always one piece, which is not copied.
    let (mut only, mut several) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        // Frames without data are trailers.
        let Ok(piece) = frame?.into_data() else { continue };
        if declares_too_much || only.len().max(several.len()) + piece.len() > limit {
            let start = if only.is_empty() { piece } else { only };
            return Ok(ResponseBody::TooLarge { start, declared });
        }
        if only.is_empty() {
            only = piece;
            continue;
        }
        if several.is_empty() {
            several.extend_from_slice(&only);
        }
        several.extend_from_slice(&piece);
    }
    Ok(ResponseBody::Whole(if several.is_empty() { only } else { several.into() }))
}

/// Enough bytes of a text for an excerpt. A character has up to four bytes; if the last one is cut
/// in two, it is beyond the excerpt.
fn start_of(text: &[u8]) -> &[u8] {
    &text[..text.len().min(4 * (SHOWN + 1))]
}

/// The start of a text from the server, on one line and without control characters.
fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut characters = text.trim().chars();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            control if control.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            other => shown.push(other),
        }
    }
    if characters.next().is_some() {
        shown.push('\u{2026}');
    }
    shown
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
