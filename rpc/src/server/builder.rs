//! The builder of a server, and the server before it starts.

use std::sync::Arc;

use super::{
    BindError, Listen, ServerHandle,
    accept::accept_from,
    listener::Listener,
    shared::{Policy, ServerShared},
};
use crate::{
    driver::Settings,
    framing::Framer,
    jsonrpc::{CancelBy, Cancellation, EmptyParams, Notices, Protocol},
    limits::{Groups, KeepAlive, Limits},
    service::{Service, Services, takes_messages},
    session::{Hooks, InstalledHooks, Message, MessageSession, Session},
    transport::Endpoint,
};

/// A server that is bound and not yet started: peers can connect, and are accepted when it starts.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, ErrorObject, Params, Router, Server};
///
/// let router = Router::new()
///     .method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
/// let server = Server::builder().service(router).bind("tcp://127.0.0.1:0").await?;
/// let endpoint = server.endpoint().to_string();
/// let handle = server.start();
///
/// let session = rpc::connect(&endpoint).await?;
/// let pong: String = session.call("ping", ()).await?;
/// assert_eq!(pong, "pong");
///
/// handle.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    endpoints: Vec<Endpoint>,
    listeners: Vec<Listener>,
    shared: Arc<ServerShared>,
}

impl Server {
    /// Starts to build a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// The endpoint that the server listens at, with the port that the system chose for port 0. For
    /// a server that listens nowhere it is `memory:`.
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// All endpoints that the server listens at.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Listens at a further endpoint, like [`ServerBuilder::bind`].
    ///
    /// # Errors
    ///
    /// If the URL is wrong, if the endpoint cannot be listened at, or if the services and the
    /// dialect of the [`Listen`] do not go together.
    pub async fn and_bind<L>(mut self, at: L) -> Result<Self, BindError>
    where
        L: TryInto<Listen>,
        BindError: From<L::Error>,
    {
        let mut listen = at.try_into()?;
        let endpoint = listen.endpoint.clone().redacted();
        let policy = std::mem::take(&mut listen.overrides).over(&self.shared.policy)?;
        let listeners = Listener::bind(listen, &self.shared, &policy).await;
        let listeners = listeners.map_err(|source| BindError::Io { endpoint, source })?;
        let endpoints = listeners.iter().map(|listener| listener.endpoint().clone());
        self.endpoints.extend(endpoints.inspect(|endpoint| policy.log_reach(endpoint)));
        self.listeners.extend(listeners);
        Ok(self)
    }

    /// Starts to accept peers, on the current tokio runtime. The handle stops the server; dropping
    /// the handle does not.
    pub fn start(self) -> ServerHandle {
        for listener in self.listeners {
            accept_from(&self.shared, listener);
        }
        ServerHandle::new(self.shared, self.endpoints)
    }
}

/// Builds a [`Server`].
#[derive(Debug)]
pub struct ServerBuilder {
    services: Services,
    settings: Settings,
    groups: Option<Groups>,
}

impl ServerBuilder {
    fn new() -> Self {
        let (services, settings) = (Services::default(), Settings::new(Limits::server()));
        Self { services, settings, groups: None }
    }

    /// Serves `service` on every session: one value for all. May be called several times, for
    /// several services. A value that implements several traits is served by one handle for each:
    /// `CalcServer::from(Arc::clone(&value))`.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.add_shared(service);
        self
    }

    /// Makes a service for each session when the session begins: for services that keep state of
    /// their peer, or call it.
    ///
    /// `make` is given the session, and may keep it: to call the peer, and to identify it.
    pub fn session<S: Service>(mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) -> Self {
        self.services.add_factory(make);
        self
    }

    /// The limits of each session, and the number of sessions. Default: [`Limits::server()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits.in_force();
        self
    }

    /// Which sessions share an account of connections and cost. Default: no groups.
    pub fn groups(mut self, groups: Groups) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Calls `hooks` when a session begins and ends, and as the cost of its peer grows. Default: no
    /// hooks.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.settings.hooks = InstalledHooks::new(hooks);
        self
    }

    /// Pings each peer when it has been silent for a while: see [`KeepAlive`]. Default: off.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.settings.keep_alive = Some(keep_alive);
        self
    }

    /// The version of JSON-RPC. Default: [`Protocol::V2`]; [`Protocol::Detect`] follows each peer.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.set_protocol(protocol);
        self
    }

    /// Sends errors as a string, the message, when the version is 1.0. Some 1.0 clients (Go's
    /// `net/rpc/jsonrpc`) disconnect on an error that is an object. Default: an object, as in 2.0.
    pub fn text_errors(mut self) -> Self {
        self.settings.set_text_errors();
        self
    }

    /// How a call, a notification or a ping of the server's side without parameters is sent.
    /// Default: [`EmptyParams::Absent`]. A setting of a method, a service or a generated client
    /// takes precedence.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.settings.set_empty_params(empty);
        self
    }

    /// Finds the messages in the stream of bytes. Default:
    /// [`NewlineFramer`](crate::framing::NewlineFramer).
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.settings.framer = Box::new(framer);
        self
    }

    /// Carries the application's own messages instead of JSON-RPC. `handler` is called with each
    /// message that arrives: see [`MessageSession`]. No service is served.
    ///
    /// Handlers start in the order of the messages and run concurrently, up to
    /// [`Limits::requests_in_flight`] for each session: with a limit of 1, one after another. A
    /// handler that takes longer than [`Limits::request_timeout`] is dropped.
    ///
    /// A stream may start with any bytes, an HTTP request included: see
    /// [`framing`](crate::framing#what-a-stream-may-not-begin-with).
    pub fn messages<M: Message, F: Future<Output = ()> + Send + 'static>(
        mut self,
        handler: impl Fn(MessageSession<M>, M) -> F + Send + Sync + 'static,
    ) -> Self {
        self.settings.messages = Some(takes_messages(handler));
        self
    }

    /// The protocol of cancellation: a call that is given up (dropped, or timed out) is cancelled
    /// at the peer, and the handlers of requests that the peer cancels are dropped. `None` turns it
    /// off. Default: [`Cancellation::RPC`], with peers that know it.
    ///
    /// [`Protocol::V1`] has no cancellation: with it, binding fails if one is set here. With
    /// [`Protocol::Detect`] a peer that speaks 1.0 is sent no cancellations, and the log says so.
    ///
    /// ```
    /// use rpc::{Cancellation, Server};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().cancellation(Cancellation::LSP);
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    pub fn cancellation(mut self, cancellation: impl Into<Option<Cancellation>>) -> Self {
        self.settings.cancellation = CancelBy::from(cancellation.into());
        self
    }

    /// When the peer is notified of the end of its subscriptions on this side, and of items that it
    /// has lost. Default: [`Notices::Negotiated`], if the peer is known to accept it.
    pub fn notices(mut self, notices: Notices) -> Self {
        self.settings.notices = notices;
        self
    }

    /// Listens at a URL, for example `tcp://127.0.0.1:8000` (port 0 is any free port), or as a
    /// [`Listen`] says. For further endpoints see [`Server::and_bind`].
    ///
    /// A host name is listened at on each of its addresses that this machine has, `[::1]` and
    /// `127.0.0.1` for `localhost`; each of them is one of [`Server::endpoints`]. They have the
    /// same port.
    ///
    /// # Errors
    ///
    /// If the URL is wrong, if the endpoint cannot be listened at, if two services claim one
    /// method, or if the [`protocol`](Self::protocol) does not support the configuration.
    pub async fn bind<L>(self, at: L) -> Result<Server, BindError>
    where
        L: TryInto<Listen>,
        BindError: From<L::Error>,
    {
        self.build()?.and_bind(at).await
    }

    /// Makes a server that listens nowhere: its sessions are attached with
    /// [`ServerHandle::attach`](super::ServerHandle::attach).
    ///
    /// # Errors
    ///
    /// If two services claim one method, or if the [`protocol`](Self::protocol) does not support
    /// the configuration.
    pub fn build(self) -> Result<Server, BindError> {
        let shared = ServerShared::new(Policy::new(self.services, self.settings)?, self.groups);
        Ok(Server { endpoints: Vec::new(), listeners: Vec::new(), shared })
    }
}
