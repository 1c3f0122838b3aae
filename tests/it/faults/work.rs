//! What both sides serve. Each handler and each stream holds a guard that counts it.

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

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
pub(super) enum WorkError {
    /// The call back failed.
    #[error("the call back failed: {reason}")]
    #[rpc(code = 7)]
    CallBack { reason: String },
}

#[rpc_service]
pub(super) trait Work {
    async fn double(&self, n: u64) -> u64;

    async fn later(&self, n: u64, ms: u64) -> u64;

    async fn long(&self, size: usize) -> String;

    /// Asks the caller for its `later`.
    async fn back(&self, #[rpc(context)] cx: &Context, n: u64, ms: u64) -> Result<u64, WorkError>;

    #[rpc(notification)]
    async fn note(&self, n: u64);

    #[rpc(subscription)]
    async fn count(&self, from: u64, to: u64) -> impl Stream<Item = u64>;

    #[rpc(subscription, style = "electrum", name = "status.subscribe")]
    async fn status(&self, from: u64, to: u64) -> impl Stream<Item = u64>;

    #[rpc(subscription, style = "progress")]
    async fn sum(&self, from: u64, to: u64) -> impl Stream<Item = Progress<u64, u64>>;
}

/// Counts what is alive, and what was noted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    alive: Arc<()>,
    noted: Arc<AtomicU64>,
}

impl Counts {
    /// How many handlers and streams have not been dropped. The services hold none.
    pub(super) fn alive(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }

    /// The sum of all notes.
    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Relaxed)
    }
}

#[derive(Debug)]
pub(super) struct Worker(pub(super) Arc<Counts>);

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
