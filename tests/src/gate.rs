//! Handlers that wait until the test lets them go.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::{Notify, Semaphore};

/// A place where handlers wait, and which counts them. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    passes: Semaphore,
    changed: Notify,
    entered: AtomicUsize,
    passed: AtomicUsize,
    dropped: AtomicUsize,
}

impl Gate {
    /// Nobody passes.
    pub fn closed() -> Self {
        Self(Arc::new(Inner {
            passes: Semaphore::new(0),
            changed: Notify::new(),
            entered: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        }))
    }

    /// Waits to be let through.
    pub async fn pass(&self) {
        self.0.entered.fetch_add(1, SeqCst);
        self.0.changed.notify_waiters();
        let mut visit = Visit { gate: self, passed: false };
        self.0.passes.acquire().await.expect("it is never taken down").forget();
        visit.passed = true;
    }

    /// Lets the next `n` through.
    pub fn let_through(&self, n: usize) {
        self.0.passes.add_permits(n);
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.let_through(Semaphore::MAX_PERMITS / 2);
    }

    /// How many have come so far.
    pub fn entered(&self) -> usize {
        self.0.entered.load(SeqCst)
    }

    /// How many were let through.
    pub fn passed(&self) -> usize {
        self.0.passed.load(SeqCst)
    }

    /// How many were dropped while they waited.
    pub fn dropped(&self) -> usize {
        self.0.dropped.load(SeqCst)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.entered() - self.passed() - self.dropped()
    }

    /// Waits until `condition` holds, which is asked whenever somebody comes or goes.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }
}

/// Somebody at the gate.
struct Visit<'a> {
    gate: &'a Gate,
    passed: bool,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let inner = &self.gate.0;
        let count = if self.passed { &inner.passed } else { &inner.dropped };
        count.fetch_add(1, SeqCst);
        inner.changed.notify_waiters();
    }
}
