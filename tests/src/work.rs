//! A service with everything that a session offers. Each handler and each stream holds a guard that counts it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use rpc::{Context, Progress, RpcError, rpc_service};
use tokio::time::sleep;

/// Why [`Work`] failed.
#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
pub enum WorkError {
    /// The call back failed.
    #[error("the call back failed: {reason}")]
    #[rpc(code = 7)]
    CallBack {
        /// What became of it.
        reason: String,
    },
}

/// What both sides serve.
#[rpc_service]
pub trait Work {
    /// Twice `n`.
    async fn double(&self, n: u64) -> u64;

    /// `n`, after `ms` milliseconds.
    async fn later(&self, n: u64, ms: u64) -> u64;

    /// A text of `size` bytes.
    async fn long(&self, size: usize) -> String;

    /// Asks the caller for its `later`.
    async fn back(&self, #[rpc(context)] cx: &Context, n: u64, ms: u64) -> Result<u64, WorkError>;

    /// Adds to what was noted.
    #[rpc(notification)]
    async fn note(&self, n: u64);

    /// The numbers of a range.
    #[rpc(subscription)]
    async fn count(&self, from: u64, to: u64) -> impl Stream<Item = u64>;

    /// The numbers of a range that is not empty.
    #[rpc(subscription, style = "electrum", name = "status.subscribe")]
    async fn status(&self, from: u64, to: u64) -> impl Stream<Item = u64>;

    /// The sum of a range, with its numbers on the way.
    #[rpc(subscription, style = "progress")]
    async fn sum(&self, from: u64, to: u64) -> impl Stream<Item = Progress<u64, u64>>;
}

/// Counts what is alive, and what was noted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    alive: Arc<()>,
    noted: Arc<AtomicU64>,
}

impl Counts {
    /// How many handlers and streams have not been dropped. The services hold none.
    pub fn alive(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }

    /// The sum of all notes.
    pub fn noted(&self) -> u64 {
        self.noted.load(Relaxed)
    }
}

/// Serves [`Work`], and counts.
#[derive(Debug)]
pub struct Worker(pub Arc<Counts>);

impl Worker {
    fn guard(&self) -> Arc<()> {
        Arc::clone(&self.0.alive)
    }

    fn numbers(&self, from: u64, to: u64) -> impl Stream<Item = u64> + use<> {
        let guard = self.guard();
        stream::iter(from..to).then(move |n| {
            let guard = Arc::clone(&guard);
            async move {
                sleep(Duration::from_millis(n % 3)).await;
                drop(guard);
                n
            }
        })
    }
}

impl Work for Worker {
    async fn double(&self, n: u64) -> u64 {
        n * 2
    }

    async fn later(&self, n: u64, ms: u64) -> u64 {
        let _guard = self.guard();
        sleep(Duration::from_millis(ms)).await;
        n
    }

    async fn long(&self, size: usize) -> String {
        "x".repeat(size)
    }

    async fn back(&self, cx: &Context, n: u64, ms: u64) -> Result<u64, WorkError> {
        let _guard = self.guard();
        let caller = WorkClient::from(cx.session().clone());
        caller.later(n, ms).await.map_err(|error| WorkError::CallBack { reason: error.to_string() })
    }

    async fn note(&self, n: u64) {
        self.0.noted.fetch_add(n, Relaxed);
    }

    async fn count(&self, from: u64, to: u64) -> impl Stream<Item = u64> {
        self.numbers(from, to)
    }

    async fn status(&self, from: u64, to: u64) -> impl Stream<Item = u64> {
        self.numbers(from, to)
    }

    async fn sum(&self, from: u64, to: u64) -> impl Stream<Item = Progress<u64, u64>> {
        let done = stream::iter([Progress::Done((from..to).sum())]);
        self.numbers(from, to).map(Progress::Step).chain(done)
    }
}
