//! Effects of a change of the state that run code which is not the session's: they are applied once
//! the lock is released. And values of the state that are made on demand.
//!
//! A waker may poll the task that it wakes, a log subscriber may ask the session for its
//! statistics, and dropping a handler runs whatever the handler holds. Each of them may use the
//! session, and under its lock that would hang.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    task::Waker,
};

use tokio::task::AbortHandle;

use super::{CallError, reply_slot::ReplySlot};
use crate::jsonrpc::Reply;

/// The effects of a change, collected under the lock. It lives on the stack, and allocates where
/// there is something to do.
#[derive(Default)]
pub(crate) struct Effects {
    /// Nearly always false, and then nothing else is looked at.
    any: bool,
    wakers: Vec<Waker>,
    others: Vec<Box<dyn FnOnce() + Send>>,
    tells: Tells,
}

/// Which waiting tasks of the session are woken. They wait where the effects do not reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tells {
    /// Those that wait for the end of a request look again.
    pub(super) requests_changed: bool,
    /// All senders that wait for capacity look again: it is not capacity that they will get.
    pub(super) senders_look_again: bool,
    /// Those that wait for the end of the session.
    pub(super) is_gone: bool,
}

impl Effects {
    pub(crate) fn wake(&mut self, waker: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(waker);
        self.any |= !self.wakers.is_empty();
    }

    /// Ends a call, and wakes the task that waits for it.
    pub(super) fn complete(&mut self, slot: Arc<ReplySlot>, outcome: Result<Reply, CallError>) {
        self.later(move || ReplySlot::complete(slot, outcome));
    }

    pub(crate) fn abort(&mut self, task: AbortHandle) {
        self.later(move || task.abort());
    }

    /// Logs something, for one.
    pub(crate) fn later(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.others.push(Box::new(effect));
        self.any = true;
    }

    /// Drops a value that holds something of the user's: a waker, a task, a permit that wakes the
    /// next.
    pub(crate) fn drop_later<T: Send + 'static>(&mut self, value: Option<T>) {
        if let Some(value) = value {
            self.later(move || drop(value));
        }
    }

    /// Tasks that wait for the end of a request look again.
    pub(super) const fn requests_changed(&mut self) {
        (self.tells.requests_changed, self.any) = (true, true);
    }

    /// All senders that wait for capacity look again: it is not capacity that they will get.
    pub(super) const fn senders_look_again(&mut self) {
        (self.tells.senders_look_again, self.any) = (true, true);
    }

    /// Tasks that wait for the end of the session are woken.
    pub(super) const fn gone(&mut self) {
        (self.tells.is_gone, self.any) = (true, true);
    }

    /// Called once the lock is released. Gives which tasks are to be woken besides, if any.
    #[inline]
    pub(super) fn apply(self) -> Option<Tells> {
        match self.any {
            true => Some(self.apply_some()),
            // It holds nothing: there is nothing to be dropped either.
            false => {
                std::mem::forget(self);
                None
            }
        }
    }

    #[cold]
    fn apply_some(self) -> Tells {
        self.wakers.into_iter().for_each(Waker::wake);
        self.others.into_iter().for_each(|effect| effect());
        self.tells
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").field("any", &self.any).finish_non_exhaustive()
    }
}

/// A value that is made when it is changed for the first time, and looks empty until then.
#[derive(Debug)]
pub(crate) struct OnDemand<T>(Option<Box<T>>);

/// A value that an [`OnDemand`] can stand for before it is made.
pub(crate) trait Empty: Default + 'static {
    fn empty() -> &'static Self;
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> OnDemand<T> {
    /// The value, if it was made.
    #[inline]
    pub(crate) fn made(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// The value, if it was made. Where it was not, there is nothing in it that could be changed.
    pub(crate) fn if_made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(made) => made,
            None => T::empty(),
        }
    }
}

impl<T: Empty> DerefMut for OnDemand<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
