//! Requests after whose reply the session closes.

use std::sync::atomic::Ordering;

use super::{Link, Member, State, WorkNumber};
use crate::{jsonrpc::BatchId, session::CloseReason};

/// What is to be answered before the session closes.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// By the numbers of their contexts. Only those who ask to be the last are in here, while they are being worked on.
    requests: Vec<WorkNumber>,
    /// Their batches, of which other members are not answered yet.
    batches: Vec<BatchId>,
    /// Whether one of them was answered, and the close is due.
    is_due: bool,
}

impl Last {
    /// A request has been answered, by itself or in its batch.
    pub(super) fn request_answered(&mut self, request: WorkNumber, member: Option<Member>) {
        let Some(at) = self.requests.iter().position(|last| *last == request) else { return };
        self.requests.swap_remove(at);
        match member {
            Some(Member { batch, .. }) => self.batches.push(batch),
            None => self.is_due = true,
        }
    }

    /// The reply to a batch is out, or there is none.
    pub(super) fn batch_answered(&mut self, batch: BatchId) {
        self.is_due |= self.batches.contains(&batch);
    }

    pub(super) const fn take_due(&mut self) -> bool {
        std::mem::replace(&mut self.is_due, false)
    }
}

impl State {
    /// Whether the session is to close, now that something was answered.
    pub(super) const fn closes_now(&mut self) -> bool {
        self.last.take_due()
    }
}

impl Link {
    /// See [`Context::close_after_reply`](crate::Context::close_after_reply).
    pub(crate) fn close_after(&self, request: WorkNumber) {
        let mut state = self.lock();
        let is_at_work =
            self.starting() == request || state.running.iter().any(|(_, running)| running.work == request);
        if is_at_work {
            state.last.requests.push(request);
            self.any_is_last.store(true, Ordering::Relaxed);
        } else {
            drop(state);
            self.start_close(CloseReason::Local);
        }
    }

    /// The handler of a request has finished where it was begun, and its reply is written. Whether the session closes now.
    pub(crate) fn finished_in_place(&self, member: Option<Member>) -> bool {
        if !self.any_is_last.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        state.last.request_answered(self.starting(), member);
        let closes = state.closes_now();
        drop(state);
        if closes {
            self.start_close(CloseReason::Local);
        }
        closes
    }
}
