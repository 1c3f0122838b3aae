//! The tower service: from a request to its response.

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

/// Answers JSON-RPC over HTTP: a [tower service](tower::Service) to mount in an existing server,
/// axum's or any on hyper, beside its other routes. The servers of this crate that listen at
/// `http://` are built on it.
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
/// # Requests and responses
///
/// | Request | Response |
/// |---|---|
/// | `POST` with a message, of the type `application/json` (or `application/json-rpc`, `application/jsonrequest`), in UTF-8 | 200, the reply, `application/json`; also if the reply is an error |
/// | the same without a reply (a notification) | 200 and no body, or [204](Self::no_content) |
/// | for a WebSocket, if the service is of a [server](crate::ServerHandle::http_service) and the feature `ws` is enabled | 101: it becomes a session |
/// | from a page of another origin, or with an unknown host: see [`WebAccess`] | 403 |
/// | with an invalid `Host`, with more than one, or without one over HTTP/1.1 | 400 |
/// | another HTTP method | 405 |
/// | another content type, or none (pages may post those to any host without a preflight), or an encoded body | 415 |
/// | a body over [`Limits::frame_size`](crate::Limits::frame_size), declared or not | 413, and over HTTP/1 `connection: close` |
/// | a body that takes longer to arrive than [`Limits::frame_timeout`](crate::Limits::frame_timeout) | 408 |
/// | beyond the requests in flight, or the bytes of bodies, of the server | 503 |
/// | beyond the connections of the [group](crate::Groups) of its peer, if the server has groups and the peer is known | 503 |
/// | from a peer whose group has reached its limit of cost | 429, and over HTTP/1 `connection: close` |
/// | after the shutdown of the [server](crate::ServerHandle::http_service) | 503, and over HTTP/1 `connection: close` |
///
/// The body of a refusal is a JSON-RPC error with the id null; for a 503 or a 429 it has the limit,
/// the current number, and the field that sets the limit. If a client disconnects, the handlers of
/// its calls are dropped. Subscriptions are refused: they need a session.
///
/// # Limits
///
/// Each message is bounded by the limits of the [`Dispatcher`]. All requests together are bounded
/// by [`Limits::connections`](crate::Limits::connections): as many are in flight at once as there
/// might be sessions, and further ones are refused, not queued. A request takes its permit when its
/// body has arrived. Bodies that are arriving have
/// [`Limits::body_bytes`](crate::Limits::body_bytes) together; declared sizes do not count. All
/// services of one [server](crate::ServerHandle::http_service) share these permits with its
/// listeners.
///
/// The server that this is mounted in bounds the number of connections, the requests of each, the
/// time of a head, and how long a response is kept for a slow client: responses are handed to it as
/// a whole. The servers of this crate do: see [`HttpOptions`](crate::HttpOptions), and the
/// [table](crate::guide::http#limits) in the guide. To bound the time of a whole request, or batch,
/// use tower-http's `TimeoutLayer`.
///
/// # Notifications
///
/// A response waits for the handlers of calls only; a notification is answered when its handler has
/// begun. Handlers of notifications go on: they keep the permit of their request, are bounded by
/// [`Limits::request_timeout`](crate::Limits::request_timeout), are not dropped when the client
/// disconnects after the response, and a shutdown waits for them until
/// [`Limits::close_timeout`](crate::Limits::close_timeout), as for
/// [shielded](crate::Context::shield) work. [Cost](crate::Session::add_cost) that they add after
/// the response is not charged. Members of a batch still wait for one another beyond
/// [`Limits::requests_in_flight`](crate::Limits::requests_in_flight), and if a method is ordered or
/// exclusive.
///
/// # The peer
///
/// Handlers find the request in [`Context::http`](crate::Context::http), and the extensions that
/// layers have set in [`Context::extensions`](crate::Context::extensions): any tower layer can
/// authenticate. A layer that knows the address of the peer sets an [`Endpoint`] in the extensions,
/// which becomes the [`Context::peer`](crate::Context::peer). If this is the service of a
/// [server](crate::ServerHandle::http_service) with [`Groups`](crate::Groups), the peer's group is
/// then charged as for a connection of that server: its requests are delayed and refused by its
/// cost, and each counts as a connection while it is in flight. Without an `Endpoint` nothing is
/// charged.
///
/// # Shutdown
///
/// [`ServerHandle::shutdown`](crate::ServerHandle::shutdown) waits for the requests in flight of
/// its service, until [`Limits::close_timeout`](crate::Limits::close_timeout). Unfinished requests
/// are then dropped, and answered 503, as are later ones. A service [without a server](Self::new)
/// has no shutdown.
///
/// Clones are handles of the same service.
#[derive(Clone)]
pub struct HttpService {
    dispatcher: Dispatcher,
    access: Arc<WebAccess>,
    /// The only path that is served, if set.
    path: Option<Arc<str>>,
    has_no_content: bool,
    capacity: Arc<HttpCapacity>,
    /// The server that this belongs to, if any.
    server: Option<Arc<ServerShared>>,
    /// Opens WebSockets, if enabled.
    #[cfg(feature = "ws")]
    sessions: Option<WebSocketUpgrades>,
}

impl HttpService {
    /// Answers with `dispatcher`. Of web pages, only the server's own may call.
    pub fn new(dispatcher: Dispatcher) -> Self {
        let capacity = Arc::new(HttpCapacity::new(dispatcher.limits()));
        Self::sharing(dispatcher, capacity)
    }

    /// The service of `shared`, by `policy`.
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

    /// A service that shares `capacity` with others.
    fn sharing(dispatcher: Dispatcher, capacity: Arc<HttpCapacity>) -> Self {
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

    /// Ends the service with `server`.
    fn in_server(mut self, server: &Arc<ServerShared>) -> Self {
        self.server = Some(Arc::clone(server));
        self
    }

    /// Also opens WebSockets, as sessions of the server.
    #[cfg(feature = "ws")]
    fn with_sessions(mut self, sessions: WebSocketUpgrades) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Options of WebSockets: sub-protocols, binary messages. Origins that they do not set are
    /// those of [`access`](Self::access). They have no effect on a service that is not of a
    /// [server](crate::ServerHandle::http_service), because it opens no WebSockets.
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, options: WebSocketServer) -> Self {
        self.sessions = self.sessions.map(|sessions| sessions.with(options));
        self
    }

    /// Which web pages may call. Default: [`WebAccess::new()`].
    ///
    /// If the address of the peer is not known (see [The peer](#the-peer)), a page has to use a
    /// host that is [allowed](WebAccess::allow_host), an address, or `localhost`. It is not known
    /// either whether the server's own pages are `http` or `https`, unless the scheme of the peer's
    /// [`Endpoint`] or [`WebAccess::behind_tls`] says so: both are accepted.
    pub fn access(mut self, access: WebAccess) -> Self {
        self.access = Arc::new(access);
        self
    }

    /// Answers only at the path of `endpoint`, if it has one.
    pub(in crate::server) fn at(mut self, endpoint: &Endpoint) -> Self {
        self.path = endpoint.as_net().and_then(Net::served_path).map(Arc::from);
        self
    }

    /// Answers notifications with the status 204. Default: 200 without a body, because some clients
    /// take 204 for a failure.
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

    /// Answers a request on the account of its payer, unless the server is forced to end first.
    async fn admit<B>(&self, parts: Parts, body: B) -> Result<Option<Bytes>, HttpRefusal>
    where
        B: Body<Error: fmt::Display>,
    {
        let peer = ConnectInfo::peer_of(&parts.extensions).cloned();
        let payer = match (parts.extensions.get::<Arc<ConnectInfo>>(), &self.server) {
            (Some(connect_info), _) => Payer::Connection(Arc::clone(connect_info)),
            (None, Some(server)) => Payer::Guest(GuestRequest::arrived(server, peer.as_ref())?),
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

    /// Returns the reply, and the handlers of notifications that are still running, if any.
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
        // The permit is taken last: a request that waits for its peer must not keep others from
        // being served.
        let permit = self.capacity.request(payer.shares());
        let permit = permit.map_err(|scarce| HttpRefusal::Busy { scarce, limit: limits.connections })?;
        let extensions = match payer {
            Payer::Connection(connect_info) => connect_info.extensions.for_request(parts),
            Payer::Guest(_) | Payer::Nobody(_) => Extensions::of_http(parts),
        };
        let (exchange, notifications) = self.dispatcher.exchange_calls(&message, peer, extensions).await;
        payer.charge(exchange.cost, limits);
        let unfinished = notifications.map(|handlers| Unfinished { handlers, permit: permit.detach() });
        Ok((exchange.answer, unfinished))
    }
}

impl HttpService {
    /// Checks the origin of the request, if it is a page's, by `access`; and the path.
    fn judge(&self, parts: &Parts, access: &WebAccess) -> Result<(), HttpRefusal> {
        access.check(parts, ConnectInfo::page_scheme(parts), || ConnectInfo::is_local(parts))?;
        match &self.path {
            Some(path) if **path != *parts.uri.path() => Err(HttpRefusal::Path),
            _ => Ok(()),
        }
    }
}

/// Handlers of notifications that go on after their request is answered, and its permit.
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

    /// Always ready: a request beyond the limits is refused, and does not wait.
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
