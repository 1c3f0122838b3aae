//! One HTTP connection, from the first byte to the last: its options, its requests, its end, and
//! its refusal.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, future::select};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{task::JoinSet, time::Instant};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use super::{
    HttpService,
    activity::{Activity, ResponseGuard, TrackedIo},
    connect_info::ConnectInfo,
    request::error_response,
};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, chain, shown::brief},
    limits::Limits,
    server::shared::{Policy, ServerShared},
    session::Membership,
    transport::{Connection, Expected, Io, LogRate, WebAccess, log_foreign},
};

type AnyError = Box<dyn Error + Send + Sync>;

/// The service inside all layers.
type Layered = BoxCloneSyncService<Request<Incoming>, Response<AnyBody>, AnyError>;

/// The body of a response, after all layers.
type AnyBody = UnsyncBoxBody<Bytes, AnyError>;

/// Options of HTTP at an `http://` or `https://` endpoint: see
/// [`Listen::http`](crate::Listen::http).
///
/// # Limits
///
/// The limits of [`HttpService`], and in addition:
///
/// - the number of connections, together with all sessions of the server:
///   [`Limits::connections`](crate::Limits::connections). A further one is answered with 503;
/// - the requests in flight on a connection: one over HTTP/1.1,
///   [`Limits::requests_in_flight`](crate::Limits::requests_in_flight) over HTTP/2. The first one
///   on each connection is always admitted. Further ones share the permits of the server,
///   [`Limits::connections`](crate::Limits::connections): a connection gets no more of them than
///   are left for the others, and beyond that is answered with 503;
/// - the bytes of all requests of an HTTP/2 connection:
///   [`Limits::request_bytes`](crate::Limits::request_bytes). Further requests wait, in order, with
///   at most 64 KiB each buffered. And the bytes of bodies that are arriving on all connections:
///   [`Limits::body_bytes`](crate::Limits::body_bytes);
/// - the time that a head takes to arrive, and that a new connection takes to send its first byte:
///   [`Limits::handshake_timeout`](crate::Limits::handshake_timeout). The size of a head: 64 KiB
///   and 100 headers;
/// - the idle time between requests: [`Limits::idle_timeout`](crate::Limits::idle_timeout); and the
///   time without progress while a response is sent:
///   [`Limits::send_timeout`](crate::Limits::send_timeout);
/// - the cost of a peer: each connection has an account, like a session, and shares that of its
///   [group](crate::Groups). Above [`Limits::cost_soft`](crate::Limits::cost_soft) its requests are
///   delayed; at [`Limits::cost_hard`](crate::Limits::cost_hard) they are answered with 429, and
///   the connection is closed.
///
/// A connection is not a session: [`ServerHandle::sessions`](crate::ServerHandle::sessions) does
/// not list it, and no [`Hooks`](crate::Hooks) are called. A service that is made [for each
/// session](crate::ServerBuilder::session) is made for each message.
#[derive(Clone, Default)]
pub struct HttpOptions {
    access: WebAccess,
    has_no_content: bool,
    layer: Option<Arc<dyn Fn(HttpService) -> Layered + Send + Sync>>,
}

impl HttpOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which web pages may call. Default: [`WebAccess::new()`].
    pub fn access(mut self, access: WebAccess) -> Self {
        self.access = access;
        self
    }

    /// See [`HttpService::no_content`].
    pub const fn no_content(mut self) -> Self {
        self.has_no_content = true;
        self
    }

    /// Wraps the service in a layer: tower-http's, your own, or several together
    /// (`tower::ServiceBuilder`). The layer sees every request first, and may answer it. Called
    /// again, it replaces the layer before.
    ///
    /// ```
    /// use http::{HeaderValue, header};
    /// use rpc::{HttpOptions, Listen, Server, WebAccess};
    /// use tower::ServiceBuilder;
    /// use tower_http::cors::CorsLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Pages of another origin: they may call, and their browser is told so.
    /// let page = "https://app.example.org";
    /// let cors = CorsLayer::new().allow_origin(HeaderValue::from_static(page)).allow_headers([header::CONTENT_TYPE]);
    /// let options = HttpOptions::new()
    ///     .access(WebAccess::new().allow_origin(page))
    ///     .layer(ServiceBuilder::new().layer(cors));
    /// let server = Server::builder().service(()).bind(Listen::at("http://127.0.0.1:0")?.http(options)).await?;
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    ///
    /// An error of the layer is answered with 500.
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + Sync + 'static,
        L::Service: Service<Request<Incoming>, Response = Response<B>, Error: Into<AnyError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
    {
        self.layer = Some(Arc::new(move |service| erased(layer.layer(service))));
        self
    }

    /// Applies the options to `service`.
    fn apply(&self, service: HttpService) -> Layered {
        let service = service.access(self.access.clone());
        let service = if self.has_no_content { service.no_content() } else { service };
        match &self.layer {
            Some(layer) => layer(service),
            None => erased(service),
        }
    }
}

fn erased<S, B>(service: S) -> Layered
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<AnyError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
{
    let whole = |response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync());
    BoxCloneSyncService::new(service.map_response(whole).map_err(Into::into))
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions").field("access", &self.access).finish_non_exhaustive()
    }
}

/// The size of the largest head of a request, and of the read buffer.
const HEAD: u32 = 64 << 10;

/// The largest and the smallest [`window`]: four HTTP/2 frames, and one.
const WINDOW: u32 = 64 << 10;
const SMALL_WINDOW: u32 = 16 << 10;

/// The most [`streams`]. RFC 9113, section 6.5.2, recommends no fewer than 100.
const MOST_STREAMS: u32 = 128;

/// The largest window of HTTP/2 (RFC 9113, section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// HTTP at one listener: the service with its layers, and its policy.
pub(in crate::server) struct HttpProtocol {
    service: Layered,
    policy: Arc<Policy>,
    /// Bounds the log events about peers that do not speak HTTP.
    strangers: LogRate,
}

impl HttpProtocol {
    pub(in crate::server) fn new(service: HttpService, policy: &Arc<Policy>, options: &HttpOptions) -> Self {
        Self { service: options.apply(service), policy: Arc::clone(policy), strangers: LogRate::default() }
    }

    fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    /// Serves a peer in a task of its own.
    pub(in crate::server) fn serve(
        self: &Arc<Self>,
        shared: &Arc<ServerShared>,
        connection: Connection,
        group: Membership,
    ) {
        let (http, shared) = (Arc::clone(self), Arc::clone(shared));
        let Connection { io, peer, extensions, .. } = connection;
        let connect_info = Arc::new(ConnectInfo::new(peer, extensions, group, self.limits()));
        // WorkToken from here on, not from the first poll of the task.
        let open = shared.http.begin();
        tokio::spawn(async move {
            let peer = &connect_info.peer;
            tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %peer, "an HTTP connection has begun");
            let ended = http.run(&shared, io, &connect_info).await;
            tracing::debug!(
                rpc.system.name = "jsonrpc", network.peer.address = %peer, error = ended.as_ref().err().map(|error| tracing::field::display(brief(chain(&**error)))),
                "an HTTP connection has ended"
            );
            drop(open);
        });
    }

    async fn run(
        &self,
        shared: &ServerShared,
        io: Box<dyn Io>,
        connect_info: &Arc<ConnectInfo>,
    ) -> Result<(), AnyError> {
        let activity = Activity::new();
        let service = service_fn({
            let activity = Arc::clone(&activity);
            move |mut request: Request<Incoming>| {
                let activity = Arc::clone(&activity);
                let handled = activity.begin(request.version());
                request.extensions_mut().insert(Arc::clone(connect_info));
                let answer = self.service.clone().oneshot(request);
                // Hyper keeps the space of this future for as long as the connection lasts: a box
                // is small.
                Box::pin(async move {
                    let response = answer.await.unwrap_or_else(|error| failed(&error));
                    if response.status().is_client_error() || response.status().is_server_error() {
                        activity.leaves_unread();
                    }
                    let sending = handled.answered();
                    Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, sending)))
                })
            }
        });
        let builder = self.builder();
        let io = TrackedIo::new(io, Arc::clone(&activity));
        let hang_up = io.hang_up();
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
        let mut stage = shared.stage.subscribe();
        let stops = pin!(stage.wait_for(|stage| !stage.serves()));
        let over = pin!(connect_info.account.is_over());
        let mut stopping = select(stops, over);
        let mut forced = pin!(shared.http.are_forced());
        let mut alarm = pin!(tokio::time::sleep_until(Instant::now()));
        let mut is_stopping = false;
        let ended = poll_fn(|cx| {
            if forced.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !is_stopping && stopping.poll_unpin(cx).is_ready() {
                is_stopping = true;
                activity.stop();
                connection.as_mut().graceful_shutdown();
            }
            hang_up.begin();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            // The requests and their permits are dropped with the connection.
            if let Poll::Ready(gone) = hang_up.poll(cx) {
                let why = gone.err().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
                return Poll::Ready(Err(why.into()));
            }
            while let Some((deadline, late)) = activity.deadline(self.limits()) {
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(late.into()));
                }
                // A timer that fires early is cheaper than a reset for each request.
                if alarm.is_elapsed() || deadline < alarm.deadline() {
                    alarm.as_mut().reset(deadline);
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    break;
                }
            }
            Poll::Pending
        })
        .await;
        if !is_stopping && activity.is_within_head() {
            connect_info.account.charge(self.limits().cost_of_unreadable, self.limits());
            // A peer that has gone within its first request was not refused.
            let is_refused = ended.as_ref().is_err_and(|error| is_no_http(&**error));
            if let Some(foreign) = activity.foreign().filter(|_| is_refused) {
                let (peer, rate) = (&connect_info.peer, Some(&self.strangers));
                log_foreign((Expected::Http, &foreign), (peer, None), rate, "it was answered 400 over HTTP");
            }
        }
        ended
    }

    fn builder(&self) -> auto::Builder<StreamTasks> {
        let mut builder = auto::Builder::new(StreamTasks::default());
        // The timeouts are those of [`Activity`]: hyper's do not tell an idle connection from half
        // a head.
        builder.http1().max_buf_size(HEAD as usize).header_read_timeout(None);
        let at_once = streams(self.limits());
        builder.http2().max_header_list_size(HEAD).max_concurrent_streams(at_once);
        if let Some(each) = window(self.limits()) {
            let all = at_once.saturating_mul(each).min(LARGEST_WINDOW);
            builder.http2().initial_stream_window_size(each).initial_connection_window_size(all);
        }
        builder
    }
}

/// The most concurrent streams of an HTTP/2 connection. More would only divide the bytes that may
/// arrive into smaller windows.
fn streams(limits: &Limits) -> u32 {
    u32::try_from(limits.requests_in_flight).unwrap_or(MOST_STREAMS).clamp(1, MOST_STREAMS)
}

/// The window of an HTTP/2 stream, if bodies may have to wait for permits. All waiting bodies must
/// fit into the window of the connection, or the one being read would be blocked.
fn window(limits: &Limits) -> Option<u32> {
    let each = limits.request_bytes / streams(limits) as usize;
    let may_wait = limits.request_bytes < usize::MAX && each < limits.frame_size;
    may_wait.then(|| u32::try_from(each).unwrap_or(u32::MAX).clamp(SMALL_WINDOW, WINDOW))
}

/// Returns true if hyper could not parse the input.
fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// The response if a layer fails.
fn failed(error: &AnyError) -> Response<AnyBody> {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(chain(&**error)), "a layer before an HTTP service has failed");
    let mut response = Response::new(AnyBody::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl fmt::Debug for HttpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProtocol").finish_non_exhaustive()
    }
}

/// The tasks of an HTTP/2 connection's requests. They end with it.
#[derive(Clone, Default)]
struct StreamTasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamTasks {
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl HttpProtocol {
    /// Answers the first request with `error`, and accepts no further one. It waits for a request
    /// because a client takes an earlier response for none. The caller sets the deadline.
    pub(in crate::server) async fn refuse(&self, io: Box<dyn Io>, error: &ErrorObject) {
        let mut body = Vec::new();
        self.policy.settings.version.put_error(&mut body, Id::NULL, error);
        let status = match error.code() {
            ErrorCode::EXCESSIVE_RESOURCE_USAGE => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = Bytes::from(body);
        let (activity, is_answered) = (Activity::new(), AtomicBool::new(false));
        // Bytes of the request are read and dropped, so that the peer can read the response.
        activity.leaves_unread();
        let service = service_fn(|request: Request<Incoming>| {
            is_answered.store(true, Relaxed);
            let response = error_response(status, body.clone(), true, request.version());
            async { Ok::<_, Infallible>(response) }
        });
        let io = TokioIo::new(TrackedIo::new(io, Arc::clone(&activity)));
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut is_stopping = false;
        let ended = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            if ended.is_pending() && !is_stopping && is_answered.load(Relaxed) {
                is_stopping = true;
                // HTTP/2 tells the peer which streams were answered, and accepts no further ones.
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(cx);
            }
            ended
        });
        // A peer that does not read the refusal changes nothing.
        drop(ended.await);
    }
}

/// A response's body that reports its end to the [`Activity`].
struct TrackedBody {
    body: AnyBody,
    _sending: ResponseGuard,
}

impl TrackedBody {
    const fn new(body: AnyBody, sending: ResponseGuard) -> Self {
        Self { body, _sending: sending }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = <AnyBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
