//! Requests and responses, without a network.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header, request::Builder};
use http_body_util::{BodyExt, Full};
use rpc::{Dispatcher, HttpBody, HttpOptions, HttpService, Limits, Server, ServerHandle, Service};
use serde_json::Value;
use tokio::io::DuplexStream;
use tower::ServiceExt;

pub(super) type Body = Full<Bytes>;

/// A response that was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) async fn read<B>(response: Response<B>) -> Self
    where
        B: BodyExt<Error: std::fmt::Debug>,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers.get(header::CONTENT_TYPE).map(AsRef::as_ref), Some(&b"application/json"[..]));
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// A refusal with `status` and the code of an error whose text says `why`.
    pub(super) fn expect_refusal(&self, status: StatusCode, code: i64, why: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let refusal = self.json();
        assert_eq!(refusal["id"], Value::Null);
        assert_eq!(refusal["error"]["code"], code, "{refusal}");
        assert!(refusal["error"]["message"].as_str().expect("a text").contains(why), "{refusal}");
    }
}

/// `service`, mounted as it is.
pub(super) fn mounted(service: impl Service) -> HttpService {
    mounted_with(service, Limits::server())
}

pub(super) fn mounted_with(service: impl Service, limits: Limits) -> HttpService {
    let dispatcher = Dispatcher::builder().service(service).limits(limits).build().expect("one service");
    HttpService::new(dispatcher)
}

/// A message that is posted as it should be.
pub(super) fn posted() -> Builder {
    posted_to("localhost")
}

/// The same to a server that is called `host`.
pub(super) fn posted_to(host: &str) -> Builder {
    Request::post("/").header(header::HOST, host).header(header::CONTENT_TYPE, "application/json")
}

pub(super) fn message(body: impl Into<Bytes>) -> Request<Body> {
    posted().body(Full::new(body.into())).expect("a request")
}

/// A request for a WebSocket.
pub(super) fn websocket() -> Request<Body> {
    let request = Request::get("/")
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    request.body(Body::default()).expect("a request")
}

pub(super) async fn ask(service: &HttpService, request: Request<Body>) -> Answer {
    Answer::read(respond(service, request).await).await
}

pub(super) async fn respond(service: &HttpService, request: Request<Body>) -> Response<HttpBody> {
    match service.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The answer to a message: its status is 200.
pub(super) async fn post(service: &HttpService, body: &'static str) -> Answer {
    let answer = ask(service, message(body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer
}

/// A server whose limits are changed so, and that listens nowhere.
pub(super) fn serving(service: impl Service, change: impl FnOnce(&mut Limits)) -> ServerHandle {
    let mut limits = Limits::server();
    change(&mut limits);
    Server::builder().service(service).limits(limits).build().expect("one service").start()
}

/// The peer of a connection in memory.
pub(super) fn attach(server: &ServerHandle) -> DuplexStream {
    let (peer, io) = rpc::transport::memory(64 << 10);
    server.attach_http(io, &HttpOptions::new());
    peer
}
