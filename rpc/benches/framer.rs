//! Frames out of bytes that were read, and their marks around what is sent.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rpc::framing::{
    ContentLengthFramer, Framed, Framer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
};

const SIZES: [usize; 3] = [64, 430, 1 << 20];

/// A message of so many bytes: an array of texts.
fn message(size: usize) -> Vec<u8> {
    let text = r#""0123456789abcdefghijklmnopqrstu","#;
    let mut message = format!("[{}", text.repeat(size / text.len())).into_bytes();
    message.resize(size - 1, b'1');
    message.push(b']');
    message
}

fn append(framer: &impl Framer, message: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    framer.begin(out);
    out.extend_from_slice(message);
    framer.finish(out, start).expect("it fits");
}

/// Takes every frame out of `unread`, and says how many there were.
fn take_apart(framer: &mut impl Framer, mut unread: &[u8]) -> usize {
    let mut frames = 0;
    while !unread.is_empty() {
        match framer.next(unread) {
            Ok(Framed::Frame { frame, consumed }) => {
                black_box(&unread[frame]);
                unread = &unread[consumed..];
                frames += 1;
            }
            Ok(Framed::Incomplete { consumed }) if consumed > 0 => unread = &unread[consumed..],
            _ => break,
        }
    }
    frames
}

/// Frames that come many at a time.
fn read(c: &mut Criterion, name: &str, framer: &impl Framer) {
    let mut group = c.benchmark_group(format!("framer/{name}/read"));
    for size in SIZES {
        let mut frame = Vec::new();
        append(framer, &message(size), &mut frame);
        let count = usize::div_ceil(64 << 10, size);
        let bytes = frame.repeat(count);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{count} of {size} B")), |b| {
            let mut framer = framer.clone();
            b.iter(|| assert_eq!(take_apart(&mut framer, black_box(&bytes)), count));
        });
    }
}

/// What it takes to frame a message beside copying it.
fn write(c: &mut Criterion, name: &str, framer: &impl Framer) {
    let mut group = c.benchmark_group(format!("framer/{name}/write"));
    for size in SIZES {
        let message = message(size);
        let mut out = Vec::with_capacity(size + 64);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{size} B")), |b| {
            b.iter(|| {
                out.clear();
                append(framer, black_box(&message), &mut out);
                black_box(out.len())
            });
        });
    }
}

/// A frame that comes in small pieces: each byte should be looked at once.
fn pieces(c: &mut Criterion, name: &str, framer: &impl Framer) {
    let mut frame = Vec::new();
    append(framer, &message(1 << 20), &mut frame);
    let mut group = c.benchmark_group(format!("framer/{name}/pieces"));
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("1 MiB in pieces of 4 KiB", |b| {
        let mut framer = framer.clone();
        let ends = (4096..frame.len()).step_by(4096).chain([frame.len()]);
        b.iter(|| {
            let frames = ends.clone().map(|read| take_apart(&mut framer, &frame[..read]));
            assert_eq!(frames.sum::<usize>(), 1);
        });
    });
}

fn each(c: &mut Criterion) {
    fn all(c: &mut Criterion, name: &str, framer: &impl Framer) {
        read(c, name, framer);
        write(c, name, framer);
        pieces(c, name, framer);
    }
    all(c, "newline", &NewlineFramer::new());
    all(c, "content_length", &ContentLengthFramer::new());
    all(c, "length_prefixed", &LengthPrefixedFramer::u32_be());
    all(c, "netstring", &NetstringFramer::new());
    all(c, "json", &JsonFramer::new());
}

criterion_group!(benches, each);
criterion_main!(benches);
