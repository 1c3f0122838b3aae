//! From a request to its reply: services, the dispatcher that runs their handlers, and the values
//! that handlers are given.
//!
//! No I/O here, and only [`blocking`] and [`Context::shield`] spawn. A handler either finishes in
//! place, and its reply is written straight into the outgoing bytes; or it is pending, and the
//! caller of the dispatcher drives it.
//!
//! The way of a request:
//!
//! | File | What it does |
//! |---|---|
//! | `dispatch`, `queue` | admit a request, or have it wait for its turn |
//! | `routes`, `inline_policy` | find its service, and choose how its handler is run |
//! | `request` | the trait [`Service`], what it takes and returns |
//! | `router` | a service from untyped handlers |
//! | `handler` | polls the handler once in place |
//! | `context`, `peer` | what the handler knows of the request, and of its source |
//! | `work` | a handler in flight |
//! | `subscribe`, `progress` | handlers that return a stream |
//! | `reply` | serialises the value of the handler |
//!
//! `dispatcher` does all of this without a session; `broadcast` is one source of items for many
//! subscribers.

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
