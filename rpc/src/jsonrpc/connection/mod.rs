//! What one link has to remember between messages, without I/O: the calls of ours that wait for a
//! reply, the batches of the peer's that do, and the version that both sides speak.

mod events;
mod in_flight;
mod machine;

pub use events::{Event, Events, Ticket};
pub(crate) use events::{Paused, Step};
pub(crate) use machine::{BatchId, Lend, Member, RefusedCall};
pub use machine::{CallId, Connection, Unsupported};
