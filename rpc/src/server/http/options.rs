//! How a server that listens speaks HTTP.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use super::HttpService;
use crate::transport::WebAccess;

pub(super) type AnyError = Box<dyn Error + Send + Sync>;

/// The service with all that stands before it.
pub(super) type Layered = BoxCloneSyncService<Request<Incoming>, Response<AnyBody>, AnyError>;

/// The body of a response, when layers have had their way with it.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, AnyError>;

/// How a server that listens at `http://` or `https://` speaks HTTP: see [`Listen::http`](crate::Listen::http).
///
/// # What bounds it
///
/// What [`HttpService`] is bounded by, and besides:
///
/// - how many connections there are, together with all sessions of the server: [`Limits::connections`](crate::Limits::connections).
///   One more is answered with 503;
/// - how many requests of a connection are worked on at once: of HTTP/1.1, one; of HTTP/2,
///   [`Limits::requests_in_flight`](crate::Limits::requests_in_flight). One of each connection is
///   always worked on. Further ones share the permits of the server,
///   [`Limits::connections`](crate::Limits::connections): a connection has no more of them than are
///   left for the others, and is answered with 503 beyond;
/// - how many bytes its requests may have together, over HTTP/2:
///   [`Limits::request_bytes`](crate::Limits::request_bytes). Further ones wait, of which no more
///   than 64 KiB each are kept, in the order in which they came. And how many those that arrive may
///   have on all connections: [`Limits::body_bytes`](crate::Limits::body_bytes);
/// - how long a head may take to arrive, from its first byte on, and how long a new connection may say nothing:
///   [`Limits::handshake_timeout`](crate::Limits::handshake_timeout). How large it may be: 64 KiB and 100 headers;
/// - how long a connection may be idle between requests: [`Limits::idle_timeout`](crate::Limits::idle_timeout); and not take what is sent to
///   it: [`Limits::send_timeout`](crate::Limits::send_timeout);
/// - what a peer may cost: as of a session, each connection has an account, together with its [group](crate::Groups). At
///   [`Limits::cost_soft`](crate::Limits::cost_soft) its requests are delayed, at [`Limits::cost_hard`](crate::Limits::cost_hard) they are answered
///   with 429, and the connection is closed.
///
/// A connection is no session: [`ServerHandle::sessions`](crate::ServerHandle::sessions) does not list it, and [`Hooks`](crate::Hooks)
/// are not told of it. Where there is a service [for each session](crate::ServerBuilder::session), one is made for each message.
#[derive(Clone, Default)]
pub struct HttpOptions {
    access: WebAccess,
    has_no_content: bool,
    layer: Option<Arc<dyn Fn(HttpService) -> Layered + Send + Sync>>,
}

impl HttpOptions {
    /// The defaults.
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

    /// Puts a layer before the service: tower-http's, one of yours, or several together (`tower::ServiceBuilder`). It sees every request
    /// first, and may answer it itself. Called again, it replaces the one before.
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
    /// An error of the layer's is answered with 500.
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

    /// `service` as these say.
    pub(super) fn apply(&self, service: HttpService) -> Layered {
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
