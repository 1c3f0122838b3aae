//! The JSON-RPC language: from the bytes of one message to values, and back.
//!
//! Nothing here does I/O, spawns tasks, reads a clock or uses tokio: text goes in, values come out,
//! and messages are appended to a buffer that the caller owns. [`Connection`] keeps the state of
//! one connection (its calls in flight).

pub(crate) mod buffer;
mod cancellation;
mod connection;
mod error;
mod id;
pub(crate) mod json_text;
mod message;
mod method;
mod oversized;
pub(crate) mod params;
pub(crate) mod reply;
pub(crate) mod secret;
pub(crate) mod shown;
pub(crate) mod subscription;
mod subscription_info;
pub(crate) mod table;
pub(crate) mod version;
mod write;

pub use cancellation::Cancellation;
pub(crate) use cancellation::{CancelBy, cancelled};
pub(crate) use connection::{BatchId, Lend, Member, Paused, RefusedCall, Step};
pub use connection::{CallId, Connection, Event, Events, Ticket, Unsupported};
pub use error::{ErrorCode, ErrorObject, Executed, ProtocolError};
pub use id::{Id, RequestId};
pub(crate) use json_text::Elements;
pub use message::{EmptyParams, RawParams};
pub(crate) use message::{
    Malformed, Message, Outcome, Request, Response, Scanned, UncheckedParams, UncheckedRequest,
};
pub use method::{MethodInfo, MethodKind, Order, ParamInfo, UnknownParams};
pub(crate) use oversized::{Rest, Skim, Verdict};
pub use reply::{Reply, ReplyError, RpcError};
#[cfg(feature = "http")]
pub(crate) use shown::clean_boxed;
pub use shown::{Chain, chain};
pub(crate) use shown::{clean_io, clean_json};
pub use subscription_info::{Notices, Overflow, Progress, SubscriptionInfo, SubscriptionStyle};
pub use version::Protocol;
pub use write::Body;

// Other layers import from these two modules under these names.
pub(crate) use json_text as one_line;
pub(crate) use reply as result;
