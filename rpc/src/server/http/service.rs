//! The tower service: from a request to a response.

use std::{
    convert::Infallible,
    fmt,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use tokio::time::timeout;

#[cfg(feature = "ws")]
use super::upgrade::WebSocketUpgrades;
use super::{
    connect_info::{ConnectInfo, GuestRequest, Payer},
    request::{HttpBody, HttpRefusal, check_content_type, read_body},
};
#[cfg(feature = "ws")]
use crate::transport::websocket::{WebSocketServer, is_asked_for};
use crate::{
    server::{
        http_work::{DetachedPermits, HttpCapacity, Shares},
        shared::{Policy, ServerShared},
    },
    service::Dispatcher,
    transport::{Endpoint, Extensions, Net, WebAccess},
};

/// Answers JSON-RPC over HTTP: a [tower service](tower::Service) to mount in the server that you have, axum's or any of hyper's, beside what
/// else it serves. Servers of ours that listen at `http://` are built on it.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::routing::get;
/// use rpc::{Dispatcher, HttpService, rpc_service};
///
/// #[rpc_service]
/// trait Calc {
///     async fn add(&self, a: i64, b: i64) -> i64;
/// }
///
/// struct MyCalc;
/// impl Calc for MyCalc {
///     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let calc = Dispatcher::builder().service(CalcServer::new(MyCalc)).build()?;
/// let app = axum::Router::new()
///     .route("/", get("Hello"))
///     .route_service("/rpc", HttpService::new(calc));
/// axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8000").await?, app).await?;
/// # Ok(()) }
/// ```
///
/// # What it takes and gives
///
/// | Request | Answer |
/// |---|---|
/// | `POST` with a message, of the type `application/json` (or `application/json-rpc`, `application/jsonrequest`), in UTF-8 | 200, the answer, `application/json`; also where the answer is an error |
/// | the same with nothing to answer (a notification) | 200 and no body, or [204](Self::no_content) |
/// | for a WebSocket, where the service is of a [server](crate::ServerHandle::http_service) and the crate has its feature `ws` | 101: it becomes a session |
/// | from a page of another origin, or with a host that is not known: see [`WebAccess`] | 403 |
/// | with a `Host` that no server can have, with more than one, or without one over HTTP/1.1 | 400 |
/// | another HTTP method | 405 |
/// | another content type, or none (pages may post those to any host unasked), or a packed body | 415 |
/// | a body over [`Limits::frame_size`](crate::Limits::frame_size), whether it says so or not | 413, and over HTTP/1 `connection: close` |
/// | a body that takes longer to arrive than [`Limits::frame_timeout`](crate::Limits::frame_timeout) | 408 |
/// | one more than may be worked on, or a body for which there is no room | 503 |
/// | one more than the [group](crate::Groups) of its peer may have connections, where a server has groups and the peer is known | 503 |
/// | from a peer whose group has cost too much | 429, and over HTTP/1 `connection: close` |
/// | after the [server](crate::ServerHandle::http_service) was shut down | 503, and over HTTP/1 `connection: close` |
///
/// The body of a refusal is a JSON-RPC error with the id null; that of a 503 or a 429 says what was too
/// many, the limit, how many there are, and the field that has the limit. A client that hangs up has its handlers dropped. Subscriptions are refused: they
/// need a session.
///
/// # What bounds it
///
/// A message, by the limits of the [`Dispatcher`]; all of them together, by
/// [`Limits::connections`](crate::Limits::connections): as many requests are worked on at once as
/// there might be sessions, and further ones are refused, not queued. A request counts when its body
/// has arrived, not before. Bodies that arrive may have
/// [`Limits::body_bytes`](crate::Limits::body_bytes) together; what a body declares to have counts for
/// nothing. All services of one [server](crate::ServerHandle::http_service) share these permits with
/// its listeners.
///
/// How many connections there are, how many requests each has at once, how long a head may take, and
/// how long an answer is kept that the peer does not take, is up to the server that this is mounted
/// in: an answer is handed to it as a whole. Servers of ours see to it: see
/// [`HttpOptions`](crate::HttpOptions), and the guide for a
/// [table](crate::guide::http#limits) of what holds where. Where the whole of a request, or of a batch, may only take so long, use tower-http's `TimeoutLayer`.
///
/// # Notifications
///
/// An answer waits for the handlers of calls alone, and what needs no answer is answered when it was begun. Handlers of notifications go
/// on beside that: they keep the permit of their request, have [`Limits::request_timeout`](crate::Limits::request_timeout), are not
/// dropped where the client hangs up behind the answer, and are waited for where the server shuts down, until
/// [`Limits::close_timeout`](crate::Limits::close_timeout), as what is [shielded](crate::Context::shield) is. What they
/// [add to the cost](crate::Session::add_cost) behind the answer is not charged. Members of a batch still wait for one another beyond
/// [`Limits::requests_in_flight`](crate::Limits::requests_in_flight), and where a method is ordered or exclusive.
///
/// # Who is asking
///
/// Handlers find the request in [`Context::http`](crate::Context::http), and what a layer has put into its extensions in
/// [`Context::extensions`](crate::Context::extensions): authentication may be any layer of tower's. A layer that knows the address of the
/// peer tells by an [`Endpoint`] in the extensions; it is then the [`Context::peer`](crate::Context::peer). Where this is the service of a
/// [server](crate::ServerHandle::http_service) that has [`Groups`](crate::Groups), the peer's group is
/// charged then as by a connection of ours, its requests are delayed and refused by what it has cost, and
/// each counts as a connection of it while it is worked on. Where nobody tells, nothing is charged.
///
/// # Its end
///
/// [`ServerHandle::shutdown`](crate::ServerHandle::shutdown) waits for the requests that its service is
/// working on, until [`Limits::close_timeout`](crate::Limits::close_timeout). What is not finished
/// then is dropped, and answered 503; so is whatever comes later. A service that
/// [belongs to no server](Self::new) has no end.
///
/// Clones are the same service.
#[derive(Clone)]
pub struct HttpService {
    dispatcher: Dispatcher,
    access: Arc<WebAccess>,
    /// The only path there is.
    path: Option<Arc<str>>,
    has_no_content: bool,
    capacity: Arc<HttpCapacity>,
    /// Whose service it is, if any server's.
    server: Option<Arc<ServerShared>>,
    /// Where WebSockets are opened, if they are.
    #[cfg(feature = "ws")]
    sessions: Option<WebSocketUpgrades>,
}

impl HttpService {
    /// Answers with `dispatcher`. Web pages may call that come from the server itself.
    pub fn new(dispatcher: Dispatcher) -> Self {
        let capacity = Arc::new(HttpCapacity::new(dispatcher.limits()));
        Self::sharing(dispatcher, capacity)
    }

    /// What a server serves.
    pub(in crate::server) fn of(shared: &Arc<ServerShared>, policy: &Arc<Policy>) -> Self {
        let Policy { services, settings, capacity } = &**policy;
        let dispatcher = Dispatcher::of(
            Arc::clone(services),
            settings.limits.clone(),
            settings.version,
            shared.http.shielded_work().clone(),
        );
        let service = Self::sharing(dispatcher, Arc::clone(capacity)).in_server(shared);
        #[cfg(feature = "ws")]
        let service = service.with_sessions(WebSocketUpgrades::new(shared, policy, WebSocketServer::new()));
        service
    }

    /// The same for one of several that have `capacity` together.
    pub(super) fn sharing(dispatcher: Dispatcher, capacity: Arc<HttpCapacity>) -> Self {
        Self {
            dispatcher,
            access: Arc::default(),
            path: None,
            has_no_content: false,
            capacity,
            server: None,
            #[cfg(feature = "ws")]
            sessions: None,
        }
    }

    /// It is what `server` serves, and ends with it.
    pub(super) fn in_server(mut self, server: &Arc<ServerShared>) -> Self {
        self.server = Some(Arc::clone(server));
        self
    }

    /// Opens WebSockets, too: they become sessions of the server.
    #[cfg(feature = "ws")]
    pub(super) fn with_sessions(mut self, sessions: WebSocketUpgrades) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// How WebSockets are opened: sub-protocols, binary messages. Which pages may come in is what
    /// [`access`](Self::access) says, unless these options say it for WebSockets. It means nothing
    /// to a service that opens none: one that is not of a
    /// [server](crate::ServerHandle::http_service).
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, options: WebSocketServer) -> Self {
        self.sessions = self.sessions.map(|sessions| sessions.with(options));
        self
    }

    /// Which web pages may call. Default: [`WebAccess::new()`].
    ///
    /// Where the address of the peer is not known (see [below](#who-is-asking)), a page has to name
    /// a host that is [allowed](WebAccess::allow_host), an address, or `localhost`. Whether the
    /// server's own pages are those of `http` or of `https` is not known either, unless the peer's
    /// [`Endpoint`] has such a scheme or [`WebAccess::behind_tls`] says so: both are taken.
    pub fn access(mut self, access: WebAccess) -> Self {
        self.access = Arc::new(access);
        self
    }

    /// Answers only at the path of `endpoint`, where it has one.
    pub(super) fn at(mut self, endpoint: &Endpoint) -> Self {
        self.path = endpoint.as_net().and_then(Net::served_path).map(Arc::from);
        self
    }

    /// Answers what needs no answer with the status 204. Default: 200 and no body, because some clients take 204 for a failure.
    pub const fn no_content(mut self) -> Self {
        self.has_no_content = true;
        self
    }

    async fn respond<B>(self, request: Request<B>) -> Response<HttpBody>
    where
        B: Body<Error: fmt::Display>,
    {
        let version = request.version();
        let peer = ConnectInfo::peer_of(request.extensions()).cloned().unwrap_or(Endpoint::MEMORY);
        let refused = |refusal: HttpRefusal| {
            refusal.log(&peer, &self.capacity.refusals);
            refusal.response(&self.dispatcher, version)
        };
        #[cfg(feature = "ws")]
        if let Some(sessions) = self.sessions.as_ref().filter(|_| is_asked_for(request.headers())) {
            let judge =
                |parts: &Parts, options: &WebSocketServer| self.judge(parts, options.access_or(&self.access));
            return sessions.open(request, judge).unwrap_or_else(refused);
        }
        let (parts, body) = request.into_parts();
        match self.admit(parts, body).await {
            Ok(Some(answer)) => {
                let mut response = Response::new(HttpBody::from(answer));
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Ok(None) => {
                let mut response = Response::new(HttpBody::default());
                if self.has_no_content {
                    *response.status_mut() = StatusCode::NO_CONTENT;
                }
                response
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// Answers on somebody's account, unless the server ends first.
    async fn admit<B>(&self, parts: Parts, body: B) -> Result<Option<Bytes>, HttpRefusal>
    where
        B: Body<Error: fmt::Display>,
    {
        let peer = ConnectInfo::peer_of(&parts.extensions).cloned();
        let payer = match (parts.extensions.get::<Arc<ConnectInfo>>(), &self.server) {
            (Some(connect_info), _) => Payer::Connection(Arc::clone(connect_info)),
            (None, Some(server)) => Payer::GuestRequest(GuestRequest::arrived(server, peer.as_ref())?),
            (None, None) => Payer::Nobody(Shares::default()),
        };
        let answered = {
            let answer = pin!(self.answer(parts, body, peer.unwrap_or(Endpoint::MEMORY), &payer));
            match select(answer, pin!(payer.is_forced())).await {
                Either::Left((answered, _)) => answered,
                Either::Right(_) => Err(HttpRefusal::GivenUp),
            }
        };
        match answered {
            Ok((answer, None)) => Ok(answer),
            Ok((answer, Some(Unfinished { handlers, permit }))) => {
                let capacity = Arc::clone(&self.capacity);
                tokio::spawn(async move {
                    let _permit = capacity.attach_request(payer.shares(), permit);
                    select(handlers, pin!(payer.is_forced())).await;
                });
                Ok(answer)
            }
            Err(refusal) => {
                let limits = self.dispatcher.limits();
                payer.charge(refusal.cost(limits), limits);
                Err(refusal)
            }
        }
    }

    /// Gives the answer, and the handlers of notifications that are left, if any.
    async fn answer<B>(
        &self,
        parts: Parts,
        body: B,
        peer: Endpoint,
        payer: &Payer,
    ) -> Result<(Option<Bytes>, Option<Unfinished>), HttpRefusal>
    where
        B: Body<Error: fmt::Display>,
    {
        self.judge(&parts, &self.access)?;
        if parts.method != Method::POST {
            return Err(HttpRefusal::Method(parts.method));
        }
        check_content_type(&parts.headers)?;
        let limits = self.dispatcher.limits();
        payer.admit(&peer, limits).await?;
        let mut bytes = match parts.version {
            Version::HTTP_2 => payer.permit_for(&body.size_hint(), limits).await,
            _ => None,
        };
        let body = read_body(body, self.capacity.body(payer.shares()), limits);
        let message = match limits.frame_timeout {
            None => body.await?,
            Some(limit) => timeout(limit, body).await.unwrap_or(Err(HttpRefusal::Late(limit)))?,
        };
        if let Some(bytes) = &mut bytes {
            bytes.shrink(message.len());
        }
        // Not before: what waits for its peer must not keep others from being served.
        let permit = self.capacity.request(payer.shares());
        let permit = permit.map_err(|scarce| HttpRefusal::Busy { scarce, limit: limits.connections })?;
        let extensions = match payer {
            Payer::Connection(connect_info) => connect_info.extensions.for_request(parts),
            Payer::GuestRequest(_) | Payer::Nobody(_) => Extensions::of_http(parts),
        };
        let (exchange, notifications) = self.dispatcher.exchange_calls(&message, peer, extensions).await;
        payer.charge(exchange.cost, limits);
        let unfinished = notifications.map(|handlers| Unfinished { handlers, permit: permit.detach() });
        Ok((exchange.answer, unfinished))
    }
}

impl HttpService {
    /// Whether a page, if it is one, may call, as `access` says; and whether it has found the
    /// place.
    fn judge(&self, parts: &Parts, access: &WebAccess) -> Result<(), HttpRefusal> {
        access.check(parts, ConnectInfo::page_scheme(parts), || ConnectInfo::is_local(parts))?;
        match &self.path {
            Some(path) if **path != *parts.uri.path() => Err(HttpRefusal::Path),
            _ => Ok(()),
        }
    }
}

/// Handlers of notifications that go on when their request is answered, and the permit that it had.
struct Unfinished {
    handlers: BoxFuture<'static, ()>,
    permit: DetachedPermits,
}

impl<B> tower::Service<Request<B>> for HttpService
where
    B: Body<Error: fmt::Display> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<HttpBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    /// Always: a request that is one too many is answered, and does not wait.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("dispatcher", &self.dispatcher).finish_non_exhaustive()
    }
}
