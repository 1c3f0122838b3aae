//! The shutdown of a server: what this side says of its own, and what the peer has said.

use std::sync::atomic::Ordering;

use super::{Link, State};
use crate::jsonrpc::{Body, subscription::CLOSING};

impl Link {
    /// The peer takes that this side shuts down.
    pub(super) fn takes_closing(&self) {
        self.takes_closing.store(true, Ordering::Relaxed);
    }

    /// This side shuts down: says so, where the peer knows what that means.
    pub(super) fn tell_closing(&self, state: &mut State) {
        if self.carries_messages || !self.notices.are_sent(self.takes_closing.load(Ordering::Relaxed), false)
        {
            return;
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, CLOSING, |_| Ok::<_, std::convert::Infallible>(()));
        // A frame may have no room for it: the end itself says it too.
        if state.append_notification(body).is_ok() {
            self.queued.store(state.outbox.len(), Ordering::Release);
        }
    }

    /// The peer shuts down: nothing more is sent to it.
    pub(crate) fn peer_closes(&self) {
        // Under the lock, so that no sender is between having looked and sending.
        let state = self.lock();
        self.peer_closes.store(true, Ordering::Release);
        drop(state);
        // Those that wait for room look again.
        self.room.notify_waiters();
        self.room.notify_one();
    }

    /// Whether the peer has said that it shuts down.
    pub(crate) fn is_peer_closing(&self) -> bool {
        self.peer_closes.load(Ordering::Acquire)
    }
}
