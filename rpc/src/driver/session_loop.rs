//! The session loop: its state, and the order of the steps in one poll.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep};

use super::{
    inbox::{Inbox, OpeningState, Oversized},
    timers::Timers,
};
use crate::{
    framing::AnyFramer,
    jsonrpc::{CancelBy, Cancellation, ErrorObject, Paused, clean_io, version::Version},
    limits::Throttle,
    service::{Dispatch, InlinePolicy, Routes, TakesMessages},
    session::{CloseReason, LastHit, ReplyBatch, Shared, WriteBuffer},
    transport::{ControlFrames, Io, LogRate, Takes},
};

/// Maximum number of rounds (one read and one write each) in one poll. Bounds a poll whose
/// transport is always ready, so that other tasks run.
pub(super) const MAX_ROUNDS: usize = 64;

/// Maximum number of frames processed before the loop yields. One read holds fewer requests than
/// this, so only a read full of smaller messages, none of them a request, is split over two turns.
pub(super) const MAX_FRAMES: usize = 2048;

/// The loop of one session, polled as one task.
pub(super) struct Driver {
    pub(super) cancellations: Cancellations,
    pub(super) io: Box<dyn Io>,
    pub(super) control: Option<Arc<ControlFrames>>,
    pub(super) owner: Option<Arc<dyn Owner>>,
    pub(super) shared: Arc<Shared>,
    /// Admits, orders and runs the requests of the peer.
    pub(super) dispatch: Dispatch,
    /// Handles every frame as a message of the application, where the session does not carry
    /// JSON-RPC.
    pub(super) message_handler: Option<Arc<dyn TakesMessages>>,
    pub(super) framer: Box<dyn AnyFramer>,
    /// The peer is known to speak the expected protocol. Until then frames go through `opening.rs`.
    pub(super) is_protocol_known: bool,
    /// The evidence for that decision.
    pub(super) opening: OpeningState,
    /// Bytes received and not yet processed.
    pub(super) inbox: Inbox,
    /// Outgoing bytes of the loop: replies of handlers that finish in place. Messages sent by
    /// handles are moved here from the shared state before a write.
    pub(super) write_buffer: WriteBuffer,
    /// Replies of one read, delivered to their calls together under one lock.
    pub(super) replies: ReplyBatch,
    /// The subscription that the last item belonged to.
    pub(super) last_hit: LastHit,
    /// Replies delivered in this round.
    pub(super) delivered: usize,
    /// Replies delivered by the last read that had any. More than one means several callers are
    /// awake; yield once before writing so that their next requests coalesce.
    pub(super) last_delivered: usize,
    /// The loop has yielded since its last write, so it does not yield again before the next one.
    pub(super) has_yielded: bool,
    pub(super) backlog: Backlog,
    /// Set once the session has ended or is idle after a graceful close, and the connection is
    /// closing.
    pub(super) connection_close: Option<Box<ConnectionClose>>,
    /// State of an oversized frame while its bytes are discarded.
    pub(super) oversized: Option<Box<Oversized>>,
    /// The version in force. A copy of the one in the shared state, which is behind the lock.
    pub(super) version: Version,
    /// A batch whose next member waits for a permit.
    pub(super) paused: Option<Box<Paused>>,
    /// Buffer for the reply to one member of a batch.
    pub(super) member_reply: Vec<u8>,
    /// Bytes of error replies written while the write buffer was over its limit.
    pub(super) refusal_bytes: usize,
    /// The transport accepted bytes in this round.
    pub(super) has_written: bool,
    /// Delay and concurrency that the cost of the peer currently imposes on its requests.
    pub(super) throttle: Throttle,
    /// This side closes the session, so new requests are refused.
    pub(super) is_draining: bool,
    /// The error by which the peer refused this side: for its cost, or for lack of capacity.
    pub(super) refused_with: Option<Box<ErrorObject>>,
    /// The cost was over the soft limit when last computed.
    pub(super) is_over_soft: bool,
    /// Breakdown of the cost, for the log. Absent until there is a cost.
    pub(super) charges: Option<Box<Charges>>,
    /// Bytes read and written and not charged yet, and the price at which they moved.
    pub(super) uncharged_bytes: u64,
    pub(super) cost_per_byte: f64,
    /// Time of the last read in this round, if there was one. Saves reading the clock again for the
    /// write.
    pub(super) read_at: Option<Instant>,
    pub(super) turn: Turn,
    pub(super) timers: Timers,
}

/// Complete input that is left in the inbox, by the reason for which it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    /// Nothing, or at most the start of a frame.
    Empty,
    /// A request that waits for a permit.
    Blocked,
    /// Further frames. Other tasks run first: the callers that the first replies woke, or all tasks
    /// after a long turn.
    Yielded,
    /// Bytes that were read before they could be processed.
    ReadAhead,
}

/// How processing continues after a message, or a member of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// The message was processed.
    Continue,
    /// The message has to wait in the inbox.
    Blocked,
    /// The session is closing: process no further message.
    Closing,
}

/// The keeper of a session, a server for example, which is told of its end.
pub(crate) trait Owner: Send + Sync {
    fn ended(&self, session: u64);

    /// The rate limit on log events about peers that speak another protocol.
    fn strangers(&self) -> &LogRate;
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.register(cx.waker());
        // Framers, codecs and streams may be supplied by the user, and may panic.
        match catch_unwind(AssertUnwindSafe(|| this.poll_session(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reason)) => this.finish(reason),
            Err(panic) => this.finish_panicked(panic),
        }
        Poll::Ready(())
    }
}

impl Driver {
    /// Ready when the session has ended and its connection is closed.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.connection_close.is_none() {
            let reason = ready!(self.run(cx));
            if self.connection_close.is_none() && !self.starts_connection_close(&reason) {
                return Poll::Ready(reason);
            }
        }
        self.poll_connection_close(cx)
    }

    /// Reads, dispatches and writes until no progress is possible, or the session ends.
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.turn = Turn::default();
        for _ in 0..MAX_ROUNDS {
            self.has_written = false;
            self.read_at = None;
            self.charge_for_bytes();
            let closing = match self.shared.is_ending() {
                false => None,
                true => match self.shared.closing() {
                    Ok(closing) => closing,
                    Err(ended) => return Poll::Ready(ended),
                },
            };
            if let Some(reason) = &closing {
                self.io.closes();
                self.begin_draining(reason);
                self.refuse_rest_of_batch();
                self.abandon_oversized();
            }
            self.start_waiting();
            if self.shared.has_unjudged() {
                self.process_unjudged();
            }
            // Messages sent since the last turn leave before more is read.
            let mut wrote = self.poll_write(cx);
            self.delivered = 0;
            let read = match &closing {
                // A request started from the queue may have exceeded the cost limit.
                None if !self.shared.is_ending() => self.poll_read(cx),
                // While draining, requests are answered with an error, not started.
                Some(_) if self.is_draining && !self.inbox.has_ended() => self.poll_read(cx),
                _ => self.poll_peer_gone(cx).map(Err),
            };
            if let Poll::Ready(Err(reason)) = read {
                return Poll::Ready(match wrote {
                    // The system reports a reset once, and the write may have received it.
                    Poll::Ready(Err(error)) if reason.is_silent_end() => {
                        CloseReason::Io(Arc::new(clean_io(error)))
                    }
                    _ => reason,
                });
            }
            let coalesce = self.delivered > 1;
            if wrote.is_ready() {
                wrote = if coalesce { self.poll_write_buffer(cx) } else { self.poll_write(cx) };
            }
            match (wrote, closing) {
                (Poll::Ready(Err(error)), _) => {
                    return Poll::Ready(self.peer_reason_or(CloseReason::Io(Arc::new(clean_io(error)))));
                }
                (Poll::Ready(Ok(())), Some(reason))
                    if self.shared.is_idle() && self.dispatch.queue.len() == 0 =>
                {
                    return self.poll_shutdown(cx, reason);
                }
                _ => {}
            }
            if let Poll::Ready(timed) = self.poll_timers(cx) {
                match timed {
                    Some(reason) => return Poll::Ready(reason),
                    None => continue,
                }
            }
            if coalesce {
                self.yield_once(cx);
                return Poll::Pending;
            }
            // Input held back for lack of capacity is retried, because writing has freed some.
            if read.is_pending() && !self.has_written {
                return Poll::Pending;
            }
            if self.turn.is_over(self.read_at) {
                break;
            }
        }
        // Waking at once would repeat the poll up to 61 times before the runtime looks at its
        // timers; `yield_now` defers the wake-up until it has.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
        Poll::Pending
    }
}

/// Work done since other tasks last ran.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Start of the first read of this turn.
    pub(super) began: Option<Instant>,
    /// Frames processed in this turn.
    pub(super) frames: usize,
}

impl Turn {
    /// Whether the loop must yield to other tasks. `read_at` is the current time, if a read took
    /// place.
    pub(super) fn is_over(&self, read_at: Option<Instant>) -> bool {
        let took_long =
            || matches!((self.began, read_at), (Some(began), Some(now)) if now - began > InlinePolicy::SLOW);
        self.frames >= MAX_FRAMES || took_long()
    }
}

/// The messages by which the peer may cancel its requests.
#[derive(Debug)]
pub(super) struct Cancellations {
    /// The configured cancellation, and those that the styles of the served methods define.
    notifications: Vec<Cancellation>,
    rpc_cancel: RpcCancel,
}

/// Treatment of [`Cancellation::RPC`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RpcCancel {
    Honoured,
    /// Ignored: the handshake announced support, but another cancellation is configured.
    Ignored,
    /// A method like any other.
    Unknown,
}

impl Cancellations {
    pub(super) fn new(configured: &CancelBy, routes: &Routes, peer: Takes) -> Self {
        let chosen = match configured {
            CancelBy::Chosen(cancellation) => Some((**cancellation).clone()),
            CancelBy::Negotiated | CancelBy::Nothing => None,
        };
        let is_rpc = chosen.as_ref().is_none_or(|chosen| *chosen == Cancellation::RPC);
        let rpc_cancel = match configured {
            // A served method of that name takes precedence, as everywhere.
            _ if routes.have(Cancellation::RPC.method()) => RpcCancel::Unknown,
            CancelBy::Negotiated | CancelBy::Chosen(_) if is_rpc => RpcCancel::Honoured,
            _ if peer.cancel => RpcCancel::Ignored,
            _ => RpcCancel::Unknown,
        };
        Self { notifications: chosen.into_iter().chain(routes.cancellations()).collect(), rpc_cancel }
    }

    /// Whether `method` is the built-in cancellation. Checked for every message, and rarely true.
    #[inline]
    pub(super) fn is_rpc_cancel(&self, method: &str) -> bool {
        method == "rpc.cancel" && self.rpc_cancel != RpcCancel::Unknown
    }

    /// Whether a notification with this method cancels a request.
    #[inline]
    pub(super) fn is_cancellation(&self, method: &str) -> bool {
        self.is_rpc_cancel(method) || self.notification(method).is_some()
    }

    pub(super) fn notification(&self, method: &str) -> Option<&Cancellation> {
        self.notifications.iter().find(|known| known.method() == method)
    }

    pub(super) fn ignores_rpc_cancel(&self) -> bool {
        self.rpc_cancel == RpcCancel::Ignored
    }
}

/// Amounts charged since the session began, forgiven or not. For the log only.
#[derive(Debug, Default)]
pub(super) struct Charges {
    pub(super) bytes: f64,
    pub(super) errors: f64,
    pub(super) unreadable: f64,
    /// The soft limit was logged once.
    pub(super) is_logged: bool,
}

/// A connection that is closing.
#[derive(Debug)]
pub(super) struct ConnectionClose {
    pub(super) reason: CloseReason,
    pub(super) awaited: AwaitedEnd,
    /// The session had ended before the close began. If not, an abort ends the close.
    pub(super) had_ended: bool,
    pub(super) timeout: Pin<Box<Sleep>>,
}

/// The event that the close waits for before the stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitedEnd {
    /// The close frame of the peer: this side closed first.
    CloseFrame,
    /// None: the peer closed first.
    Nothing,
    /// The end of the peer's stream, whose bytes can no longer be framed. Closing a TCP socket with
    /// unread bytes discards the data sent last, and the peer would not learn which rule it has
    /// broken.
    EndOfStream,
}
