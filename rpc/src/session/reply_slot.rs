//! The reply slot of a call: where its reply meets the task that waits for it.

use std::{
    cell::RefCell,
    sync::Arc,
    task::{Poll, Waker},
};

use super::CallError;
use crate::{
    jsonrpc::Reply,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The reply slot of one call in flight. It has a lock of its own, so that taking a reply does not
/// contend with senders.
#[derive(Debug)]
pub(super) struct ReplySlot(Mutex<SlotState>);

#[derive(Debug)]
enum SlotState {
    Waiting(Option<Waker>),
    Done(Result<Reply, CallError>),
    /// The reply was taken.
    Empty,
}

/// The number of slots that a thread keeps for reuse.
const KEPT: usize = 256;

thread_local! {
    static FREE: RefCell<Vec<Arc<ReplySlot>>> = const { RefCell::new(Vec::new()) };
}

impl ReplySlot {
    /// A slot that waits for a reply: one that this thread has kept, or a new one. Without a waker,
    /// the waiting task has to poll it first.
    pub(super) fn waiting(waker: Option<&Waker>) -> Arc<Self> {
        let slot =
            FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Arc::new(Self(Mutex::new(SlotState::Empty))));
        *slot.lock() = SlotState::Waiting(waker.cloned());
        slot
    }

    /// Keeps a slot whose call has ended for reuse, unless it is still held elsewhere.
    pub(super) fn recycle(mut slot: Arc<Self>) {
        if Arc::get_mut(&mut slot).is_none() {
            return;
        }
        *slot.lock() = SlotState::Empty;
        // If the thread is ending, there is nothing to keep it for.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < KEPT
            {
                free.push(slot);
            }
        });
    }

    /// Ends the call, and wakes the waiting task.
    pub(super) fn complete(slot: Arc<Self>, outcome: Result<Reply, CallError>) {
        let before = std::mem::replace(&mut *slot.lock(), SlotState::Done(outcome));
        // Before the wake-up, so that the woken task holds the only reference and can reuse the
        // slot.
        drop(slot);
        if let SlotState::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    /// The outcome. It can be taken once.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Result<Reply, CallError>> {
        let mut state = self.lock();
        match &mut *state {
            SlotState::Waiting(Some(kept)) => kept.clone_from(waker),
            SlotState::Waiting(kept) => *kept = Some(waker.clone()),
            SlotState::Done(_) => {
                if let SlotState::Done(outcome) = std::mem::replace(&mut *state, SlotState::Empty) {
                    return Poll::Ready(outcome);
                }
            }
            SlotState::Empty => {}
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
