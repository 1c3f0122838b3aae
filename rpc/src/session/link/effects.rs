//! What follows from a change of the state, and runs code that is not the session's: it happens
//! once the lock is released.
//!
//! A waker may poll the task that it wakes, a log subscriber may ask the session for its statistics,
//! and dropping a handler runs whatever the handler holds. Each of them may use the session, and
//! under its lock that would hang.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::MutexGuard,
    task::Waker,
};

use super::{Link, State};

/// What is to happen once the lock is released.
#[derive(Default)]
pub(crate) struct Effects {
    /// Nearly always false, and then nothing else is looked at.
    any: bool,
    wakers: Vec<Waker>,
    others: Vec<Box<dyn FnOnce() + Send>>,
    work_changed: bool,
}

impl Effects {
    pub(crate) fn wake(&mut self, waker: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(waker);
        self.any |= !self.wakers.is_empty();
    }

    /// Logs something, aborts a task.
    pub(crate) fn later(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.others.push(Box::new(effect));
        self.any = true;
    }

    /// Drops what holds something of the user's: a waker, a permit that wakes the next, a task.
    pub(crate) fn drop_later<T: Send + 'static>(&mut self, value: Option<T>) {
        if let Some(value) = value {
            self.later(move || drop(value));
        }
    }

    /// Tasks that wait for requests to be over look again.
    pub(super) const fn work_changed(&mut self) {
        self.work_changed = true;
        self.any = true;
    }

    #[cold]
    fn happen(self, link: &Link) {
        self.wakers.into_iter().for_each(Waker::wake);
        self.others.into_iter().for_each(|effect| effect());
        if self.work_changed {
            link.work_changed();
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").field("any", &self.any).finish_non_exhaustive()
    }
}

/// The state, locked. Dropping this releases the lock, and then has the [`Effects`] happen.
pub(crate) struct Locked<'a> {
    link: &'a Link,
    /// `None` only while it is dropped.
    state: Option<MutexGuard<'a, State>>,
}

impl<'a> Locked<'a> {
    #[cold]
    fn drop_with_effects(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let effects = std::mem::take(&mut state.effects);
        drop(state);
        effects.happen(self.link);
    }

    pub(super) const fn new(link: &'a Link, state: MutexGuard<'a, State>) -> Self {
        Self { link, state: Some(state) }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        match &self.state {
            Some(state) => state,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        match &mut self.state {
            Some(state) => state,
            None => unreachable!("it is being dropped"),
        }
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.effects.any {
            self.drop_with_effects();
        }
    }
}
