//! Typed RPC from a trait: one service over every transport, JSON-RPC dialect and direction.

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
pub mod testing;
pub mod transport;

pub use client::{ConnectError, Connector, connect};
pub use jsonrpc::{
    ErrorCode, ErrorObject, MethodInfo, MethodKind, ParamInfo, ProtocolError, RawParams, Reply, RequestId,
    RpcError,
};
pub use limits::Limits;
pub use rpc_macros::{RpcError, rpc_service};
pub use server::{BindError, Server, ServerBuilder, ServerHandle};
pub use service::{Context, Handled, Handler, Params, Request, Router, Service};
pub use session::{
    Call, CallError, CallFuture, Caller, CloseReason, Extensions, Notify, NotifyFuture, Outgoing,
    PendingCall, PendingNotify, Returns, Session,
};
pub use transport::{Endpoint, EndpointError};

/// The code in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
