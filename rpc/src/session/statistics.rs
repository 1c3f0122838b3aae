//! What a session has done so far, in numbers.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// What a session has done so far, and what it is doing: see [`Session::statistics`](crate::Session::statistics).
///
/// Every number is right by itself. They are read one after another while the session goes on, so that two of them may differ by what
/// came between.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// When the session began; that of a request that came by itself, when it was asked for.
    pub opened: Instant,

    /// Messages that came whole. A batch is one message; what was too large and dropped is none.
    pub messages_received: u64,

    /// Messages that were handed to the transport, or are next. A batch is one message, and so is the reply to one.
    pub messages_sent: u64,

    /// Bytes that were read, everything that frames them included.
    pub bytes_received: u64,

    /// Bytes that the transport took.
    pub bytes_sent: u64,

    /// Bytes that wait to be sent; after the end, those that were lost.
    pub bytes_unsent: usize,

    /// When something was read last. The clock is looked at once a read.
    pub last_received: Option<Instant>,

    /// When something was written last. The clock is looked at once a write, or less often.
    pub last_sent: Option<Instant>,

    /// The rules that the peer has broken: messages and frames that could not be read, requests that were refused (an unknown method,
    /// parameters that do not fit), replies to nothing. The errors that handlers return are none.
    pub errors: u64,

    /// What the peer has cost: see [`Session::cost`](crate::Session::cost). What [`Hooks`](crate::Hooks::extra_cost) would add is not in it.
    pub cost: f64,

    /// Requests of the peer's that are not answered yet, those included that wait for their turn; notifications that are being worked
    /// on count too. Those that were not read yet do not.
    pub requests_in_flight: usize,

    /// Those of them that wait: for a permit
    /// ([`Limits::requests_in_flight`](crate::Limits::requests_in_flight)), for others that have to be
    /// done first, or because the peer is slowed down for its cost.
    pub requests_waiting: usize,

    /// How many requests of the peer's have come while all permits were taken, and had to wait for one.
    pub permit_waits: u64,

    /// Calls of ours that wait for a reply.
    pub calls_in_flight: usize,

    /// Calls of ours that are not sent yet, because as many as may be are in flight
    /// ([`Limits::calls_in_flight`](crate::Limits::calls_in_flight)).
    pub calls_waiting: usize,

    /// Subscriptions that the peer has here.
    pub subscriptions_served: usize,

    /// Subscriptions that we have at the peer.
    pub subscriptions: usize,
}

/// The numbers that only the loop of the session changes. It adds once a read and once a write; whoever likes reads them.
#[derive(Debug)]
pub(crate) struct Counters {
    opened: Instant,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    /// Nanoseconds since the session began, and one more: 0 is never.
    last_received: AtomicU64,
    last_sent: AtomicU64,
    errors: AtomicU64,
    /// Requests that wait for their turn.
    waiting: AtomicU64,
    permit_waits: AtomicU64,
}

impl Counters {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            opened: Instant::now(),
            messages_received: zero(),
            messages_sent: zero(),
            bytes_received: zero(),
            bytes_sent: zero(),
            last_received: zero(),
            last_sent: zero(),
            errors: zero(),
            waiting: zero(),
            permit_waits: zero(),
        }
    }

    /// Bytes were read at `now`, and with them `messages` have become whole.
    pub(crate) fn received(&self, messages: u64, bytes: u64, now: Instant) {
        add(&self.messages_received, messages);
        add(&self.bytes_received, bytes);
        self.note(&self.last_received, now);
    }

    /// Bytes were written at `now`. `messages` is how many were handed to the loop since it began.
    /// Messages of the reads that are over.
    pub(crate) fn messages_received(&self) -> u64 {
        self.messages_received.load(Relaxed)
    }

    pub(crate) fn sent(&self, messages: u64, bytes: u64, now: Instant) {
        self.messages_sent.store(messages, Relaxed);
        add(&self.bytes_sent, bytes);
        self.note(&self.last_sent, now);
    }

    pub(crate) fn broken_rules(&self, errors: u64) {
        add(&self.errors, errors);
    }

    pub(crate) fn waiting(&self, requests: usize) {
        self.waiting.store(requests as u64, Relaxed);
    }

    /// One more request waits for a permit. Whether it is the first.
    pub(crate) fn waits_for_permit(&self) -> bool {
        add(&self.permit_waits, 1);
        self.permit_waits.load(Relaxed) == 1
    }

    fn note(&self, time: &AtomicU64, now: Instant) {
        // Five hundred years fit.
        time.store(now.saturating_duration_since(self.opened).as_nanos() as u64 + 1, Relaxed);
    }

    fn noted(&self, time: &AtomicU64) -> Option<Instant> {
        let after = time.load(Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_nanos(after))
    }

    /// What is counted here; the rest is counted from the state.
    pub(super) fn read(&self) -> Statistics {
        Statistics {
            opened: self.opened,
            messages_received: self.messages_received.load(Relaxed),
            messages_sent: self.messages_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_unsent: 0,
            last_received: self.noted(&self.last_received),
            last_sent: self.noted(&self.last_sent),
            errors: self.errors.load(Relaxed),
            cost: 0.0,
            requests_in_flight: 0,
            requests_waiting: self.waiting.load(Relaxed) as usize,
            permit_waits: self.permit_waits.load(Relaxed),
            calls_in_flight: 0,
            calls_waiting: 0,
            subscriptions_served: 0,
            subscriptions: 0,
        }
    }
}

/// Only the loop writes: nothing is lost between the two steps, and neither costs more than a plain one.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}
