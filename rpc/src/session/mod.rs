//! The handle of a live peer, and the state that it shares with the loop that serves it.
//!
//! No I/O here: handles append to the write buffer, and wait for the replies that the
//! [driver](crate#the-way-of-a-request) delivers.

mod adapters;
mod batch;
mod call;
mod call_limiter;
mod caller;
mod calls;
mod capacity;
mod close_reason;
mod effects;
mod error;
mod group;
mod handle;
mod hooks;
mod item_queue;
mod messages;
mod outbox;
mod outgoing;
mod pending;
mod reply_slot;
mod requests;
mod shared;
mod statistics;
mod subscribe;
mod subscribers;
mod subscription;
mod subscriptions;
mod trace;
mod work_tracker;
mod write_buffer;

pub use adapters::{DeadlineCaller, WithEmptyParams};
pub use batch::{Batch, BatchMember, BatchMembers, BatchReplies, BatchShape, MemberShape};
pub use call::{Call, Notify};
pub use caller::{Caller, Readable, Returns};
pub(crate) use calls::{Cancelling, InFlight};
pub use close_reason::CloseReason;
pub use error::{BatchError, CallError};
pub use group::GroupFull;
pub(crate) use group::{InstalledGroups, Membership};
pub use handle::Session;
pub use hooks::Hooks;
pub(crate) use item_queue::Bounds;
pub use messages::{Message, MessageSession, SendError};
pub use outgoing::{BatchItem, Outgoing, OutgoingBatch};
pub use pending::{PendingBatch, PendingCall, PendingNotify};
pub(crate) use requests::{Ahead, Requests, Running, WorkNumber};
pub(crate) use shared::{
    InstalledHooks, NewShared, Ping, PingOutcome, ReplyBatch, Shared, Shield, TellsWorkEnded, next_session_id,
};
pub use statistics::Statistics;
pub use subscribe::{Items, Subscribe};
pub(crate) use subscribers::{Gone, Pushed};
pub use subscription::{OutgoingSubscription, RawSubscription, Subscriber, Subscription, SubscriptionError};
pub(crate) use subscriptions::LastHit;
pub(crate) use trace::{Ending, Trace, log_refused, panic_message};
pub(crate) use work_tracker::{WorkToken, WorkTracker};
pub(crate) use write_buffer::{WriteBuffer, put_framed};
