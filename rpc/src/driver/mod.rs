//! The loop of a session: reads, admits, dispatches, writes, ends. Only here do I/O, link and service meet.
//!
//! It is one task a session, and one future written by hand: reading and writing go on independently, because the
//! reader must never wait for a write (see promise 2 in the crate documentation).

mod close;
mod inbox;
mod limits;
mod messages;
mod opening;
mod read;
mod requests;
mod session_loop;
mod start;
mod timers;
mod write;

pub(crate) use session_loop::Owner;
pub(crate) use start::{Settings, Start, start};
