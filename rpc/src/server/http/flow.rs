//! Flow control of HTTP/2, observed from outside of hyper: whether the peer takes its responses.
//!
//! Hyper hands a whole response to h2, which buffers it until the peer opens its windows, and
//! neither reports its progress. So the frames are watched in both directions: the windows that the
//! peer opens (RFC 9113, section 5.2), and the data that is sent.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// The initial size of a window (RFC 9113, section 6.9.2).
const FIRST_WINDOW: i64 = 65_535;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// The flow control of one connection.
#[derive(Debug)]
pub(super) struct FlowControl {
    received: FrameScanner,
    sent: FrameScanner,
    windows: Windows,
}

impl FlowControl {
    pub(super) fn new(now: Instant) -> Self {
        let windows = Windows {
            of_connection: FIRST_WINDOW,
            of_new: FIRST_WINDOW,
            new_of_new: None,
            streams: BTreeMap::new(),
            answers: 0,
            last_opened: 0,
            last_served: u32::MAX,
            moved: now,
            held: None,
            headers: None,
        };
        Self { received: FrameScanner::default(), sent: FrameScanner::default(), windows }
    }

    /// The peer has sent these bytes, behind the preface.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) {
        let Self { received, windows, .. } = self;
        received.pass(bytes, |head, seen| windows.received(head, seen, now));
    }

    /// These bytes were sent to the peer.
    pub(super) fn sent(&mut self, bytes: &[u8], now: Instant) {
        let Self { sent, windows, .. } = self;
        sent.pass(bytes, |head, seen| windows.sent(head, seen, now));
    }

    /// Returns true while a response is being sent.
    pub(super) const fn is_answering(&self) -> bool {
        self.windows.answers > 0
    }

    /// When the header list that is arriving began.
    pub(super) const fn headers(&self) -> Option<Instant> {
        self.windows.headers
    }

    /// When a response that the peer's windows hold back is overdue. The result may be too early,
    /// unless it has passed.
    pub(super) fn deadline(&mut self, limit: Duration, now: Instant) -> Option<Instant> {
        let held = self.windows.held?;
        if held + limit > now {
            return Some(held + limit);
        }
        self.windows.held = self.windows.first_held();
        Some(self.windows.held? + limit)
    }
}

#[derive(Debug)]
struct Windows {
    of_connection: i64,
    /// The initial window of a stream.
    of_new: i64,
    /// The initial window in the SETTINGS frame that is arriving.
    new_of_new: Option<i64>,
    /// The streams that the peer has opened, until our last frame on each.
    streams: BTreeMap<u32, StreamWindow>,
    /// The number of streams with a response in progress.
    answers: usize,
    last_opened: u32,
    /// Streams with higher ids are ignored.
    last_served: u32,
    /// When data was last sent, or when the first of the responses in progress began.
    moved: Instant,
    /// A lower bound of the moment since which a response is held back. It is recomputed only when
    /// it is overdue: a response in progress changes with every frame.
    held: Option<Instant>,
    headers: Option<Instant>,
}

#[derive(Debug)]
struct StreamWindow {
    window: i64,
    /// When its last data, or the headers of its response, were sent.
    moved: Option<Instant>,
}

impl StreamWindow {
    /// Since when its window holds it back. With an open window, other streams may just have their
    /// turn.
    fn held(&self) -> Option<Instant> {
        self.moved.filter(|_| self.window <= 0)
    }
}

impl Windows {
    fn received(&mut self, head: FrameHead, seen: FramePart, now: Instant) {
        match (head.kind, seen) {
            (HEADERS, FramePart::FrameHead) => {
                self.headers.get_or_insert(now);
                // Later headers on a stream are trailers.
                if head.stream > self.last_opened && head.stream <= self.last_served {
                    self.last_opened = head.stream;
                    self.streams.insert(head.stream, StreamWindow { window: self.of_new, moved: None });
                }
            }
            (HEADERS | CONTINUATION, FramePart::End) if head.ends_headers() => self.headers = None,
            (RST_STREAM, FramePart::FrameHead) => self.end(head.stream),
            (SETTINGS, FramePart::Unit([a, b, size @ ..])) if [a, b] == INITIAL_WINDOW_SIZE => {
                self.new_of_new = Some(i64::from(number(size)));
            }
            (SETTINGS, FramePart::End) => self.settle(),
            (WINDOW_UPDATE, FramePart::Unit([a, b, c, d, ..])) => {
                let more = i64::from(number([a, b, c, d]));
                match self.streams.get_mut(&head.stream) {
                    Some(stream) => stream.window += more,
                    None if head.stream == 0 => self.of_connection += more,
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn sent(&mut self, head: FrameHead, seen: FramePart, now: Instant) {
        match (head.kind, seen) {
            (HEADERS, FramePart::FrameHead) => self.begin(head.stream, now),
            (DATA, FramePart::FrameHead) => self.take(head.stream, head.length as i64, now),
            (DATA, FramePart::Payload) => self.moves(head.stream, now),
            (RST_STREAM, FramePart::FrameHead) => self.end(head.stream),
            (GOAWAY, FramePart::Unit([a, b, c, d, ..])) => {
                self.last_served = self.last_served.min(number([a, b, c, d]));
            }
            _ => {}
        }
        if seen == FramePart::End && head.ends_stream() {
            self.end(head.stream);
        }
    }

    /// The setting applies to all streams (RFC 9113, section 6.9.2).
    fn settle(&mut self) {
        let Some(size) = self.new_of_new.take() else { return };
        for stream in self.streams.values_mut() {
            stream.window += size - self.of_new;
        }
        self.of_new = size;
        self.held = self.first_held();
    }

    /// The headers of a response are sent.
    fn begin(&mut self, id: u32, now: Instant) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.moved.is_some() {
            return;
        }
        stream.moved = Some(now);
        if self.answers == 0 {
            self.moved = now;
        }
        self.answers += 1;
        self.take(id, 0, now);
    }

    /// A DATA frame takes its size from both windows.
    fn take(&mut self, id: u32, length: i64, now: Instant) {
        self.of_connection -= length;
        let mut is_held = self.of_connection <= 0;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.window -= length;
            is_held |= stream.window <= 0;
        }
        if is_held {
            self.held.get_or_insert(now);
        }
    }

    /// Data is sent.
    fn moves(&mut self, id: u32, now: Instant) {
        self.moved = now;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.moved = Some(now);
        }
    }

    fn end(&mut self, id: u32) {
        if self.streams.remove(&id).is_some_and(|stream| stream.moved.is_some()) {
            self.answers -= 1;
        }
    }

    /// The earliest moment since which a response is held back.
    fn first_held(&self) -> Option<Instant> {
        let connection = (self.of_connection <= 0 && self.answers > 0).then_some(self.moved);
        self.streams.values().filter_map(StreamWindow::held).chain(connection).min()
    }
}

/// The size of a frame header (RFC 9113, section 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    fn read(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self { length: u32::from_be_bytes([0, a, b, c]) as usize, kind, flags, stream: number(stream) }
    }

    /// Returns true for the last frame of its side of the stream.
    const fn ends_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Returns true for the last frame of a header list.
    const fn ends_headers(self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS != 0
    }

    /// The size of the units that the payload consists of, for the frames of which they matter.
    const fn unit(self) -> usize {
        match self.kind {
            SETTINGS => 6,
            WINDOW_UPDATE | GOAWAY => 4,
            _ => 0,
        }
    }
}

/// Stream ids and window sizes have 31 bits.
const fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// A part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FramePart {
    FrameHead,
    /// A piece of the payload.
    Payload,
    /// A setting, a window or a stream id. The rest of the array is unused.
    Unit([u8; 6]),
    End,
}

/// The state of the scanner within the frame that is passing.
#[derive(Debug, Default)]
struct FrameScanner {
    head: [u8; HEAD],
    /// The bytes of the header so far.
    known: usize,
    /// The bytes of the payload that are missing.
    rest: usize,
    unit: [u8; 6],
    unit_known: usize,
}

impl FrameScanner {
    /// Calls `see` with the parts of the frames in `bytes`, which may start and end anywhere within
    /// a frame.
    fn pass(&mut self, mut bytes: &[u8], mut see: impl FnMut(FrameHead, FramePart)) {
        while !bytes.is_empty() {
            if self.known < HEAD {
                let (taken, rest) = bytes.split_at(bytes.len().min(HEAD - self.known));
                self.head[self.known..][..taken.len()].copy_from_slice(taken);
                self.known += taken.len();
                bytes = rest;
                if self.known < HEAD {
                    return;
                }
                let head = FrameHead::read(self.head);
                (self.rest, self.unit_known) = (head.length, 0);
                see(head, FramePart::FrameHead);
            } else {
                let (payload, rest) = bytes.split_at(bytes.len().min(self.rest));
                self.rest -= payload.len();
                bytes = rest;
                self.pass_payload(payload, &mut see);
            }
            if self.rest == 0 {
                self.known = 0;
                see(FrameHead::read(self.head), FramePart::End);
            }
        }
    }

    fn pass_payload(&mut self, mut payload: &[u8], see: &mut impl FnMut(FrameHead, FramePart)) {
        let head = FrameHead::read(self.head);
        see(head, FramePart::Payload);
        let unit = head.unit();
        while unit > 0 && !payload.is_empty() {
            let (taken, rest) = payload.split_at(payload.len().min(unit - self.unit_known));
            self.unit[self.unit_known..][..taken.len()].copy_from_slice(taken);
            self.unit_known += taken.len();
            payload = rest;
            if self.unit_known == unit {
                self.unit_known = 0;
                see(head, FramePart::Unit(self.unit));
                if head.kind == GOAWAY {
                    // The rest of a GOAWAY does not matter.
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
