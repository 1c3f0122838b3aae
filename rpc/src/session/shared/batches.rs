//! Batches of the peer, which are answered when their last member is.

use super::{Effects, Shared, State};
use crate::jsonrpc::{BatchId, ErrorObject, Id, Member};

impl State {
    /// Something that a batch was waiting for is done: sends the reply to it where it was the last.
    pub(super) fn end_batch(&mut self, effects: &mut Effects, batch: BatchId) {
        let Some(reply) = self.calls.protocol.end_batch(batch) else { return };
        if self.calls.protocol.batches_in_progress() > 0 {
            // Members of others may wait for it.
            effects.requests_changed();
        }
        if let Some(subscribers) = self.subscribers.if_made() {
            subscribers.release(batch);
        }
        self.requests.batch_answered(batch);
        if !reply.is_empty() {
            let version = self.calls.version();
            self.outbox.reply(version, Id::NULL, effects, |out| reply.write(out));
        }
    }
}

impl Shared {
    /// A member's reply will come later.
    pub(crate) fn expect_member(&self, member: Member) {
        self.with(|state, _| state.calls.protocol.expect_member(member.batch));
    }

    /// Whether so many bytes of replies wait for the end of their batches, other than `own`, that
    /// nothing more is started: they count like those that wait to be sent. A batch does not wait
    /// for itself.
    #[inline]
    pub(crate) fn others_are_full(&self, own: Option<BatchId>) -> bool {
        let others = self.hints().open_batches() > usize::from(own.is_some());
        others && self.read(|state| state.calls.protocol.collected(own)) >= self.limits.outgoing_bytes()
    }

    /// Adds the reply to a member.
    pub(crate) fn add_to_batch(&self, member: Member, id: Id<'_>, reply: &[u8]) {
        self.with(|state, _| state.calls.protocol.add_to_batch(member, id, reply));
    }

    /// Adds an error as the reply to a member.
    pub(crate) fn add_error_to_batch(&self, member: Member, id: Id<'_>, error: &ErrorObject) {
        self.with(|state, _| state.calls.protocol.add_error_to_batch(member, id, error));
    }

    /// All members have been seen: the reply goes out when those that are worked on are done.
    pub(crate) fn end_batch(&self, batch: BatchId) {
        self.with(|state, effects| {
            state.end_batch(effects, batch);
            self.close_if_due(state, effects);
        });
    }
}
