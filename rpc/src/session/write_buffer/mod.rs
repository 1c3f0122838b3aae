//! The write buffer of a session: framed messages that wait to be written.

mod chunks;
mod frames;
mod outbox;

pub(crate) use chunks::Loads;
pub(super) use chunks::Position;
pub(super) use frames::Unsent;
pub(crate) use frames::{put_framed, put_refusal};
pub(crate) use outbox::{Outbox, ToFrame};
