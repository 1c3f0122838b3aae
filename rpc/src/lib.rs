//! Typed RPC from a trait, both ways on one connection.
//!
//! Annotate a trait with [`#[rpc_service]`](macro@rpc_service) and you get a server for whoever implements it and a client with the same
//! methods. On the wire it is JSON-RPC 2.0, so the other side may be written in anything.
//!
//! ```
//! use rpc::{CallError, RpcError, Server, rpc_service};
//!
//! #[rpc_service]
//! pub trait Calc {
//!     /// Adds two numbers.
//!     async fn add(&self, a: i64, b: i64) -> i64;
//!
//!     /// Fails in a way of its own: the caller matches on it.
//!     async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;
//! }
//!
//! #[derive(Debug, thiserror::Error, RpcError)]
//! pub enum DivError {
//!     #[error("division by zero")]
//!     #[rpc(code = 1)]
//!     ByZero,
//! }
//!
//! struct MyCalc;
//!
//! impl Calc for MyCalc {
//!     async fn add(&self, a: i64, b: i64) -> i64 {
//!         a + b
//!     }
//!
//!     async fn div(&self, a: i64, b: i64) -> Result<i64, DivError> {
//!         a.checked_div(b).ok_or(DivError::ByZero)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().service(CalcServer::new(MyCalc)).bind("tcp://127.0.0.1:0").await?;
//! let url = server.endpoint().to_string();
//! let running = server.start();
//!
//! let session = rpc::connect(&url).await?;
//! let calc = CalcClient::from(session);
//! assert_eq!(calc.add(1, 2).await?, 3);
//! assert!(matches!(calc.div(1, 0).await, Err(CallError::Service(DivError::ByZero))));
//!
//! running.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! | To | look at |
//! |---|---|
//! | write a service | [`rpc_service`](macro@rpc_service), and [`RpcError`](derive@RpcError) for its errors |
//! | say more about it: names, defaults, timeouts, type parameters … | [`guide::service`] |
//! | serve it | [`Server`], [`ServerHandle`] |
//! | connect, and serve from the side that connects | [`connect`], [`Connector`] |
//! | call a server over HTTP: Bitcoin Core, an Ethereum node | `HttpClient` (feature `http`) |
//! | call, notify, close, and learn why a connection ended | [`Session`], [`Call`], [`CallError`], [`CloseReason`] |
//! | know who is calling, and call them back | [`Context`] |
//! | follow what changes over there | [`Subscription`], [`guide::subscriptions`]; what is sent unasked: [`Session::notifications`] |
//! | answer messages that come some other way: bytes in, bytes out | [`Dispatcher`] |
//! | serve over HTTP, or in an application of axum's (feature `http`) | `HttpService`, `HttpOptions`, `guide::http` |
//! | send several calls in one message | [`Session::batch`], [`OutgoingBatch`] |
//! | speak JSON-RPC 1.0, or whatever the peer does | [`Protocol`], [`guide::versions`] |
//! | do without a runtime | [`jsonrpc::Connection`] |
//! | follow a stream of items, or send one to many | [`guide::subscriptions`], [`Subscription`], [`Broadcast`] |
//! | do without a trait | [`Router`], [`Session::call`] |
//! | bound what a peer may use, in bytes, time and effort; end sessions | [`Limits`], [`guide::limits`] |
//! | know what an error means, and whether a call may be tried again | [`CallError::executed`], [`guide::errors`] |
//! | know what protects against whom, and what does not | [`guide::threats`] |
//! | bound what many connections, or new ones, get of a server | [`Groups`], [`Session::join_group`] |
//! | notice that a silent peer is gone | [`KeepAlive`] |
//! | connect by way of Tor or another SOCKS proxy | [`transport::socks::SocksProxy`] |
//! | choose what sockets do | [`transport::tcp::TcpOptions`], [`Listen`] |
//! | know when sessions begin and end | [`Hooks`] |
//! | see what a session has done | [`Session::statistics`], [`ServerHandle::sessions`] |
//! | retry, balance, record | [`Caller`] |
//! | test, with a service played by a script or without a network | [`testing`] |
//! | encrypt, and know who is on the other side | `transport::tls`, with the feature `tls` |
//! | speak with processes of the same machine, and know whose they are | `transport::unix`, with the feature `unix` |
//! | serve over standard input and output, or start a process that does | `transport::stdio`, with the feature `stdio` |
//! | speak over a stream of yours, or tell messages apart in another way | [`Connector::over`], [`ServerHandle::attach`], [`framing`] |
//! | speak a protocol without replies: typed messages in and out | [`MessageSession`], [`Message`] |
//! | see in the log what was asked, how it ended, and how long it took | [`guide::logging`] |
//! | know what it costs | [`guide::speed`] |
//!
//! # Features
//!
//! | Feature | What it brings | What it takes in |
//! |---|---|---|
//! | `tcp` (default) | `tcp://`, `transport::tcp` | `socket2`, which tokio takes in, too |
//! | `unix` (default) | `unix:`, `transport::unix` | `rustix` |
//! | `stdio` (default) | `stdio:`, `transport::stdio`, `Connector::spawn` | `rustix`, tokio's `process` |
//! | `tls` | `tls://`, `transport::tls` | `tokio-rustls`, with `rustls` and `ring`; `rustls-platform-verifier`; and `tcp` |
//! | `tls-no-provider` | what `tls` brings, without `ring`: the application chooses the cryptography, `aws-lc-rs` for one, with `transport::tls::set_provider` | `tokio-rustls`, with `rustls`; `rustls-platform-verifier`; and `tcp` |
//! | `ws` | `ws://`, with `tls` also `wss://`, `transport::websocket` | `tungstenite` for the handshakes, `rand`, `http`, `httparse`; and `tcp` |
//! | `socks` | `transport::socks`, with `tcp` | – |
//! | `http` | `http://`, and `https://` with `tls`: `HttpClient`; listening, and `HttpService` to mount in axum and others | `hyper`, `hyper-util`, `http`, `http-body`, `http-body-util`, `tower`, `base64` |
//! | `bitcoin` | `BitcoinFramer` | `sha2` |
//!
//! Without any of them there are connections in memory, `memory:`, and whatever streams you have. A URL whose scheme was left out is an error
//! that names the feature.
//!
//! # The way of a request
//!
//! Each layer uses those above it in this list only, and each is a folder of the source:
//!
//! | Layer | What it does |
//! |---|---|
//! | `jsonrpc` | the language: the bytes of one message to values and back; no I/O, no tasks, no clock |
//! | `framing` | bytes to frames and back |
//! | `transport` | byte streams, and the URLs that name them |
//! | `limits` | the numbers that bound a peer |
//! | `session` | the handle of a live peer, and what it shares with the loop |
//! | `service` | from a request to its reply |
//! | `driver` | the loop of a session: reads, admits, dispatches, writes, ends |
//! | `server`, `client` | listening and connecting |
//!
//! ```text
//! transport -> framing -> jsonrpc -> driver -> service -> handler
//! the handler's value -> reply, written once, straight into the outgoing bytes -> transport
//! ```
//!
//! # What is promised
//!
//! 1. **Every call ends, once**: with its reply, an error, a timeout, or the reason for which the session closed.
//! 2. **Replies are always read.** A handler that calls back cannot deadlock, however loaded the session is.
//! 3. **Memory is bounded** for each session, by the numbers in [`Limits`].
//! 4. **Order**: messages leave in the order in which they were sent, and requests start in the order in which they came. Replies may
//!    overtake each other.
//! 5. **Only requests are answered**: two peers that send each other rubbish fall silent.
//! 6. **Ids are compared as JSON values**, numbers by their text, and echoed byte for byte.
//! 7. **A handler cannot hurt its session**: a panic, a hang, a result that is too large or cannot be written become errors of that
//!    request, and nothing internal leaks.
//! 8. **A session that ends stops what it started.** A graceful end lets handlers finish until a deadline.
//! 9. **Time is tokio's**: tests can pause it.
//! 10. **There is no `unsafe`** in this crate.
//!
//! # Events
//!
//! What happens goes to [`tracing`]. Each request and each notification that is served, over whatever transport, has a span around its
//! handler and one event at its end, at the level `DEBUG` with the target `rpc::request`: how it has ended, and how long it took. Failures of
//! handlers are errors. At the level `TRACE` sessions show every message whole, as it came or is about to leave, but for
//! [secrets](guide::service#secret). The fields have the names of OpenTelemetry's conventions for RPC. All of it is in
//! [`guide::logging`].

mod client;
mod driver;
pub mod framing;
pub mod jsonrpc;
mod limits;
#[doc(hidden)]
pub mod private;
mod server;
mod service;
mod session;
mod sync;
pub mod testing;
pub mod transport;

pub use client::{ConnectError, Connector, connect};
#[cfg(feature = "http")]
pub use client::{HttpClient, HttpClientBuilder, HttpClientError};
pub use jsonrpc::{
    Cancellation, Chain, EmptyParams, ErrorCode, ErrorObject, Executed, MethodInfo, MethodKind, Notices,
    Order, Overflow, ParamInfo, Progress, Protocol, ProtocolError, RawParams, Reply, ReplyError, RequestId,
    RpcError, SubscriptionInfo, SubscriptionStyle, UnknownParams, Unsupported, chain,
};
pub use limits::{GroupKey, Groups, KeepAlive, Limits, Network, NetworkError};
pub use rpc_macros::{RpcError, rpc_service};
pub use server::{BindError, Listen, Server, ServerBuilder, ServerHandle};
#[cfg(feature = "http")]
pub use server::{HttpBody, HttpOptions, HttpService};
pub use service::{
    Broadcast, BroadcastStream, Context, Dispatcher, DispatcherBuilder, DuplicateMethod, Exchange, Handled,
    Handler, Params, Request, Router, Service, SharedJson, Shielded,
};
pub use session::{
    Batch, BatchError, BatchItem, BatchMember, BatchMembers, BatchReplies, BatchShape, Call, CallError,
    Caller, CloseReason, DeadlineCaller, GroupFull, Hooks, Items, MemberShape, Message, MessageSession,
    Notify, Outgoing, OutgoingBatch, OutgoingSubscription, PendingBatch, PendingCall, PendingNotify,
    RawSubscription, Returns, SendError, Session, Statistics, Subscribe, Subscriber, Subscription,
    SubscriptionError, WithEmptyParams,
};
#[cfg(feature = "http")]
pub use transport::HttpError;
#[cfg(any(feature = "http", feature = "ws"))]
pub use transport::HttpHeaders;
#[cfg(any(feature = "http", feature = "ws"))]
pub use transport::WebAccess;
pub use transport::{Endpoint, EndpointError, Extension, Extensions};

/// Pages to read.
pub mod guide {
    #[doc = include_str!("../docs/errors.md")]
    pub mod errors {}

    #[cfg(feature = "http")]
    #[doc = include_str!("../docs/http.md")]
    pub mod http {}

    #[doc = include_str!("../docs/limits.md")]
    pub mod limits {}

    #[doc = include_str!("../docs/logging.md")]
    pub mod logging {}

    #[doc = include_str!("../docs/service.md")]
    pub mod service {}

    #[doc = include_str!("../docs/speed.md")]
    pub mod speed {}

    #[doc = include_str!("../docs/subscriptions.md")]
    pub mod subscriptions {}

    #[doc = include_str!("../docs/threats.md")]
    pub mod threats {}

    #[doc = include_str!("../docs/versions.md")]
    pub mod versions {}
}

/// The code in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
