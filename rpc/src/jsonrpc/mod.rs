//! The language: the bytes of one message to values and back.
//!
//! No I/O, no tasks, no clock and no tokio in here: text goes in, values come out, and what is sent is appended to
//! a buffer that the caller owns. [`Connection`] keeps what one link has to remember (its calls in flight).

pub(crate) mod buffer;
mod cancellation;
mod canonical;
mod chain;
mod connection;
mod error;
mod executed;
mod id;
mod message;
mod method;
pub(crate) mod one_line;
mod param;
pub(crate) mod params;
mod reply;
pub(crate) mod result;
mod rpc_error;
pub(crate) mod secret;
pub(crate) mod shown;
mod skim;
pub(crate) mod subscription;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod version;
mod white_space;

pub use cancellation::Cancellation;
pub(crate) use cancellation::{CancelBy, cancelled};
#[cfg(feature = "http")]
pub(crate) use chain::clean_boxed;
pub use chain::{Chain, chain};
pub(crate) use chain::{clean_io, clean_json};
pub(crate) use connection::{BatchId, Lend, Member, Paused, RefusedCall, Step};
pub use connection::{Body, CallId, Connection, Event, Events, Ticket, Unsupported};
pub use error::{ErrorCode, ErrorObject, ProtocolError};
pub use executed::Executed;
pub use id::{Id, RequestId};
pub(crate) use message::{Malformed, Message, Outcome, Request, Response, UncheckedRequest};
pub use method::{MethodInfo, MethodKind, Order};
pub use param::ParamInfo;
pub(crate) use params::UncheckedParams;
pub use params::{EmptyParams, RawParams, UnknownParams};
pub use reply::{Reply, ReplyError};
pub use rpc_error::RpcError;
pub(crate) use skim::{Rest, Skim, Verdict};
pub use subscription::{Notices, Overflow, Progress, SubscriptionInfo, SubscriptionStyle};
pub(crate) use version::Elements;
pub use version::Protocol;
