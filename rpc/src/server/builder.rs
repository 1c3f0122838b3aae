//! What a server is made from, and the server before it starts.

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

/// A server that is bound and not yet started: peers can connect already, and are accepted once it is.
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
    /// A server without services.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Where it listens: with the port that it was given, where port 0 was asked for. A server that listens nowhere has none, and
    /// shows `memory:`.
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// Everywhere it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Listens at one more place, in the same way as [`ServerBuilder::bind`].
    ///
    /// # Errors
    ///
    /// Where the URL is wrong, the place cannot be listened at, or what the [`Listen`] says of services and
    /// dialect does not go together.
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

    /// Begins to accept, on the runtime that this is called on. The handle stops it; without the handle it goes on.
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

    /// Serves `service` to every session: one value for all. May be called several times, for several services. A value that
    /// implements several traits is served by a handle for each: `CalcServer::from(Arc::clone(&value))`.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.add_shared(service);
        self
    }

    /// Makes a service for each session, when the session begins: for services that keep something about their peer, or call it.
    ///
    /// The session is handed over to be kept: to call the peer, and to know who it is.
    pub fn session<S: Service>(mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) -> Self {
        self.services.add_factory(make);
        self
    }

    /// What each session may use, and how many there may be. Default: [`Limits::server()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits.in_force();
        self
    }

    /// Which sessions share an account of connections and cost. Default: none, each session is by itself.
    pub fn groups(mut self, groups: Groups) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Tells `hooks` when a session begins and ends, and what its peer costs. Default: nobody.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.settings.hooks = InstalledHooks::new(hooks);
        self
    }

    /// Asks each peer whether it is still there when it has said nothing for a while: see [`KeepAlive`]. Default: not at all.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.settings.keep_alive = Some(keep_alive);
        self
    }

    /// Which version of JSON-RPC is spoken. Default: [`Protocol::V2`]; [`Protocol::Detect`] takes whatever each peer speaks.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.set_protocol(protocol);
        self
    }

    /// Sends errors as a text, the message, wherever 1.0 is spoken. Some of its clients (Go's `net/rpc/jsonrpc`) hang up on an error that
    /// is an object. Default: an object, as in 2.0.
    pub fn text_errors(mut self) -> Self {
        self.settings.set_text_errors();
        self
    }

    /// What the server's side of a session sends where a call, a notification or a ping of its own has no parameters. Default: [`EmptyParams::Absent`]. A
    /// method, a service or a client that says something else goes before.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.settings.set_empty_params(empty);
        self
    }

    /// How messages are told apart in the stream. Default: [`NewlineFramer`](crate::framing::NewlineFramer).
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.settings.framer = Box::new(framer);
        self
    }

    /// Carries messages of the application's own instead of JSON-RPC, and has `handler` take those that arrive: see [`MessageSession`]. No
    /// service is served then.
    ///
    /// Handlers start in the order in which the messages came, and run beside each other, up to [`Limits::requests_in_flight`] for
    /// each session: with a limit of 1, one after another. One that takes longer than [`Limits::request_timeout`] is dropped.
    ///
    /// A stream may begin with anything, a request of HTTP included: see
    /// [`framing`](crate::framing#what-a-stream-may-not-begin-with).
    pub fn messages<M: Message, F: Future<Output = ()> + Send + 'static>(
        mut self,
        handler: impl Fn(MessageSession<M>, M) -> F + Send + Sync + 'static,
    ) -> Self {
        self.settings.messages = Some(takes_messages(handler));
        self
    }

    /// How calls are taken back: a call that is given up tells the peer, and the handlers of requests that
    /// the peer takes back are dropped. `None` is not at all. Default: by [`Cancellation::RPC`], with
    /// peers that know it.
    ///
    /// With [`Protocol::V1`], which cannot say it, binding fails where a way is chosen. With
    /// [`Protocol::Detect`] a peer that speaks 1.0 is not told: the log says so.
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

    /// Whether the peer is told of the end of its subscriptions here, and of items that it has lost. Default:
    /// [`Notices::Negotiated`], where it is known to take that.
    pub fn notices(mut self, notices: Notices) -> Self {
        self.settings.notices = notices;
        self
    }

    /// Listens at a URL, for example `tcp://127.0.0.1:8000` (port 0 is any free port), or at what a [`Listen`] says. A server may listen at
    /// several places: see [`Server::and_bind`].
    ///
    /// At a name it listens at each of its addresses that this machine has, `[::1]` and `127.0.0.1` for `localhost`, and each of them is one of
    /// [`Server::endpoints`]. They have the same port.
    ///
    /// # Errors
    ///
    /// Where the URL is wrong, the place cannot be listened at, two services claim one method, or the [`protocol`](Self::protocol)
    /// cannot say what is configured.
    pub async fn bind<L>(self, at: L) -> Result<Server, BindError>
    where
        L: TryInto<Listen>,
        BindError: From<L::Error>,
    {
        self.build()?.and_bind(at).await
    }

    /// A server that listens nowhere: its sessions are attached with [`ServerHandle::attach`](super::ServerHandle::attach).
    ///
    /// # Errors
    ///
    /// Where two services claim one method, or the [`protocol`](Self::protocol) cannot say what is configured.
    pub fn build(self) -> Result<Server, BindError> {
        let shared = ServerShared::new(Policy::new(self.services, self.settings)?, self.groups);
        Ok(Server { endpoints: Vec::new(), listeners: Vec::new(), shared })
    }
}
