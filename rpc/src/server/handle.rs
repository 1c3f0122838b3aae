//! The handle of a running server: its sessions, and its shutdown.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

#[cfg(feature = "http")]
use super::http::{HttpOptions, HttpProtocol, HttpService};
use super::shared::{ServerShared, ServerStage};
use crate::{
    session::{CloseReason, Session},
    transport::{ByteStream, Connection, Endpoint, MessageChannel},
};

/// A running server. Clones are handles of the same server. Dropping every handle leaves it
/// running.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<ServerShared>,
    endpoints: Arc<[Endpoint]>,
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<ServerShared>, endpoints: Vec<Endpoint>) -> Self {
        Self { shared, endpoints: endpoints.into() }
    }

    /// The endpoint that the server listens at: see [`Server::endpoint`](super::Server::endpoint).
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// All endpoints that the server listens at.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Serves a peer over an existing byte stream: one end of [`memory`](crate::transport::memory),
    /// a socket, a pipe. Must be called on a tokio runtime. It counts as a
    /// [connection](crate::Limits::connections), and is never refused.
    pub fn attach(&self, io: impl ByteStream) -> Session {
        self.attach_connection(Connection::new(io, Endpoint::MEMORY))
    }

    /// Like [`attach`](Self::attach), over a connection that carries whole messages: any stream and
    /// sink of messages, such as a pair of channels. See [`MessageChannel`].
    pub fn attach_messages(&self, messages: impl MessageChannel) -> Session {
        self.attach_connection(Connection::of_messages(messages, Endpoint::MEMORY))
    }

    /// Like [`attach`](Self::attach), over a WebSocket whose handshake was made over your own
    /// stream.
    #[cfg(feature = "ws")]
    pub fn attach_websocket(&self, websocket: crate::transport::websocket::WebSocket) -> Session {
        self.attach_connection(websocket.0)
    }

    fn attach_connection(&self, connection: Connection) -> Session {
        let groups = self.shared.groups.as_ref();
        let group = groups.map(|groups| groups.attach(&connection.peer)).unwrap_or_default();
        let session = self.shared.serve(connection, group, &self.shared.policy);
        if !self.shared.stage.borrow().serves() {
            session.abort();
        }
        session
    }

    /// The open sessions, in the order in which they began. Each has its
    /// [statistics](Session::statistics), and can be [closed](Session::close).
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.shared.sessions().values().cloned().collect();
        sessions.sort_unstable_by_key(Session::id);
        sessions
    }

    /// The open session with this [`id`](Session::id).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let handle = rpc::Server::builder().service(()).build()?.start();
    /// # let (_peer, io) = rpc::transport::memory(64);
    /// let id = handle.attach(io).id();
    /// if let Some(session) = handle.session(id) {
    ///     session.close().await;
    /// }
    /// assert!(handle.session(id).is_none());
    /// # Ok(()) }
    /// ```
    pub fn session(&self, id: u64) -> Option<Session> {
        self.shared.sessions().get(&id).cloned()
    }

    /// The services of this server as a tower service, to mount in an HTTP server: axum's, or any
    /// on hyper. With the feature `ws`, requests for a WebSocket become sessions of this server: it
    /// counts, lists and closes them. Shutdown waits for the requests of the service that are in
    /// flight; later ones are answered 503.
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::routing::get;
    /// use rpc::{Context, ErrorObject, Params, Router, Server};
    ///
    /// let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// let server = Server::builder().service(router).build()?.start();
    /// let app = axum::Router::new()
    ///     .route("/", get("Hello"))
    ///     .route_service("/rpc", server.http_service());
    /// axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8000").await?, app).await?;
    /// server.shutdown().await; // of the sessions, and of requests under way
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "http")]
    pub fn http_service(&self) -> HttpService {
        HttpService::of(&self.shared, &self.shared.policy)
    }

    /// Serves HTTP to a peer over an existing byte stream: like [`attach`](Self::attach) for
    /// sessions. Must be called on a tokio runtime. It counts as a
    /// [connection](crate::Limits::connections), and is never refused.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, HttpOptions, Params, Router, Server};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// let server = Server::builder().service(router).build()?.start();
    /// let (mut peer, io) = rpc::transport::memory(1024);
    /// server.attach_http(io, &HttpOptions::new());
    ///
    /// peer.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
    ///     content-length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}").await?;
    /// let mut response = String::new();
    /// peer.read_to_string(&mut response).await?;
    /// assert!(response.starts_with("HTTP/1.1 200 OK"));
    /// assert!(response.ends_with(r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#));
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "http")]
    pub fn attach_http(&self, io: impl ByteStream, options: &HttpOptions) {
        let connection = Connection::new(io, Endpoint::MEMORY);
        let groups = self.shared.groups.as_ref();
        let group = groups.map(|groups| groups.attach(&connection.peer)).unwrap_or_default();
        let http = Arc::new(HttpProtocol::new(self.http_service(), &self.shared.policy, options));
        // If the server has stopped, the connection ends at once.
        http.serve(&self.shared, connection, group);
    }

    /// Closes every listener, and returns when none listens any more. Sessions and HTTP connections
    /// go on, and further ones may be [attached](Self::attach). A second call waits for the same
    /// end. Dropping the future does not undo it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use rpc::{Context, ErrorObject, Params, Router, Server};
    /// # let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// let server = Server::builder().service(router).bind("tcp://127.0.0.1:0").await?;
    /// let url = server.endpoint().to_string();
    /// let handle = server.start();
    /// let session = rpc::connect(&url).await?;
    /// # session.call::<String>("ping", ()).await?;
    ///
    /// handle.stop_listening().await;
    /// assert!(rpc::connect(&url).await.is_err());
    /// assert_eq!(session.call::<String>("ping", ()).await?, "pong");
    /// # handle.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn stop_listening(&self) {
        self.shared.enter(ServerStage::NotListening);
        self.shared.listening.wait().await;
    }

    /// Graceful shutdown: stops accepting, lets handlers finish, closes every session, and returns
    /// when all have ended.
    ///
    /// A session that takes longer than [`Limits::close_timeout`](crate::Limits::close_timeout) is
    /// aborted; an idle one ends at once. The same holds for HTTP connections, which finish the
    /// requests in flight, and for requests that another server has passed to an
    /// [`http_service`](Self::http_service), which answers further ones with 503.
    /// [Shielded](crate::Context::shield) work is waited for as long. A second call waits for the
    /// same end. Dropping the future does not undo it.
    pub async fn shutdown(&self) {
        self.shared.start_shutdown();
        self.closed().await;
    }

    /// Like [`shutdown`](Self::shutdown), with a deadline: after `patience` it aborts everything
    /// that has not ended, whatever the limits of the sessions. Of several calls the earliest
    /// deadline counts, also when a shutdown is in progress.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let handle = rpc::Server::builder().service(()).build()?.start();
    /// handle.shutdown_within(Duration::from_secs(5)).await;
    /// # Ok(()) }
    /// ```
    pub async fn shutdown_within(&self, patience: Duration) {
        self.shared.start_shutdown();
        let server = self.clone();
        // In a task of its own: the deadline holds even if this future is dropped.
        tokio::spawn(async move {
            if timeout(patience, server.closed()).await.is_err() {
                for session in server.sessions() {
                    session.shared().abort(CloseReason::Shutdown);
                }
                #[cfg(feature = "http")]
                server.shared.http.force();
            }
        });
        self.closed().await;
    }

    /// Waits until the server has shut down. Cancel safe.
    ///
    /// A server whose only listener is at `stdio:` (or whose other listeners have ended) shuts down
    /// by itself when its session there has ended, because no further peer can come. So the `main`
    /// of such a program waits for this.
    ///
    /// ```no_run
    /// # fn router() -> rpc::Router { rpc::Router::new() }
    /// #[tokio::main]
    /// async fn main() -> Result<(), rpc::BindError> {
    ///     let server = rpc::Server::builder().service(router()).bind("stdio:").await?;
    ///     server.start().closed().await;
    ///     Ok(())
    /// }
    /// ```
    pub async fn closed(&self) {
        let mut stage = self.shared.stage.subscribe();
        // `self` has the sender: waiting cannot fail.
        let _stopped = stage.wait_for(|stage| *stage == ServerStage::Stopped).await;
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
