//! From a request to its reply: what handlers are, and what they are given.
//!
//! Nothing here reads, writes or spawns, but for what a handler asks to have a task of its own: a handler either finishes at once, and its reply is written where it leaves from, or
//! gives a future back that the caller of the service drives.

mod broadcast;
mod context;
mod dispatch;
mod dispatcher;
mod handler;
mod inline_policy;
mod peer;
mod progress;
mod queue;
mod reply;
mod request;
mod router;
mod routes;
mod subscribe;
mod work;

pub use broadcast::{Broadcast, BroadcastStream, SharedJson};
pub use context::{Context, Shielded};
pub(crate) use dispatch::{Dispatch, Dispatched, ReplySink};
pub use dispatcher::{Dispatcher, DispatcherBuilder, Exchange};
pub use handler::{Args, blocking};
pub(crate) use handler::{MESSAGE, TakesMessages, handle, handle_now, takes_messages};
pub(crate) use inline_policy::InlinePolicy;
pub(crate) use peer::{RequestPeer, RequestPeerRef};
pub(crate) use queue::{Queue, Removed, Waiting};
pub(crate) use reply::{Replies, ReplyLimit};
pub use reply::{ReplyValue, Returned, returned, written};
pub(crate) use request::ServiceOutcome;
pub use request::{Handled, Params, Request, Service, no_such_method};
pub use router::{Handler, Router};
pub use routes::DuplicateMethod;
pub(crate) use routes::{BuiltServices, Routes, Services};
pub use subscribe::Sink;
pub(crate) use subscribe::subscribe;
pub(crate) use work::{Finished, Subscribing, Work};
