//! Who works for which request: what a [`Context`](crate::Context) asks when its handler has handed work to others.

use std::sync::{Arc, atomic::Ordering};

use super::{Link, Phase};
use crate::session::{
    CloseReason,
    tally::{Counted, Tally},
};

/// The number of a request whose handler has a context; 0 is none. Most requests never have one.
pub(crate) type WorkNumber = u64;

impl Link {
    /// The number of the request that is being started. It is made when the first context of the request is.
    pub(crate) fn work_number(&self) -> WorkNumber {
        // Requests are started one after the other, by the loop: nobody else writes here meanwhile.
        match self.starting.load(Ordering::Relaxed) {
            0 => {
                let number = self.works.fetch_add(1, Ordering::Relaxed) + 1;
                self.starting.store(number, Ordering::Release);
                number
            }
            number => number,
        }
    }

    /// The number of the request that is being started, for the entry that takes its place.
    pub(crate) fn starting(&self) -> WorkNumber {
        self.starting.load(Ordering::Relaxed)
    }

    /// The request is started: it was answered in place, or has an entry.
    pub(crate) fn started(&self) {
        if self.starting.load(Ordering::Relaxed) != 0 {
            self.starting.store(0, Ordering::Release);
            self.work_changed();
        }
    }

    /// Whether a request is still worked on, or is a subscription that goes on.
    pub(crate) fn is_worked_on(&self, number: WorkNumber) -> bool {
        let state = self.lock();
        match &state.phase {
            // Requests that came by themselves are not listed: all that came in one message have one number, until it is answered.
            Phase::Gone(CloseReason::NoSession) => return self.starting.load(Ordering::Acquire) == number,
            Phase::Ended(_) | Phase::Gone(_) => return false,
            Phase::Open | Phase::Closing(_) => {}
        }
        self.starting.load(Ordering::Acquire) == number
            || state.running.iter().any(|(_, running)| running.work == number)
            || state.feeds.work_for(number)
    }

    /// Waits until a request is not worked on any more.
    pub(crate) async fn work_ended(&self, number: WorkNumber) {
        loop {
            let mut changed = std::pin::pin!(self.work.notified());
            changed.as_mut().enable();
            if !self.is_worked_on(number) {
                return;
            }
            changed.await;
        }
    }

    /// A request is not worked on any more: has those who wait look again. Costs next to nothing where nobody does.
    pub(crate) fn work_changed(&self) {
        self.work.notify_waiters();
    }

    /// Work that is to be finished whatever becomes of its handler: it takes up a place like a request, or a peer could have any amount
    /// of it begun by taking back what it asks for.
    pub(crate) fn shield(self: &Arc<Self>) -> Shield {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.shielded.fetch_add(1, Ordering::Release);
        Shield { link: Arc::clone(self), _counted: self.shielded_work.as_ref().map(Tally::begin) }
    }

    /// Whether such work goes on.
    pub(super) fn has_shielded(&self) -> bool {
        self.shielded.load(Ordering::Acquire) > 0
    }
}

/// Stands for work that is being finished, until it is dropped.
#[derive(Debug)]
pub(crate) struct Shield {
    link: Arc<Link>,
    _counted: Option<Counted>,
}

impl Drop for Shield {
    fn drop(&mut self) {
        self.link.shielded.fetch_sub(1, Ordering::Release);
        self.link.running.fetch_sub(1, Ordering::Relaxed);
        // A place has become free, and a close may be waiting for it.
        self.link.wake();
    }
}

/// Has those who wait look again when the task of a subscription has ended.
#[derive(Debug)]
pub(crate) struct TellsWorkEnded(pub(crate) Arc<Link>);

impl Drop for TellsWorkEnded {
    fn drop(&mut self) {
        self.0.work_changed();
    }
}
