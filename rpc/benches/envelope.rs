//! What reading a message costs, by how it is laid out: a peer played by hand sends requests to a session and reads the replies.
//!
//! The method takes nothing and returns nothing, so what is left is frames, envelopes and the way to the handler and back.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

use std::convert::Infallible;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpc::{Context, Limits, Params, Router, testing, transport};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Runtime,
};

/// Requests that are sent together.
const REQUESTS: usize = 100;

const LAYOUTS: [(&str, &str); 4] = [
    ("as we write it", r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#),
    ("id at the end", r#"{"jsonrpc":"2.0","method":"ping","params":[],"id":7}"#),
    ("with spaces", r#"{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []}"#),
    ("in another order", r#"{"params":[],"method":"ping","id":7,"jsonrpc":"2.0"}"#),
];

async fn exchange(peer: &mut DuplexStream, requests: &[u8], buffer: &mut [u8]) {
    peer.write_all(requests).await.expect("the session reads");
    let mut replies = 0;
    while replies < REQUESTS {
        let read = peer.read(buffer).await.expect("the session writes");
        assert!(read > 0, "the session has ended");
        replies += buffer[..read].iter().filter(|&&byte| byte == b'\n').count();
    }
}

fn layouts(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("envelope");
    group.throughput(Throughput::Elements(REQUESTS as u64));
    for (layout, request) in LAYOUTS {
        let (mut peer, _session) = served(&runtime);
        let requests = format!("{request}\n").repeat(REQUESTS).into_bytes();
        let mut buffer = vec![0; 64 << 10];
        group.bench_function(layout, |b| {
            b.iter(|| runtime.block_on(exchange(&mut peer, &requests, &mut buffer)));
        });
    }
}

fn served(runtime: &Runtime) -> (DuplexStream, rpc::Session) {
    let _entered = runtime.enter();
    let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, Infallible>(()));
    let (peer, io) = transport::memory(64 << 10);
    (peer, testing::session(io, router, Limits::server()))
}

criterion_group!(benches, layouts);
criterion_main!(benches);
