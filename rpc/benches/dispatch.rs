//! A typed call there and back between two sessions in memory, on one thread: everything but the network.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future;
use rpc::{CallError, Session, rpc_service, testing};
use tokio::runtime::{Builder, Runtime};

#[rpc_service]
trait Api {
    async fn add(&self, a: i64, b: i64) -> i64;

    #[rpc(params = "by_name")]
    async fn add_by_name(&self, a: i64, b: i64) -> i64;

    async fn greet(&self, name: &str) -> String;

    /// Waits once, and so becomes a task.
    async fn add_later(&self, a: i64, b: i64) -> i64;
}

struct Service;

impl Api for Service {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn add_by_name(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn greet(&self, name: &str) -> String {
        format!("Hello, {name}")
    }

    async fn add_later(&self, a: i64, b: i64) -> i64 {
        tokio::task::yield_now().await;
        a + b
    }
}

struct Bench {
    runtime: Runtime,
    api: ApiClient<Session>,
    /// Kept, so that the session lives.
    _peer: Session,
}

impl Bench {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (session, peer) = {
            let _entered = runtime.enter();
            testing::pair((), ApiServer::new(Service))
        };
        Self { runtime, api: ApiClient::from(session), _peer: peer }
    }
}

/// One call at a time.
fn alone(c: &mut Criterion) {
    let Bench { runtime, api, .. } = &Bench::new();
    let mut group = c.benchmark_group("dispatch/alone");
    group.bench_function("by position", |b| {
        b.iter(|| runtime.block_on(async { api.add(40, 2).await.expect("a reply") }));
    });
    group.bench_function("by name", |b| {
        b.iter(|| runtime.block_on(async { api.add_by_name(40, 2).await.expect("a reply") }));
    });
    group.bench_function("borrowed", |b| {
        b.iter(|| runtime.block_on(async { api.greet("Ann").await.expect("a reply") }));
    });
    group.bench_function("handler waits", |b| {
        b.iter(|| runtime.block_on(async { api.add_later(40, 2).await.expect("a reply") }));
    });
}

/// Many calls at once, which travel together.
fn together(c: &mut Criterion) {
    const CALLS: i64 = 128;
    let Bench { runtime, api, .. } = &Bench::new();
    let mut group = c.benchmark_group("dispatch/128 together");
    group.throughput(Throughput::Elements(CALLS as u64));
    group.bench_function("by position", |b| {
        b.iter(|| all(runtime, (0..CALLS).map(|n| api.add(n, 2))));
    });
    group.bench_function("handler waits", |b| {
        b.iter(|| all(runtime, (0..CALLS).map(|n| api.add_later(n, 2))));
    });
}

fn all<T>(
    runtime: &Runtime,
    calls: impl Iterator<Item = impl Future<Output = Result<T, CallError>>>,
) -> Vec<T> {
    runtime.block_on(future::try_join_all(calls)).expect("replies")
}

criterion_group!(benches, alone, together);
criterion_main!(benches);
