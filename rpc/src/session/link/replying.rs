//! When the replies of handlers that have finished are written: as soon as there is room to send them, so that no more than
//! [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes) of them wait for a peer that does not read, besides the last.

use std::pin::pin;

use super::{Link, Member};

impl Link {
    /// Whether the reply to a request may be written.
    ///
    /// That to a member of a batch waits with the others of its batch for the last of them. Where as many bytes wait so as may
    /// wait to be sent, the oldest batch goes on, and the others when it has ended.
    pub(crate) fn has_room_for_reply(&self, member: Option<Member>) -> bool {
        self.has_room() && member.is_none_or(|member| self.may_collect(member))
    }

    fn may_collect(&self, Member { batch, .. }: Member) -> bool {
        let state = self.lock();
        state.connection.collected(None) < self.limits.outgoing_bytes()
            || state.connection.is_oldest_batch(batch)
    }

    /// Waits until the reply to a request may be written. What its handler has made is kept meanwhile, and it keeps its permit.
    /// It is late no more: the handler has finished.
    pub(crate) async fn room_for_reply(&self, request: u64, member: Option<Member>) {
        if let Some(running) = self.lock().running.get_mut(request) {
            running.deadline = None;
        }
        if let Some(member) = member {
            loop {
                let mut ended = pin!(self.work.notified());
                ended.as_mut().enable();
                if self.may_collect(member) {
                    break;
                }
                ended.await;
            }
        }
        loop {
            // Room that is made from here on leaves a permit: it is not missed.
            let made = self.room.notified();
            if self.has_room_or_tells() {
                break;
            }
            made.await;
        }
        self.wake_next_sender();
    }
}
