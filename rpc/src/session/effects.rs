//! Building blocks of the components of the state: [`Effects`] of a change, and values that are
//! created [on demand](OnDemand).
//!
//! Effects run code that is not the session's, so they are applied once the lock is released. A
//! waker may poll the task that it wakes, a log subscriber may ask the session for its statistics,
//! and dropping a handler runs the destructors of the handler's values. Each of them may use the
//! session, and would deadlock under its lock.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    task::Waker,
};

use tokio::task::AbortHandle;

use super::{CallError, reply_slot::ReplySlot};
use crate::jsonrpc::Reply;

/// The effects of a change, collected under the lock. The value lives on the stack, and allocates
/// only if there is an effect.
#[derive(Default)]
pub(crate) struct Effects {
    /// Nearly always false, and then no other field is looked at.
    any: bool,
    wakers: Vec<Waker>,
    others: Vec<Box<dyn FnOnce() + Send>>,
    tells: Tells,
}

/// The groups of waiting tasks to notify. They wait on a `Notify` of the shared state, out of reach
/// of a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tells {
    /// The tasks that wait for the end of a request check again.
    pub(super) requests_changed: bool,
    /// All senders that wait for capacity check again, for a reason other than capacity.
    pub(super) senders_look_again: bool,
    /// The tasks that wait for the end of the session.
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

    /// Runs `effect`, for example to log something.
    pub(crate) fn later(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.others.push(Box::new(effect));
        self.any = true;
    }

    /// Drops a value with user code in it: a waker, a task, or a permit that wakes the next call.
    pub(crate) fn drop_later<T: Send + 'static>(&mut self, value: Option<T>) {
        if let Some(value) = value {
            self.later(move || drop(value));
        }
    }

    /// Notifies the tasks that wait for the end of a request.
    pub(super) const fn requests_changed(&mut self) {
        (self.tells.requests_changed, self.any) = (true, true);
    }

    /// Notifies all senders that wait for capacity, for a reason other than capacity.
    pub(super) const fn senders_look_again(&mut self) {
        (self.tells.senders_look_again, self.any) = (true, true);
    }

    /// Notifies the tasks that wait for the end of the session.
    pub(super) const fn gone(&mut self) {
        (self.tells.is_gone, self.any) = (true, true);
    }

    /// Applies the effects. Called once the lock is released. Returns the groups of tasks to
    /// notify, if there are any.
    #[inline]
    pub(super) fn apply(self) -> Option<Tells> {
        match self.any {
            true => Some(self.apply_some()),
            // All collections are empty: skip their destructors.
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

/// A value that most sessions never need. It is created on the first change, looks empty until
/// then, and takes no memory.
#[derive(Debug)]
pub(crate) struct OnDemand<T>(Option<Box<T>>);

/// A type whose empty value an [`OnDemand`] lends before it is created.
pub(crate) trait Empty: Default + 'static {
    fn empty() -> &'static Self;
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> OnDemand<T> {
    /// The value, if it was created.
    #[inline]
    pub(crate) fn made(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// The value, if it was created. If not, it is empty, and there is nothing to change.
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
