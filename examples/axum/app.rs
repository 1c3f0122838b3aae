//! The application: the service, a login before it, and the page beside it.

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, Request},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::{Stream, StreamExt, stream};
use rpc::{Context, Endpoint, Limits, Server, ServerHandle, rpc_service};
use tokio::time::sleep;

// ---- The service: it knows nothing of HTTP but who is asking -------------------------------------------------------

#[rpc_service]
pub(crate) trait Greeter {
    async fn greet(&self, #[rpc(context)] cx: &Context, greeting: &str) -> String;

    /// Needs a session, and so a WebSocket.
    #[rpc(subscription)]
    async fn count_down(&self, from: u32) -> impl Stream<Item = u32>;
}

/// What a client may serve in turn: the page does.
#[rpc_service]
pub(crate) trait Visitor {
    async fn name(&self, question: &str) -> Option<String>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, cx: &Context, greeting: &str) -> String {
        // Put there by `login`. Over another transport the application would have put it into the session's extensions.
        let user = cx.extensions().get::<User>();
        let name = match &user {
            Some(user) => user.0.clone(),
            // A call back, while the client waits for its reply. A POST has no session to call back on.
            None => {
                let visitor = VisitorClient::from(cx.session().clone());
                let name = visitor.name("Who are you?").timeout(Duration::from_secs(20)).await;
                name.ok().flatten().unwrap_or_else(|| "stranger".to_owned())
            }
        };
        format!("{greeting}, {name} at {}", cx.peer().host().unwrap_or_default())
    }

    async fn count_down(&self, from: u32) -> impl Stream<Item = u32> {
        stream::iter((0..=from).rev()).then(async |n| {
            sleep(Duration::from_millis(200)).await;
            n
        })
    }
}

// ---- The application -----------------------------------------------------------------------------------------------

#[derive(Clone)]
struct User(String);

/// Any layer may say who is asking: what it puts into the request's extensions reaches the handler.
async fn login(ConnectInfo(addr): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).map(|token| token.as_bytes().to_owned());
    match token.as_deref() {
        None => {}
        Some(b"Bearer 17") => drop(request.extensions_mut().insert(User("Ann".to_owned()))),
        Some(_) => return StatusCode::UNAUTHORIZED.into_response(),
    }
    // Then it is the `peer()` of the context, too.
    request.extensions_mut().insert(Endpoint::tcp(addr));
    next.run(request).await
}

/// The server listens nowhere itself: it keeps the sessions that WebSockets become.
pub(crate) fn app() -> Result<(axum::Router, ServerHandle), Box<dyn Error>> {
    let limits = Limits::server().with_frame_size(10_000);
    let server = Server::builder().service(GreeterServer::new(Polite)).limits(limits).build()?.start();
    let script = ([(header::CONTENT_TYPE, "text/javascript")], include_str!("rpc.js"));
    let app = axum::Router::new()
        .route_service("/rpc", server.http_service())
        .layer(middleware::from_fn(login))
        .route("/", get(Html(include_str!("page.html"))))
        .route("/rpc.js", get(script));
    Ok((app, server))
}
