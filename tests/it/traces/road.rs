//! The transports.

use std::any::Any;

use rpc::{Cancellation, Connector, Dispatcher, HttpClient, HttpClientBuilder, Limits, Server, Session};
use rpc_tests::Gate;

use super::acts::{Actor, ActsServer};

/// A caller, and the other side.
pub(super) struct Road<C> {
    pub(super) caller: C,
    /// What the address of the caller begins with, as the log has it.
    pub(super) peer: &'static str,
    /// How the caller is gone, where dropping its calls is not enough.
    pub(super) leave: fn(&C),
    _kept: Box<dyn Any>,
}

impl<C> Road<C> {
    fn new(caller: C, peer: &'static str, leave: fn(&C), kept: impl Any) -> Self {
        Self { caller, peer, leave, _kept: Box::new(kept) }
    }
}

fn served(gate: &Gate) -> ActsServer<Actor> {
    ActsServer::new(Actor(gate.clone()))
}

pub(super) async fn memory(gate: Gate, limits: Limits) -> Road<Session> {
    let (here, there) = rpc::transport::memory(64 << 10);
    let server = Connector::over(there).service(served(&gate)).limits(limits);
    let server = server.cancellation(Cancellation::LSP).connect().await.expect("connected");
    let client = Connector::over(here).cancellation(Cancellation::LSP).connect().await.expect("connected");
    Road::new(client, "memory:", Session::abort, server)
}

pub(super) async fn tcp(gate: Gate, limits: Limits) -> Road<Session> {
    session_at("tcp://127.0.0.1:0", "tcp://127.0.0.1:", &gate, limits).await
}

pub(super) async fn websocket(gate: Gate, limits: Limits) -> Road<Session> {
    session_at("ws://127.0.0.1:0", "ws://127.0.0.1:", &gate, limits).await
}

async fn session_at(url: &str, peer: &'static str, gate: &Gate, limits: Limits) -> Road<Session> {
    let server = Server::builder().service(served(gate)).limits(limits).cancellation(Cancellation::LSP);
    let server = server.bind(url).await.expect("a port is free").start();
    let connector = Connector::new(&server.endpoint().to_string()).expect("an endpoint");
    let client = connector.cancellation(Cancellation::LSP).connect().await.expect("it listens");
    Road::new(client, peer, Session::abort, server)
}

pub(super) async fn http1(gate: Gate, limits: Limits) -> Road<HttpClient> {
    posts(&gate, limits, |client| client).await
}

pub(super) async fn http2(gate: Gate, limits: Limits) -> Road<HttpClient> {
    posts(&gate, limits, HttpClientBuilder::http2_only).await
}

async fn posts(
    gate: &Gate,
    limits: Limits,
    with: impl FnOnce(HttpClientBuilder) -> HttpClientBuilder,
) -> Road<HttpClient> {
    let server = Server::builder().service(served(gate)).limits(limits);
    let server = server.bind("http://127.0.0.1:0").await.expect("a port is free").start();
    let client = HttpClient::builder(&server.endpoint().to_string()).expect("an endpoint");
    Road::new(with(client).build().expect("a client"), "http://127.0.0.1:", |_| {}, server)
}

pub(super) async fn dispatcher(gate: Gate, limits: Limits) -> Road<Dispatcher> {
    let dispatcher = Dispatcher::builder().service(served(&gate)).limits(limits).build();
    Road::new(dispatcher.expect("one service"), "memory:", |_| {}, ())
}
