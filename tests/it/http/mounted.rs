//! Mounted in axum, beside other routes.

use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rpc::{Context, ErrorObject, HttpService, Params, Router, Server};
use rpc_tests::{CalcServer, Gate, MyCalc, echo, soon, waiting};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_http::{cors::CorsLayer, validate_request::ValidateRequestHeaderLayer};

use super::kit::{Answer, mounted};

/// An axum application that listens, until it is dropped.
struct App {
    addr: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

impl App {
    async fn start(app: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { addr, serving }
    }

    async fn connect(&self) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(TcpStream::connect(self.addr).await.expect("it listens"));
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP is spoken");
        tokio::spawn(connection);
        sender
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut sender = self.connect().await;
        Answer::read(soon(sender.send_request(request)).await.expect("a response")).await
    }

    fn request(&self, method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.addr.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("a request")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

const ADD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#;

#[tokio::test]
async fn it_stands_beside_other_routes() {
    let app = App::start(
        axum::Router::new()
            .route("/", get("Hello"))
            .route_service("/rpc", mounted(CalcServer::new(MyCalc)))
            .nest_service("/nested", mounted(echo())),
    )
    .await;
    assert_eq!(app.send(app.request("GET", "/", "")).await.text(), "Hello");
    assert_eq!(app.send(app.request("POST", "/rpc", ADD)).await.json()["result"], 3);
    let echo = app.request("POST", "/nested/", r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#);
    assert_eq!(app.send(echo).await.json()["result"][0], 7);
    assert_eq!(app.send(app.request("POST", "/nowhere", ADD)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn layers_stand_before_it() {
    let app = App::start(
        axum::Router::new()
            .route_service("/rpc", mounted(CalcServer::new(MyCalc)))
            .layer(ValidateRequestHeaderLayer::accept("application/json"))
            .layer(CorsLayer::new().allow_origin(["https://app.example.org".parse().expect("an origin")])),
    )
    .await;
    // A page asks first whether it may post JSON here.
    let mut preflight = app.request("OPTIONS", "/rpc", "");
    preflight.headers_mut().insert(header::ORIGIN, "https://app.example.org".parse().expect("an origin"));
    preflight.headers_mut().insert(header::ACCESS_CONTROL_REQUEST_METHOD, "POST".parse().expect("a method"));
    let allowed = app.send(preflight).await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.org");
    let mut html = app.request("POST", "/rpc", ADD);
    html.headers_mut().insert(header::ACCEPT, "text/html".parse().expect("a type"));
    assert_eq!(app.send(html).await.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(app.send(app.request("POST", "/rpc", ADD)).await.json()["result"], 3);
}

#[tokio::test]
async fn the_address_that_axum_knows_reaches_the_handler() {
    let router = Router::new().method("from", async |_: Params, cx: Context| {
        let from = cx.extensions().get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
        Ok::<_, ErrorObject>(from.map(|from| from.0.to_string()))
    });
    let app = axum::Router::new()
        .route_service("/rpc", mounted(router))
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    let app = App { addr, serving };

    let stream = TcpStream::connect(app.addr).await.expect("it listens");
    let ours = stream.local_addr().expect("an address").to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let request = app.request("POST", "/rpc", r#"{"jsonrpc":"2.0","id":1,"method":"from"}"#);
    let answer = Answer::read(soon(sender.send_request(request)).await.expect("a response")).await;
    assert_eq!(answer.json()["result"], ours);
}

#[tokio::test]
async fn a_client_that_hangs_up_has_its_handler_dropped() {
    let gate = Gate::closed();
    let service: HttpService = mounted(waiting(&gate));
    let app = App::start(axum::Router::new().route_service("/rpc", service)).await;
    let mut sender = app.connect().await;
    let request = app.request("POST", "/rpc", r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#);
    let call = tokio::spawn(async move { sender.send_request(request).await });
    soon(gate.until(|gate| gate.waiting() == 1)).await;
    call.abort();
    soon(gate.until(|gate| gate.dropped() == 1)).await;
}

#[tokio::test]
async fn a_server_that_has_shut_down_has_axum_close_the_connections_that_go_on_asking() {
    let server = Server::builder().service(CalcServer::new(MyCalc)).build().expect("one service").start();
    let app =
        App::start(axum::Router::new().route("/", get("Hello")).route_service("/rpc", server.http_service()))
            .await;
    let mut sender = app.connect().await;
    let answer = soon(sender.send_request(app.request("POST", "/rpc", ADD))).await.expect("a response");
    assert_eq!(Answer::read(answer).await.json()["result"], 3);
    // A connection over which nothing is asked does not hold it up.
    soon(server.shutdown()).await;
    soon(sender.ready()).await.expect("it is kept");
    let refused = soon(sender.send_request(app.request("POST", "/rpc", ADD))).await.expect("a response");
    Answer::read(refused).await.expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, "shutting down");
    soon(sender.ready()).await.expect_err("it is closed");
    // What else is served goes on.
    assert_eq!(app.send(app.request("GET", "/", "")).await.text(), "Hello");
}
