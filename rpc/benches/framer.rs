//! Frames out of bytes that were read, and their marks around what is sent.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rpc::framing::{Framed, Framer, NewlineFramer};

/// Takes every frame out of `unread`, and says how many there were.
fn take_apart(framer: &mut NewlineFramer, mut unread: &[u8]) -> usize {
    let mut frames = 0;
    while let Ok(Framed::Frame { frame, consumed }) = framer.next(unread) {
        black_box(&unread[frame]);
        unread = &unread[consumed..];
        frames += 1;
    }
    frames
}

fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("framer/lines");
    for size in [64, 430, 1 << 20] {
        let line = [vec![b'x'; size - 1], vec![b'\n']].concat();
        let count = usize::div_ceil(64 << 10, size);
        let bytes = line.repeat(count);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{count} of {size} B")), |b| {
            let mut framer = NewlineFramer::new();
            b.iter(|| assert_eq!(take_apart(&mut framer, black_box(&bytes)), count));
        });
    }
}

/// A line that comes in small pieces: each byte should be looked at once.
fn pieces(c: &mut Criterion) {
    let line = [vec![b'x'; (1 << 20) - 1], vec![b'\n']].concat();
    let mut group = c.benchmark_group("framer/pieces");
    group.throughput(Throughput::Bytes(line.len() as u64));
    group.bench_function("1 MiB in pieces of 4 KiB", |b| {
        let mut framer = NewlineFramer::new();
        b.iter(|| {
            let frames = (4096..=line.len()).step_by(4096).map(|read| take_apart(&mut framer, &line[..read]));
            assert_eq!(frames.sum::<usize>(), 1);
        });
    });
}

criterion_group!(benches, lines, pieces);
criterion_main!(benches);
