//! Counters and state of a session, for its users.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Counters of a session since it began, and its current state: see
/// [`Session::statistics`](crate::Session::statistics).
///
/// Each number is exact. They are read one after another while the session goes on, so two of them
/// may differ by what happened in between.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// The start of the session; for a request without a session, the time of the question.
    pub opened: Instant,

    /// Complete messages received. A batch is one message; a message that was too large and dropped
    /// is not counted.
    pub messages_received: u64,

    /// Messages that were handed to the transport, or are next. A batch is one message, and so is
    /// the reply to a batch.
    pub messages_sent: u64,

    /// Bytes read, with their framing.
    pub bytes_received: u64,

    /// Bytes that the transport has accepted.
    pub bytes_sent: u64,

    /// Bytes that wait to be sent; after the end, those that were lost.
    pub bytes_unsent: usize,

    /// The time of the last read. The clock is read once for each read.
    pub last_received: Option<Instant>,

    /// The time of the last write. The clock is read once for each write, or less often.
    pub last_sent: Option<Instant>,

    /// Rules that the peer has broken: messages and frames that could not be read, refused requests
    /// (an unknown method, invalid parameters), replies to no call. Errors that handlers return are
    /// not counted.
    pub errors: u64,

    /// The cost of the peer: see [`Session::cost`](crate::Session::cost), without the [extra
    /// cost](crate::Hooks::extra_cost) of hooks.
    pub cost: f64,

    /// The peer's requests in flight, with those that wait to be started and notifications whose
    /// handlers run. Requests that were not read yet are not counted.
    pub requests_in_flight: usize,

    /// The requests among them that wait: for a permit
    /// ([`Limits::requests_in_flight`](crate::Limits::requests_in_flight)), for requests that have
    /// to finish first, or because the peer is slowed down for its cost.
    pub requests_waiting: usize,

    /// The number of the peer's requests so far that had to wait for a permit, because all were in
    /// use.
    pub permit_waits: u64,

    /// Calls of this side in flight.
    pub calls_in_flight: usize,

    /// Calls of this side that wait to be sent, because the limit on calls in flight is reached
    /// ([`Limits::calls_in_flight`](crate::Limits::calls_in_flight)).
    pub calls_waiting: usize,

    /// Subscriptions that this side serves to the peer.
    pub subscriptions_served: usize,

    /// Subscriptions of this side at the peer.
    pub subscriptions: usize,
}

/// The counters that only the loop of the session changes, once for each read and each write. Any
/// thread may read them.
#[derive(Debug)]
pub(crate) struct Counters {
    opened: Instant,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    /// Nanoseconds since the session began, plus one: 0 is never.
    last_received: AtomicU64,
    last_sent: AtomicU64,
    errors: AtomicU64,
    /// Requests that wait to be started.
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

    /// Bytes were read at `now`, and completed `messages` messages.
    pub(crate) fn received(&self, messages: u64, bytes: u64, now: Instant) {
        add(&self.messages_received, messages);
        add(&self.bytes_received, bytes);
        self.note(&self.last_received, now);
    }

    /// The messages of all reads before the current one.
    pub(crate) fn messages_received(&self) -> u64 {
        self.messages_received.load(Relaxed)
    }

    /// Bytes were written at `now`. `messages` counts all messages that the loop was given so far.
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

    /// One more request waits for a permit. Returns whether it is the first.
    pub(crate) fn waits_for_permit(&self) -> bool {
        add(&self.permit_waits, 1);
        self.permit_waits.load(Relaxed) == 1
    }

    fn note(&self, time: &AtomicU64, now: Instant) {
        // Enough for five hundred years.
        time.store(now.saturating_duration_since(self.opened).as_nanos() as u64 + 1, Relaxed);
    }

    fn noted(&self, time: &AtomicU64) -> Option<Instant> {
        let after = time.load(Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_nanos(after))
    }

    /// The numbers that are counted here; the others come from the state.
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

/// Only the loop writes, so a load and a store lose nothing, and neither costs more than a plain
/// access.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed) + more, Relaxed);
}
