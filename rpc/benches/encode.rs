//! Values to the bytes of a message, and the bytes of a result to a value.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

use std::{convert::Infallible, hint::black_box};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rpc::{
    Outgoing, Protocol, Reply,
    jsonrpc::{Body, Connection},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Person {
    id: u64,
    name: String,
    tags: Vec<String>,
}

fn person() -> Person {
    let tags = (0..20).map(|n| format!("tag number {n}")).collect();
    Person { id: 1 << 40, name: "Konstantin Oyelaran-Whitfield".into(), tags }
}

fn params(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode/params");
    group.bench_function("two numbers", |b| b.iter(|| Outgoing::new("add", black_box(&(40, 2)))));
    let person = person();
    group.bench_function("a record", |b| b.iter(|| Outgoing::new("put", black_box(&(&person,)))));
    let text = "x".repeat(1 << 20);
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("a text of 1 MiB", |b| b.iter(|| Outgoing::new("put", black_box(&(&text,)))));
}

/// What is done under the lock of a session: the envelope, and the slot of the call.
fn request(c: &mut Criterion) {
    let mut body = Vec::new();
    let body = Body::write(&mut body, "add", |out| {
        out.extend_from_slice(b"[40,2]");
        Ok::<_, Infallible>(())
    });
    let body = body.expect("infallible");
    c.bench_function("encode/request", |b| {
        let (mut connection, mut out) = (Connection::new(Protocol::V2), Vec::new());
        b.iter(|| {
            out.clear();
            let call = connection.request(&mut out, black_box(body), ()).expect("by position");
            black_box(&out);
            connection.remove(call)
        });
    });
}

fn result(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode/result");
    let (number, record) = (Reply::result(&42).expect("JSON"), Reply::result(&person()).expect("JSON"));
    group.bench_function("a number", |b| {
        b.iter_batched(|| number.clone(), Reply::decode::<i64>, BatchSize::SmallInput);
    });
    group.bench_function("a record", |b| {
        b.iter_batched(|| record.clone(), Reply::decode::<Person>, BatchSize::SmallInput);
    });
}

criterion_group!(benches, params, request, result);
criterion_main!(benches);
