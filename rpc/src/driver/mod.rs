//! The loop of a session: reads, admits, dispatches, writes, ends. Only here do I/O, link and service meet.
//!
//! It is one task a session, and one future written by hand: reading and writing go on independently, because the
//! reader must never wait for a write (see promise 2 in the crate documentation).

mod batch;
mod cancel;
mod cost;
mod dispatch;
mod drain;
mod dropped;
mod gone;
mod inbox;
mod keep_alive;
mod last_word;
mod messages;
mod opening;
mod parting;
mod process;
mod receive;
mod serve;
mod settings;
mod show;
mod silence;
mod start;
mod timers;
mod turn;
mod write;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{io::AsyncWrite as _, time::Instant};

use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{ErrorObject, Paused, chain, clean_io, shown::brief, version::Version},
    limits::Throttle,
    service::{Dispatch, TakesMessages},
    session::{Answers, CloseReason, LastHit, Session, Shared, WriteBuffer, panic_message},
    transport::{ControlFrames, Io},
};
use cancel::Cancellations;
use cost::Charged;
use dropped::Oversized;
use inbox::Inbox;
use opening::FirstWords;
use parting::{AwaitedEnd, Parting, say_why};
pub(crate) use settings::Settings;
pub(crate) use start::{Owner, Start, start};
use timers::Timers;
use turn::{ROUNDS, Turn};

/// One session's loop.
struct Driver {
    cancellations: Cancellations,
    io: Box<dyn Io>,
    control: Option<Arc<ControlFrames>>,
    owner: Option<Arc<dyn Owner>>,
    link: Arc<Shared>,
    /// The peer's requests, on their way to their handlers.
    dispatch: Dispatch,
    /// Takes what arrives, where it is no JSON-RPC.
    messages: Option<Arc<dyn TakesMessages>>,
    framer: Box<dyn AnyFramer>,
    /// Whether it is settled that the peer does not speak another protocol.
    is_judged: bool,
    /// What that is judged by.
    first_words: FirstWords,
    /// What was read and not yet taken apart.
    inbox: Inbox,
    /// Handlers that finish in place write their replies here; the messages that handles send are fetched from the shared state.
    write_buffer: WriteBuffer,
    /// Replies to calls, from one read: they are handed over together.
    answers: Answers,
    /// The subscriber that has taken the last item.
    last_hit: LastHit,
    /// How many replies were handed over in this round.
    handed_over: usize,
    /// How many it were the last time that there were any: above one, callers come in company.
    last_handed_over: usize,
    /// Whether the loop has stepped back for others since it wrote the last time.
    stepped_back: bool,
    left: Left,
    /// The session has ended, or has nothing to do any more, and its connection is being closed.
    parting: Option<Box<Parting>>,
    /// What was seen of a frame that is being dropped.
    dropping: Option<Box<Oversized>>,
    /// The version in force: the shared state has it too, behind its lock.
    version: Version,
    /// The batch of which the next member waits for a permit.
    paused: Option<Box<Paused>>,
    /// The reply to a member of a batch, while it is written in place.
    member_reply: Vec<u8>,
    /// The bytes of the refusals that were added while the outgoing bytes were full.
    refusals: usize,
    /// Whether bytes have left in this round.
    progress: bool,
    /// How much the peer is slowed down for what it costs.
    throttle: Throttle,
    /// Whether requests that come are refused, because this side closes the session.
    drains: bool,
    /// With which the peer has said that this side costs it too much, or that it has no place for it.
    refused: Option<Box<ErrorObject>>,
    /// Whether its cost was over the soft limit when it was reckoned last.
    over_soft: bool,
    /// What the cost is made of, once there is some.
    charged: Option<Box<Charged>>,
    /// Bytes that were read and written, and not charged yet, and the price at which they were.
    uncharged: u64,
    cost_per_byte: f64,
    /// When something was read in this round, if it was.
    read_at: Option<Instant>,
    turn: Turn,
    timers: Timers,
}

/// What was left in the inbox although it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// At most the beginning of a frame.
    Nothing,
    /// A request that waits for a place.
    Request,
    /// Further frames, until others have had their turn: those whom the first replies woke, or all.
    Further,
    /// What was read while nothing could be taken.
    Ahead,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.link.register(cx.waker());
        // Framers, codecs and streams may be the user's.
        match catch_unwind(AssertUnwindSafe(|| this.poll_session(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reason)) => this.ended(reason),
            Err(panic) => this.panicked(panic),
        }
        Poll::Ready(())
    }
}

impl Driver {
    /// Ready when the session has ended, and its connection with it.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.parting.is_none() {
            let reason = ready!(self.run(cx));
            if self.parting.is_none() && !self.takes_leave(&reason) {
                return Poll::Ready(reason);
            }
        }
        self.poll_parting(cx)
    }

    /// Goes on until there is nothing to do but wait, or the session ends.
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.turn = Turn::default();
        for _ in 0..ROUNDS {
            self.progress = false;
            self.read_at = None;
            self.charge_for_bytes();
            let closing = match self.link.is_ending() {
                false => None,
                true => match self.link.closing() {
                    Ok(closing) => closing,
                    Err(ended) => return Poll::Ready(ended),
                },
            };
            if let Some(reason) = &closing {
                self.io.closes();
                self.drain(reason);
                self.refuse_rest_of_batch();
                self.cut_off();
            }
            self.start_waiting();
            if self.link.has_unjudged() {
                self.judge_items();
            }
            // What was sent since the last turn leaves before more is read.
            let mut wrote = self.poll_write(cx);
            self.handed_over = 0;
            let read = match &closing {
                // One that had waited may have cost too much just now.
                None if !self.link.is_ending() => self.poll_read(cx),
                // What comes is answered, though not begun.
                Some(_) if self.drains && !self.inbox.has_ended() => self.poll_read(cx),
                _ => self.poll_gone(cx).map(Err),
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
            let in_company = self.handed_over > 1;
            if wrote.is_ready() {
                wrote = if in_company { self.poll_write_buffer(cx) } else { self.poll_write(cx) };
            }
            match (wrote, closing) {
                (Poll::Ready(Err(error)), _) => {
                    return Poll::Ready(self.by_peer(CloseReason::Io(Arc::new(clean_io(error)))));
                }
                (Poll::Ready(Ok(())), Some(reason))
                    if self.link.is_idle() && self.dispatch.queue.len() == 0 =>
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
            if in_company {
                self.step_back(cx);
                return Poll::Pending;
            }
            // Whatever was held back for want of room is looked at again when some was made.
            if read.is_pending() && !self.progress {
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

    /// Everything is sent: says so to the peer, and ends.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<CloseReason> {
        if let Some(control) = &self.control {
            say_why(control, &reason);
            self.part(reason.clone(), AwaitedEnd::Close);
            return Poll::Ready(reason);
        }
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            // Whether the peer noticed makes no difference any more.
            Poll::Ready(_) => {
                self.inbox.discard(cx, &mut self.io);
                Poll::Ready(reason)
            }
            Poll::Pending => match self.poll_timers(cx) {
                Poll::Ready(Some(_)) => Poll::Ready(reason),
                Poll::Ready(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    #[cold]
    fn panicked(&self, panic: Box<dyn Any + Send>) {
        let message = panic_message(&*panic).to_owned();
        tracing::error!(
            rpc.system.name = "jsonrpc",
            session = self.link.id,
            panic = %brief(&message),
            "the loop of a session panicked"
        );
        self.ended(CloseReason::Panicked { message });
    }

    /// Ends calls and handlers, and says in the log what the operator can do about it. `still_leaves` says whether what was sent is
    /// written before the connection is closed.
    fn end_link(&self, reason: CloseReason, still_leaves: bool) -> CloseReason {
        let was_ended = self.link.has_ended();
        let reason = self.link.end(reason, &self.write_buffer, still_leaves);
        if let CloseReason::Frame(FrameError::TooLarge { size, limit }) = reason
            && !was_ended
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = self.link.peer.scheme(), network.peer.address = %self.link.peer,
                session = self.link.id, size, limit,
                "a frame over the limit has ended the session: where such frames are to be taken, raise `Limits::frame_size` on this side"
            );
        }
        reason
    }

    fn ended(&self, reason: CloseReason) {
        // First of all, so that whoever learns that the session has ended does not find it listed.
        if let Some(owner) = &self.owner {
            owner.ended(self.link.id);
        }
        self.link.leave_group(self.cost_of_bytes() + self.cost_of_end(&reason));
        let reason = self.end_link(reason, false);
        let statistics = self.link.statistics();
        let process = process::name_and_id(&self.link.extensions);
        tracing::debug!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id,
            program = process.as_ref().map(|(name, _)| display(name)), process.pid = process.as_ref().map(|&(_, id)| id),
            messages_received = statistics.messages_received, messages_sent = statistics.messages_sent,
            bytes_received = statistics.bytes_received, bytes_sent = statistics.bytes_sent,
            bytes_unsent = statistics.bytes_unsent, errors = statistics.errors, cost = statistics.cost,
            open_for = ?statistics.opened.elapsed(), reason = %brief(chain(&reason)), "session closed"
        );
        if self.link.hooks.is_some() {
            let session = Session::new(Arc::clone(&self.link));
            self.link.hooks.run(|hooks| hooks.closed(&session, &reason));
        }
        // Requests that wait are not begun any more.
        self.link.counters.waiting(0);
        self.link.gone(reason);
    }
}

/// The runtime may drop the loop at any time: then, too, every call ends.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.link.is_gone() {
            self.ended(CloseReason::RuntimeStopped);
        }
    }
}
