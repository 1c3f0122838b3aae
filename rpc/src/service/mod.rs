//! From a request to its reply: what handlers are, and what they are given.
//!
//! Nothing here reads, writes or spawns, but for what a handler asks to have a task of its own: a handler either finishes at once, and its reply is written where it leaves from, or
//! gives a future back that the caller of the service drives.

mod blocking;
mod broadcast;
mod context;
mod dispatch;
mod dispatcher;
mod handled;
mod handler;
mod messages;
mod one_shot;
mod pace;
mod panics;
mod params;
mod peer;
mod progress;
mod queue;
mod reply;
mod request;
mod router;
mod routes;
mod services;
mod shield;
mod subscribe;
mod subscribing;
mod unreported;
mod work;

pub use blocking::blocking;
pub use broadcast::{Broadcast, Listener, Shared};
pub use context::Context;
pub(crate) use dispatch::{Dispatch, Dispatched, ReplySink};
pub use dispatcher::{Dispatcher, DispatcherBuilder, Exchange};
pub use handled::Handled;
pub(crate) use handled::Outcome;
pub use handler::{Args, no_such_method};
pub(crate) use handler::{handle, handle_now};
pub(crate) use messages::{MESSAGE, TakesMessages, takes_messages};
pub(crate) use pace::{Pace, Run};
pub use params::Params;
pub(crate) use peer::{RequestPeer, RequestPeerRef};
pub(crate) use queue::{Queue, Removed, Waiting};
pub(crate) use reply::{Replies, ReplyLimit};
pub use reply::{ReplyValue, Returned, returned, written};
pub use request::Request;
pub use router::{Handler, Router};
pub use routes::DuplicateMethod;
pub(crate) use routes::{Routes, Table};
pub(crate) use services::{BuiltServices, Services};
pub use shield::Shielded;
pub use subscribe::Sink;
pub(crate) use subscribe::subscribe;
pub(crate) use subscribing::Subscribing;
pub(crate) use work::{Finished, Work};

use crate::jsonrpc::MethodInfo;

/// Something that serves methods: a generated server (`CalcServer`), a [`Router`], or what wraps one.
///
/// A service is asked for its methods once, when a server or a connector is built, and then called by their index.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    label = "this implements a trait, and is not what serves it",
    note = "what `#[rpc_service]` has generated serves it: `CalcServer::new(value)`, or `CalcServer::from(arc)` for what is shared"
)]
pub trait Service: Send + Sync + 'static {
    /// The methods that every value of this type serves: what can be checked before there is one. Types whose methods are only
    /// known at run time leave it empty.
    fn declared() -> &'static [MethodInfo]
    where
        Self: Sized,
    {
        &[]
    }

    /// The methods that this value serves.
    fn methods(&self) -> &[MethodInfo];

    /// Serves a request for the method at index `method` of [`methods`](Self::methods).
    fn call(&self, method: usize, request: Request<'_>) -> Handled;
}

/// Serves nothing.
impl Service for () {
    fn methods(&self) -> &[MethodInfo] {
        &[]
    }

    fn call(&self, _: usize, request: Request<'_>) -> Handled {
        no_such_method(request)
    }
}
