//! The slot of a call: its reply meets the task that waits for it.

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

/// The slot of one call in flight. It has a lock of its own, so that taking a reply does not
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

/// How many slots a thread keeps for reuse.
const KEPT: usize = 256;

thread_local! {
    static FREE: RefCell<Vec<Arc<ReplySlot>>> = const { RefCell::new(Vec::new()) };
}

impl ReplySlot {
    /// A slot that waits: one that the thread has kept, or a new one. Without a waker, the task
    /// that waits polls it first.
    pub(super) fn waiting(waker: Option<&Waker>) -> Arc<Self> {
        let slot =
            FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Arc::new(Self(Mutex::new(SlotState::Empty))));
        *slot.lock() = SlotState::Waiting(waker.cloned());
        slot
    }

    /// Keeps a slot whose call has ended, unless it is still held elsewhere.
    pub(super) fn recycle(mut slot: Arc<Self>) {
        if Arc::get_mut(&mut slot).is_none() {
            return;
        }
        *slot.lock() = SlotState::Empty;
        // Where the thread is ending there is nothing left to keep it for.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < KEPT
            {
                free.push(slot);
            }
        });
    }

    /// Ends the call, and wakes the task that waits for it.
    pub(super) fn complete(slot: Arc<Self>, outcome: Result<Reply, CallError>) {
        let before = std::mem::replace(&mut *slot.lock(), SlotState::Done(outcome));
        // Let go first: the task that is woken can then keep the slot.
        drop(slot);
        if let SlotState::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    /// The outcome, once.
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
