//! Connections that the application has accepted itself.

use std::sync::Arc;

#[cfg(feature = "ws")]
use super::upgrade::Sessions;
use super::{Http, HttpOptions, HttpService};
#[cfg(feature = "ws")]
use crate::transport::websocket::WebSocketServer;
use crate::{
    server::{ServerHandle, handle::Shared, terms::Terms},
    service::Dispatcher,
    transport::{ByteStream, Connection, Endpoint},
};

impl HttpService {
    /// What a server serves.
    pub(super) fn of(shared: &Arc<Shared>, terms: &Arc<Terms>) -> Self {
        let Terms { services, settings, capacity } = &**terms;
        let dispatcher = Dispatcher::of(
            Arc::clone(services),
            settings.limits.clone(),
            settings.version,
            shared.http.shielded_work().clone(),
        );
        let service = Self::sharing(dispatcher, Arc::clone(capacity)).in_server(shared);
        #[cfg(feature = "ws")]
        let service = service.with_sessions(Sessions::new(shared, terms, WebSocketServer::new()));
        service
    }
}

impl ServerHandle {
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
    pub fn http_service(&self) -> HttpService {
        HttpService::of(&self.shared, &self.shared.terms)
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
    pub fn attach_http(&self, io: impl ByteStream, options: &HttpOptions) {
        let connection = Connection::new(io, Endpoint::MEMORY);
        let groups = self.shared.groups.as_ref();
        let group = groups.map(|groups| groups.attach(&connection.peer)).unwrap_or_default();
        let http = Arc::new(Http::new(&self.shared, &self.shared.terms, &Endpoint::MEMORY, options));
        // Where the server has stopped, it ends at once.
        http.serve(&self.shared, connection, group);
    }
}
