//! An application of axum's as people have it, with a service at `/rpc` beside pages, and a record of what comes there.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    extract::{Request, State},
    http::header::CONTENT_TYPE,
    middleware::{self, Next},
    response::Response,
    routing::Router,
};
use rpc::{Server, ServerHandle, WebAccess};
use tokio::{net::TcpListener, task::JoinHandle};

use super::chromium::robot;

/// It listens until it is dropped.
pub(crate) struct App {
    pub(super) addr: SocketAddr,
    /// Where sessions are.
    pub(super) server: ServerHandle,
    came: Came,
    serving: JoinHandle<()>,
}

type Came = Arc<Mutex<Vec<String>>>;

impl App {
    /// One that `access` says the pages of, with `layer` before the service.
    pub(super) async fn start(
        server: ServerHandle,
        access: WebAccess,
        layer: impl FnOnce(Router) -> Router,
    ) -> Self {
        let came = Came::default();
        let router = Router::new().route_service("/rpc", server.http_service().access(access));
        let router = layer(router).layer(middleware::from_fn_with_state(came.clone(), note)).merge(robot());
        let (addr, serving) = serve(router).await;
        Self { addr, server, came, serving }
    }

    /// One that has nothing to call.
    pub(crate) async fn empty() -> Self {
        let server = Server::builder().build().expect("no method twice");
        Self::start(server.start(), WebAccess::new(), |router| router).await
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where the service is.
    pub(super) fn rpc(&self) -> String {
        format!("{}/rpc", self.origin())
    }

    /// What came since this was asked last: method, content type, and the status of the answer.
    pub(super) fn came(&self) -> Vec<String> {
        std::mem::take(&mut *self.came.lock().expect("nobody panics while holding it"))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves `router` at a port of its own.
pub(super) async fn serve(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let app = router.into_make_service_with_connect_info::<SocketAddr>();
    (addr, tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") }))
}

/// Before the page sees the answer.
async fn note(State(came): State<Came>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let response = next.run(request).await;
    let content_type = content_type.as_ref().map_or("-", |value| value.to_str().expect("it is text"));
    let line = format!("{method} {content_type} {}", response.status().as_u16());
    came.lock().expect("nobody panics while holding it").push(line);
    response
}
