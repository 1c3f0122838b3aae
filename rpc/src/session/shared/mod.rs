//! The value that the handles of a session and its loop share: a state behind one short lock, hints
//! of it, and facts that never change.
//!
//! Every change of the state goes through [`Shared::with`]. No lock is held across an await or
//! while user code runs: see [`Effects`](super::effects::Effects).

mod calls;
mod close;
mod guarded;
mod publish;
mod requests;
mod send;
mod state;
mod subscribe;
mod value;

pub(crate) use calls::{Ping, PingOutcome, ReplyBatch};
pub(crate) use requests::{Shield, TellsWorkEnded};
pub(super) use send::Refused;
pub(super) use value::SharedHooks;
pub(crate) use value::{InstalledHooks, NewShared, Shared, next_session_id};
