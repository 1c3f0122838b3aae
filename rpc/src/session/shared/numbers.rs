//! Which request a [`Context`](crate::Context) belongs to, when its handler has handed work to
//! others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Flags, Shared};
use crate::{
    jsonrpc::{Member, subscription::Token},
    session::requests::WorkNumber,
};

/// Numbers that are given out without the lock.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// That of the request that is being started, if a context was made of it. Only the loop writes
    /// here and to the next, which starts requests one after the other.
    starting: AtomicU64,
    last: AtomicU64,
    /// The last token given to work at the peer that reports its progress.
    tokens: AtomicU64,
}

impl Numbers {
    pub(super) fn next_token(&self) -> Token {
        Token::of(self.tokens.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Shared {
    /// The number of the request that is being started. It is made when the first context of the
    /// request is.
    pub(crate) fn work_number(&self) -> WorkNumber {
        match self.starting() {
            0 => {
                let number = self.numbers.last.fetch_add(1, Ordering::Relaxed) + 1;
                self.numbers.starting.store(number, Ordering::Release);
                number
            }
            number => number,
        }
    }

    /// The number of the request that is being started, for the entry that takes its place.
    #[inline]
    pub(crate) fn starting(&self) -> WorkNumber {
        self.numbers.starting.load(Ordering::Acquire)
    }

    /// The request is started: it was answered in place, or has an entry.
    #[inline]
    pub(crate) fn started(&self) {
        if self.starting() != 0 {
            self.numbers.starting.store(0, Ordering::Release);
            self.requests_changed.notify_waiters();
        }
    }

    /// The handler of a request has finished where it was begun, and its reply is written. Whether
    /// the session closes now.
    #[inline]
    pub(crate) fn finished_in_place(&self, member: Option<Member>) -> bool {
        self.hints().has(Flags::CLOSES_AFTER)
            && self.with(|state, effects| {
                state.requests.finished_in_place(self.starting(), member);
                self.close_if_due(state, effects)
            })
    }

    /// Work that is to be finished whatever becomes of its handler.
    pub(crate) fn shield(self: &Arc<Self>) -> Shield {
        self.with(|state, _| state.requests.shield());
        Shield { shared: Arc::clone(self) }
    }
}

/// Stands for work that is being finished, until it is dropped.
#[derive(Debug)]
pub(crate) struct Shield {
    shared: Arc<Shared>,
}

impl Drop for Shield {
    fn drop(&mut self) {
        // The loop is woken for the permit, and for a close that may be waiting for the work.
        self.shared.with(|state, _| state.requests.unshield());
    }
}

/// Has tasks that wait for a request look again when the task of a subscription has ended.
#[derive(Debug)]
pub(crate) struct TellsWorkEnded(pub(crate) Arc<Shared>);

impl Drop for TellsWorkEnded {
    fn drop(&mut self) {
        self.0.requests_changed.notify_waiters();
    }
}
