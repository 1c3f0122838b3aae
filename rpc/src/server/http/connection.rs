//! One connection that speaks HTTP, from the first byte to the last.

use std::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use futures::{FutureExt, future::select};
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{task::JoinSet, time::Instant};
use tower::ServiceExt;

use super::{
    HttpOptions, HttpService,
    arrival::Arrival,
    options::{AnyBody, AnyError, Layered},
    watch::Watch,
    watched::{Watched, WatchedBody},
};
#[cfg(feature = "ws")]
use crate::transport::websocket::WebSocketServer;
use crate::{
    jsonrpc::{chain, shown::brief},
    limits::Limits,
    server::{handle::Shared, terms::Terms},
    session::Membership,
    transport::{Connection, Endpoint, Expected, Io, LogRate, log_foreign},
};

/// The largest head of a request, with all of its headers, and how much is read at once.
const HEAD: u32 = 64 << 10;

/// The largest and the smallest [`window`]: four frames of HTTP/2, and one.
const WINDOW: u32 = 64 << 10;
const SMALL_WINDOW: u32 = 16 << 10;

/// The most [`streams`]: more than the 100 of which RFC 9113, section 6.5.2, has a server take no less.
const MOST_STREAMS: u32 = 128;

/// The largest window there may be (RFC 9113, section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// What is spoken with the peers of one listener.
pub(in crate::server) struct Http {
    service: Layered,
    pub(super) terms: Arc<Terms>,
    /// How often the log has it that a peer does not speak HTTP.
    strangers: LogRate,
}

impl Http {
    pub(in crate::server) fn new(
        shared: &Arc<Shared>,
        terms: &Arc<Terms>,
        endpoint: &Endpoint,
        options: &HttpOptions,
    ) -> Self {
        Self::of(HttpService::of(shared, terms).at(endpoint), terms, options)
    }

    /// The same, where WebSockets are opened as `websocket` says.
    #[cfg(feature = "ws")]
    pub(in crate::server) fn with_websocket(
        shared: &Arc<Shared>,
        terms: &Arc<Terms>,
        endpoint: &Endpoint,
        options: &HttpOptions,
        websocket: WebSocketServer,
    ) -> Self {
        Self::of(HttpService::of(shared, terms).at(endpoint).websocket(websocket), terms, options)
    }

    fn of(service: HttpService, terms: &Arc<Terms>, options: &HttpOptions) -> Self {
        Self { service: options.apply(service), terms: Arc::clone(terms), strangers: LogRate::default() }
    }

    fn limits(&self) -> &Limits {
        self.terms.limits()
    }

    /// Serves a peer that has arrived, in a task of its own.
    pub(in crate::server) fn serve(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        connection: Connection,
        group: Membership,
    ) {
        let (http, shared) = (Arc::clone(self), Arc::clone(shared));
        let Connection { io, peer, extensions, .. } = connection;
        let arrival = Arc::new(Arrival::new(peer, extensions, group, self.limits()));
        // Counted from now on, and not only when its task first runs.
        let open = shared.http.begin();
        tokio::spawn(async move {
            let peer = &arrival.peer;
            tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %peer, "an HTTP connection has begun");
            let ended = http.run(&shared, io, &arrival).await;
            tracing::debug!(
                rpc.system.name = "jsonrpc", network.peer.address = %peer, error = ended.as_ref().err().map(|error| tracing::field::display(brief(chain(&**error)))),
                "an HTTP connection has ended"
            );
            drop(open);
        });
    }

    async fn run(&self, shared: &Shared, io: Box<dyn Io>, arrival: &Arc<Arrival>) -> Result<(), AnyError> {
        let watch = Watch::new();
        let service = service_fn({
            let watch = Arc::clone(&watch);
            move |mut request: Request<Incoming>| {
                let watch = Arc::clone(&watch);
                let handled = watch.begin(request.version());
                request.extensions_mut().insert(Arc::clone(arrival));
                let answer = self.service.clone().oneshot(request);
                // Hyper keeps the room of its future for as long as the connection lasts: a box is small.
                Box::pin(async move {
                    let response = answer.await.unwrap_or_else(|error| failed(&error));
                    if response.status().is_client_error() || response.status().is_server_error() {
                        watch.leaves_unread();
                    }
                    let sending = handled.answered();
                    Ok::<_, Infallible>(response.map(|body| WatchedBody::new(body, sending)))
                })
            }
        });
        let builder = self.builder();
        let io = Watched::new(io, Arc::clone(&watch));
        let hang_up = io.hang_up();
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
        let mut stage = shared.stage.subscribe();
        let stops = pin!(stage.wait_for(|stage| !stage.serves()));
        let over = pin!(arrival.account.is_over());
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
                watch.stop();
                connection.as_mut().graceful_shutdown();
            }
            hang_up.begin();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            // Its requests and their permits go with the connection.
            if let Poll::Ready(gone) = hang_up.poll(cx) {
                let why = gone.err().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
                return Poll::Ready(Err(why.into()));
            }
            while let Some((deadline, late)) = watch.deadline(self.limits()) {
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(late.into()));
                }
                // An alarm that is too early is cheaper than one that is set anew with every request.
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
        if !is_stopping && watch.is_within_head() {
            arrival.account.charge(self.limits().cost_of_unreadable, self.limits());
            // Where the peer has gone within its first request, there is nothing to be said of it.
            let is_refused = ended.as_ref().is_err_and(|error| is_no_http(&**error));
            if let Some(foreign) = watch.foreign().filter(|_| is_refused) {
                let (peer, rate) = (&arrival.peer, Some(&self.strangers));
                log_foreign((Expected::Http, &foreign), (peer, None), rate, "it was answered 400 over HTTP");
            }
        }
        ended
    }

    pub(super) fn builder(&self) -> auto::Builder<Tasks> {
        let mut builder = auto::Builder::new(Tasks::default());
        // Timeouts are ours: hyper's do not tell an idle connection from half a head.
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

/// How many requests of a connection of HTTP/2 are taken at once. More than these only divide the bytes that may arrive into smaller
/// windows.
fn streams(limits: &Limits) -> u32 {
    u32::try_from(limits.requests_in_flight).unwrap_or(MOST_STREAMS).clamp(1, MOST_STREAMS)
}

/// How much of a body may arrive before it is read, where bodies may have to wait for each other. All
/// that wait must fit into the window of the connection, or the one that is read could not go on.
fn window(limits: &Limits) -> Option<u32> {
    let each = limits.request_bytes / streams(limits) as usize;
    let may_wait = limits.request_bytes < usize::MAX && each < limits.frame_size;
    may_wait.then(|| u32::try_from(each).unwrap_or(u32::MAX).clamp(SMALL_WINDOW, WINDOW))
}

/// Whether hyper could not make sense of what came.
fn is_no_http(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// What is said where a layer fails.
fn failed(error: &AnyError) -> Response<AnyBody> {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(chain(&**error)), "a layer before an HTTP service has failed");
    let mut response = Response::new(AnyBody::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// The requests of one connection of HTTP/2. They end with it.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
