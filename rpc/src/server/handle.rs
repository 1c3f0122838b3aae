//! The handle of a server that runs: its sessions, and its end.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

#[cfg(feature = "http")]
use super::http::{HttpOptions, HttpProtocol, HttpService};
use super::shared::{ServerShared, ServerStage};
use crate::{
    session::{CloseReason, Session},
    transport::{ByteStream, Connection, Endpoint, MessageChannel},
};

/// A server that runs. Clones are the same server. Dropping every handle leaves it running.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<ServerShared>,
    endpoints: Arc<[Endpoint]>,
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<ServerShared>, endpoints: Vec<Endpoint>) -> Self {
        Self { shared, endpoints: endpoints.into() }
    }

    /// Where it listens: see [`Server::endpoint`](super::Server::endpoint).
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// Everywhere it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Serves a peer that is connected already, over any stream of bytes: one end of [`memory`](crate::transport::memory), a socket
    /// of yours, a pipe. Must be called on a tokio runtime. It counts as a [connection](crate::Limits::connections), and is
    /// never one too many.
    pub fn attach(&self, io: impl ByteStream) -> Session {
        self.attach_connection(Connection::new(io, Endpoint::MEMORY))
    }

    /// The same over what carries whole messages: any stream and sink of them, such as a pair of channels. See [`MessageChannel`].
    pub fn attach_messages(&self, messages: impl MessageChannel) -> Session {
        self.attach_connection(Connection::of_messages(messages, Endpoint::MEMORY))
    }

    /// The same over a WebSocket, whose handshake was made over a stream of yours.
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

    /// The sessions that are open, in the order in which they began. Each tells what it [has done](Session::statistics), and can be
    /// [closed](Session::close).
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.shared.sessions().values().cloned().collect();
        sessions.sort_unstable_by_key(Session::id);
        sessions
    }

    /// The session that has this [`id`](Session::id), if it is open.
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

    /// What this server serves, as a tower service to mount in another one, axum's or any of hyper's. With the feature `ws`, requests for a
    /// WebSocket become sessions of this server: it counts, lists and closes them. Shutting it down waits for the requests that the service
    /// is working on; those that come later are answered 503.
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

    /// Speaks HTTP with a peer that is connected already, over any stream of bytes: what [`attach`](Self::attach) is for sessions. Must be
    /// called on a tokio runtime. It counts as a [connection](crate::Limits::connections), and is never one too many.
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
        let http = Arc::new(HttpProtocol::new(&self.shared, &self.shared.policy, &Endpoint::MEMORY, options));
        // Where the server has stopped, it ends at once.
        http.serve(&self.shared, connection, group);
    }

    /// Closes every listener, and returns when nobody listens any more. Sessions go on, connections of HTTP too, and further ones may be
    /// [attached](Self::attach). Calling it again waits for the same end. Dropping the future does not undo it.
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
        self.shared.listening.until_none().await;
    }

    /// Stops in good order: accepts nobody any more, lets handlers finish, closes every session, and returns when all have ended.
    ///
    /// A session that takes longer than [`Limits::close_timeout`](crate::Limits::close_timeout) is ended by force; idle ones end at
    /// once. So it is with connections of HTTP, which finish the requests at hand, and with requests that another server has handed to an
    /// [`http_service`](Self::http_service), which answers 503 from then on. Work that handlers have
    /// [shielded](crate::Context::shield) is waited for as long. Calling it again waits for the same end. Dropping the future does not undo it.
    pub async fn shutdown(&self) {
        self.shared.start_shutdown();
        self.closed().await;
    }

    /// Like [`shutdown`](Self::shutdown), and ends by force what has not ended after `patience`, however long the sessions may take
    /// by their limits. Of several deadlines the earliest counts, also where a shutdown is under way already.
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
        // A task of its own: it goes on when nobody waits for it any more.
        tokio::spawn(async move {
            if timeout(patience, server.closed()).await.is_err() {
                for session in server.sessions() {
                    session.link().abort(CloseReason::Shutdown);
                }
                #[cfg(feature = "http")]
                server.shared.http.force();
            }
        });
        self.closed().await;
    }

    /// Waits until the server was shut down. Cancel safe.
    ///
    /// A server that listens at `stdio:` and nowhere else (or nowhere else any more) shuts down by itself when its session there has ended:
    /// nobody else can come. So this is what the `main` of such a program waits for.
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
        // The sender lives in `self`: it cannot be gone.
        let _stopped = stage.wait_for(|stage| *stage == ServerStage::Stopped).await;
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
