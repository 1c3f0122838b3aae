//! The state of one connection between messages, without I/O: the calls in flight, the batches from
//! the peer that are being answered, and the version in force.

mod events;
mod in_flight;
mod machine;

pub use events::{Event, Events, Ticket};
pub(crate) use events::{Paused, Step};
pub(crate) use machine::{BatchId, Lend, Member, RefusedCall};
pub use machine::{CallId, Connection, Unsupported};
