//! The loop itself: its state, and the order in which it does things.

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
    service::{Dispatch, Pace, Routes, TakesMessages},
    session::{CloseReason, LastHit, ReplyBatch, Shared, WriteBuffer},
    transport::{ControlFrames, Io, LogRate, Takes},
};

/// How often a session reads and writes before others get their turn, should its transport never have it wait.
pub(super) const MAX_ROUNDS: usize = 64;

/// How many frames it takes in one go: somewhat more than the requests that one read can bring, so that only the
/// rest of a read of smaller messages, none of which is a request, is left for the next turn.
pub(super) const MAX_FRAMES: usize = 2048;

/// One session's loop.
pub(super) struct Driver {
    pub(super) cancellations: Cancellations,
    pub(super) io: Box<dyn Io>,
    pub(super) control: Option<Arc<ControlFrames>>,
    pub(super) owner: Option<Arc<dyn Owner>>,
    pub(super) shared: Arc<Shared>,
    /// The peer's requests, on their way to their handlers.
    pub(super) dispatch: Dispatch,
    /// Takes what arrives, where it is no JSON-RPC.
    pub(super) message_handler: Option<Arc<dyn TakesMessages>>,
    pub(super) framer: Box<dyn AnyFramer>,
    /// Whether it is settled that the peer does not speak another protocol.
    pub(super) is_protocol_known: bool,
    /// What that is judged by.
    pub(super) opening: OpeningState,
    /// What was read and not yet taken apart.
    pub(super) inbox: Inbox,
    /// Handlers that finish in place write their replies here; the messages that handles send are fetched from the shared state.
    pub(super) write_buffer: WriteBuffer,
    /// Replies to calls, from one read: they are handed over together.
    pub(super) replies: ReplyBatch,
    /// The subscriber that has taken the last item.
    pub(super) last_hit: LastHit,
    /// How many replies were handed over in this round.
    pub(super) delivered: usize,
    /// How many it were the last time that there were any: above one, callers come in company.
    pub(super) last_delivered: usize,
    /// Whether the loop has stepped back for others since it wrote the last time.
    pub(super) has_yielded: bool,
    pub(super) backlog: Backlog,
    /// The session has ended, or has nothing to do any more, and its connection is being closed.
    pub(super) connection_close: Option<Box<ConnectionClose>>,
    /// What was seen of a frame that is being dropped.
    pub(super) oversized: Option<Box<Oversized>>,
    /// The version in force: the shared state has it too, behind its lock.
    pub(super) version: Version,
    /// The batch of which the next member waits for a permit.
    pub(super) paused: Option<Box<Paused>>,
    /// The reply to a member of a batch, while it is written in place.
    pub(super) member_reply: Vec<u8>,
    /// The bytes of the refusals that were added while the outgoing bytes were full.
    pub(super) refusal_bytes: usize,
    /// Whether bytes have left in this round.
    pub(super) has_written: bool,
    /// How much the peer is slowed down for what it costs.
    pub(super) throttle: Throttle,
    /// Whether requests that come are refused, because this side closes the session.
    pub(super) is_draining: bool,
    /// With which the peer has said that this side costs it too much, or that it has no place for it.
    pub(super) refused_with: Option<Box<ErrorObject>>,
    /// Whether its cost was over the soft limit when it was reckoned last.
    pub(super) is_over_soft: bool,
    /// What the cost is made of, once there is some.
    pub(super) charges: Option<Box<Charges>>,
    /// Bytes that were read and written, and not charged yet, and the price at which they were.
    pub(super) uncharged_bytes: u64,
    pub(super) cost_per_byte: f64,
    /// When something was read in this round, if it was.
    pub(super) read_at: Option<Instant>,
    pub(super) turn: Turn,
    pub(super) timers: Timers,
}

/// What was left in the inbox although it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    /// At most the beginning of a frame.
    Empty,
    /// A request that waits for a place.
    Blocked,
    /// Further frames, until others have had their turn: those whom the first replies woke, or all.
    Yielded,
    /// What was read while nothing could be taken.
    ReadAhead,
}

/// How the loop goes on after a message, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It was dealt with.
    Continue,
    /// It has to wait where it is.
    Blocked,
    /// It was one too many: the session is closing.
    Closing,
}

/// Whoever keeps sessions, and wants to know when one has ended.
pub(crate) trait Owner: Send + Sync {
    fn ended(&self, session: u64);

    /// How often the log has it that a peer speaks another protocol.
    fn strangers(&self) -> &LogRate;
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.register(cx.waker());
        // Framers, codecs and streams may be the user's.
        match catch_unwind(AssertUnwindSafe(|| this.poll_session(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reason)) => this.finish(reason),
            Err(panic) => this.finish_panicked(panic),
        }
        Poll::Ready(())
    }
}

impl Driver {
    /// Ready when the session has ended, and its connection with it.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.connection_close.is_none() {
            let reason = ready!(self.run(cx));
            if self.connection_close.is_none() && !self.starts_connection_close(&reason) {
                return Poll::Ready(reason);
            }
        }
        self.poll_connection_close(cx)
    }

    /// Goes on until there is nothing to do but wait, or the session ends.
    pub(super) fn run(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
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
            // What was sent since the last turn leaves before more is read.
            let mut wrote = self.poll_write(cx);
            self.delivered = 0;
            let read = match &closing {
                // One that had waited may have cost too much just now.
                None if !self.shared.is_ending() => self.poll_read(cx),
                // What comes is answered, though not begun.
                Some(_) if self.is_draining && !self.inbox.has_ended() => self.poll_read(cx),
                _ => self.poll_peer_gone(cx).map(Err),
            };
            if let Poll::Ready(Err(reason)) = read {
                return Poll::Ready(match wrote {
                    // The system tells of a reset once: a write may have been told.
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
            // Whatever was held back for want of room is looked at again when some was made.
            if read.is_pending() && !self.has_written {
                return Poll::Pending;
            }
            if self.turn.is_over(self.read_at) {
                break;
            }
        }
        // Woken at once, the loop would be run again and again before the runtime looks at its timers: after 61 such turns.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
        Poll::Pending
    }
}

/// What the loop has done since others had their turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When the first read was taken apart.
    pub(super) began: Option<Instant>,
    /// How many frames were taken.
    pub(super) frames: usize,
}

impl Turn {
    /// Whether others are due. `read_at` is the time now, if something was read.
    pub(super) fn is_over(&self, read_at: Option<Instant>) -> bool {
        let took_long =
            || matches!((self.began, read_at), (Some(began), Some(now)) if now - began > Pace::SLOW);
        self.frames >= MAX_FRAMES || took_long()
    }
}

/// How the peer may take requests back.
#[derive(Debug)]
pub(super) struct Cancellations {
    /// As was chosen, and as the styles of the methods say it: by notifications.
    notifications: Vec<Cancellation>,
    rpc_cancel: RpcCancel,
}

/// What is made of [`Cancellation::RPC`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RpcCancel {
    Honoured,
    /// The peer was told in the handshake that it is known here; but it was chosen otherwise.
    Ignored,
    /// It is a method like any other.
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
            // A service goes before, here as everywhere.
            _ if routes.have(Cancellation::RPC.method()) => RpcCancel::Unknown,
            CancelBy::Negotiated | CancelBy::Chosen(_) if is_rpc => RpcCancel::Honoured,
            _ if peer.cancel => RpcCancel::Ignored,
            _ => RpcCancel::Unknown,
        };
        Self { notifications: chosen.into_iter().chain(routes.cancellations()).collect(), rpc_cancel }
    }

    /// Whether the request may be what takes another one back: nearly none is.
    #[inline]
    pub(super) fn is_rpc_cancel(&self, method: &str) -> bool {
        method == "rpc.cancel" && self.rpc_cancel != RpcCancel::Unknown
    }

    /// Whether a notification does.
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

/// What a peer was charged for since the session began, forgiven or not: for the log.
#[derive(Debug, Default)]
pub(super) struct Charges {
    pub(super) bytes: f64,
    pub(super) errors: f64,
    pub(super) unreadable: f64,
    /// Whether the log has it that the soft limit was passed.
    pub(super) is_logged: bool,
}

/// A connection that is being closed.
#[derive(Debug)]
pub(super) struct ConnectionClose {
    pub(super) reason: CloseReason,
    pub(super) awaited: AwaitedEnd,
    /// Whether the session had ended before. If not, an abort ends it.
    pub(super) had_ended: bool,
    pub(super) timeout: Pin<Box<Sleep>>,
}

/// What is waited for before the stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitedEnd {
    /// The peer's close frame: this side has closed first.
    CloseFrame,
    /// Nothing: the peer has closed, and knows.
    Nothing,
    /// The end of its stream, of which nothing is understood any more. A socket that is closed with unread bytes has TCP throw away what was
    /// sent last: the peer would not learn which rule it has broken.
    EndOfStream,
}
