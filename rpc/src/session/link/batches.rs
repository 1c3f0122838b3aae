//! The side of the link that batches need: replies of the peer's to ours, and ours to the peer's.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{InFlight, Link, Member, State};
use crate::{
    jsonrpc::{BatchId, BatchIds, CallId, Elements, ErrorObject, Id, Malformed, Reply},
    session::{CloseReason, slot::Slot},
};

impl State {
    /// Something that a batch was waiting for is done: sends the reply to it where it was the last. Whether there is one.
    pub(super) fn end_batch(&mut self, batch: BatchId, open: &AtomicUsize) -> bool {
        let Some(reply) = self.connection.end_batch(batch) else { return false };
        if open.fetch_sub(1, Ordering::Relaxed) > 1 {
            // Members of others may wait for it.
            self.effects.work_changed();
        }
        if let Some(feeds) = self.feeds.if_made() {
            feeds.release(batch);
        }
        self.last.batch_answered(batch);
        let is_due = !reply.is_empty();
        if is_due {
            let version = self.connection.version();
            self.outbox.reply(version, Id::NULL, &mut self.effects, |out| reply.write(out));
        }
        is_due
    }
}

/// Batches of the peer's.
impl Link {
    /// What is wrong with a batch as a whole, if anything.
    pub(crate) fn refuses_batch(&self, members: &Elements<'_>) -> Option<Malformed<'static>> {
        self.lock().connection.refuses_batch(members)
    }

    pub(crate) fn begin_batch(&self) -> BatchId {
        self.open_batches.fetch_add(1, Ordering::Relaxed);
        self.lock().connection.begin_batch()
    }

    /// A member's reply will come later.
    pub(crate) fn expect_member(&self, member: Member) {
        self.lock().connection.expect_member(member.batch);
    }

    /// Whether so many bytes of replies wait for the end of their batches, other than `own`, that nothing more is started: they count
    /// like those that wait to be sent. A batch does not wait for itself.
    pub(crate) fn others_are_full(&self, own: Option<BatchId>) -> bool {
        let others = self.open_batches.load(Ordering::Relaxed) > usize::from(own.is_some());
        others && self.lock().connection.collected(own) >= self.limits.outgoing_bytes()
    }

    /// Adds the reply to a member.
    pub(crate) fn add_to_batch(&self, member: Member, id: Id<'_>, reply: &[u8]) {
        self.lock().connection.add_to_batch(member.batch, member.index, id, reply);
    }

    /// Adds an error as the reply to a member.
    pub(crate) fn add_error_to_batch(&self, member: Member, id: Id<'_>, error: &ErrorObject) {
        self.lock().connection.add_error_to_batch(member.batch, member.index, id, error);
    }

    /// All members have been seen: the reply goes out when those that are being worked on are done.
    pub(crate) fn end_batch(&self, batch: BatchId) {
        let mut state = self.lock();
        let appended = state.end_batch(batch, &self.open_batches);
        let closes = state.closes_now();
        if appended {
            self.appended(state);
        } else {
            drop(state);
        }
        if closes {
            self.start_close(CloseReason::Local);
        }
    }
}

/// Batches of ours.
impl Link {
    /// The batch in flight that the call belongs to.
    pub(crate) fn batch_of(&self, call: CallId) -> Option<BatchIds> {
        self.lock().connection.batch_of(call)
    }

    /// An array with replies to a batch has come: what is in flight of it was left out, and ends.
    pub(crate) fn end_rest_of_batch(&self, ids: BatchIds) {
        let rest = self.lock().connection.remove_rest_of_batch(ids);
        complete(rest, &Reply::missing_in_batch());
    }

    /// The peer has refused a batch of ours as a whole: the one that was sent first. Whether there is one.
    pub(crate) fn end_oldest_batch(&self, reply: &Reply) -> bool {
        let calls = self.lock().connection.remove_oldest_batch();
        let any = !calls.is_empty();
        complete(calls, reply);
        any
    }
}

fn complete(calls: Vec<InFlight>, reply: &Reply) {
    for call in calls {
        Slot::complete(call.slot, Ok(reply.clone()));
    }
}
