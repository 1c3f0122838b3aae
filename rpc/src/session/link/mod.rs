//! What the handles of a session and the loop that serves it share: one value behind one short lock.

mod append;
mod batches;
mod cancel;
mod closing;
mod cost;
mod effects;
mod feeds;
mod handles;
mod inlets;
mod last;
mod order;
mod replying;
mod serving;
mod traces;
mod unnamed;
mod work;

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle, time::Instant};

pub(crate) use cancel::Cancelling;
use cost::OwnCost;
pub(crate) use effects::{Effects, Locked};
pub(super) use handles::Refused;
pub(crate) use order::Ahead;
pub(crate) use serving::Answers;
pub(crate) use work::{TellsWorkEnded, WorkNumber};

use super::{
    CallError, CloseReason, InstalledHooks, Membership,
    feed::Feeds,
    loads::Position,
    on_demand::OnDemand,
    outbox::Outbox,
    places::{Place, Places},
    slot::Slot,
    statistics::{Counters, Statistics},
    subscription::{FullInlets, Inlets, Opening},
    tally::Tally,
    trace::Trace,
};
use crate::{
    framing::{AnyFramer, NewlineFramer},
    jsonrpc::{BatchId, Connection, Notices, Order, RequestId, table::Table, version::Version},
    limits::{Limits, LiveLimits, deadline},
    transport::{Endpoint, Extensions, Takes},
};

/// One link. No lock is held across an await, nor while code of the user's runs: see [`Effects`].
#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    /// Frames what is sent, where it is a framer of the user's: the outbox does it otherwise.
    users_framer: Option<Box<dyn AnyFramer>>,
    /// How many bytes the outbox holds: written under the lock, read without it.
    queued: AtomicUsize,
    /// How many bytes the loop has taken and not yet written.
    unwritten: AtomicUsize,
    /// Whether somebody was told that there is no room.
    full: AtomicBool,
    /// Whether the session is anything but open: read without the lock.
    ending: AtomicBool,
    /// Whether items of subscriptions wait to be sent: written under the lock, read without it.
    items_wait: AtomicBool,
    /// Whether a notification may be an item of a subscription of ours.
    subscribes: AtomicBool,
    /// Whether it may be a report of work that was asked for.
    reports: AtomicBool,
    /// Whether somebody may take notifications that nobody has asked for.
    listens: AtomicBool,
    /// Messages whose items have turned out to be no JSON, and whether there are any.
    to_judge: Mutex<Vec<Vec<u8>>>,
    has_to_judge: AtomicBool,
    /// How many subscriptions of ours have no room, and have the session wait.
    full_inlets: FullInlets,
    /// Whether the loop has to look at the next deadline: read without the lock.
    deadline_moved: AtomicBool,
    /// The requests that are being worked on, and the bytes of their frames: the lengths of what is in the state, read
    /// without the lock.
    running: AtomicUsize,
    running_bytes: AtomicUsize,
    /// The number of the request that is being started, if a context was made of it, and the last number given.
    starting: AtomicU64,
    works: AtomicU64,
    /// The last token given to work of the peer's that reports its progress.
    tokens: AtomicU64,
    /// Those who wait for requests to be over.
    work: Notify,
    /// How much work is finished although nobody may wait for it.
    shielded: AtomicUsize,
    /// Where that is counted besides, if no session waits for it.
    shielded_work: Option<Tally>,
    /// Whether a request has ever asked to be the last.
    any_is_last: AtomicBool,
    /// How many batches of the peer's are not answered yet, read without the lock.
    open_batches: AtomicUsize,
    /// What the peer has cost.
    cost: Mutex<OwnCost>,
    /// With whom it shares that.
    pub(super) group: Membership,
    /// Whether the application has added to it, or changed the limits, and the loop has not noticed.
    terms_moved: AtomicBool,
    /// The loop.
    driver: AtomicWaker,
    /// How many calls of ours may be in flight; made when that is bounded for the first time.
    pub(super) places: OnceLock<Arc<Places>>,
    /// Senders that wait for room. One is woken at a time, and wakes the next.
    room: Notify,
    closed: Notify,
    /// How many [`Session`](super::Session)s there are.
    pub(super) handles: AtomicUsize,
    /// Whether the peer may call: then the session lives on without handles.
    pub(crate) serves: bool,
    pub(crate) id: u64,
    pub(crate) peer: Endpoint,
    pub(crate) limits: LiveLimits,
    /// Whether the peer is sent notices of its subscriptions.
    notices: Notices,
    /// Whether it is known to take them.
    takes_notices: AtomicBool,
    /// Whether it is known to take that this side shuts down.
    takes_closing: AtomicBool,
    /// Whether it has said that it shuts down itself: read without the lock.
    peer_closes: AtomicBool,
    pub(crate) hooks: InstalledHooks,
    pub(crate) extensions: Extensions,
    /// Whether it carries messages of the application's own, and no JSON-RPC.
    pub(crate) carries_messages: bool,
    /// Where its loop runs, if it has one: whatever waits for the session may do so elsewhere.
    pub(in crate::session) runtime: Option<Handle>,
    pub(crate) counters: Counters,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Knows the calls of ours that have no reply yet.
    pub(crate) connection: Connection<InFlight>,
    pub(crate) outbox: Outbox,
    /// Requests of the peer's whose handler did not finish at once.
    pub(crate) running: Table<Running>,
    /// The subscriptions that the peer has here.
    pub(crate) feeds: OnDemand<Feeds>,
    /// Those that we have there.
    pub(crate) inlets: OnDemand<Inlets>,
    pub(crate) phase: Phase,
    /// The requests after which it closes.
    last: last::Last,
    /// How calls of ours are taken back.
    cancelling: Cancelling,
    /// When the loop has to look for calls and handlers that are late.
    pub(crate) next_deadline: Option<Instant>,
    /// Whether that has become earlier, and the loop was not woken for it yet.
    is_due_earlier: bool,
    /// What happens when the lock is released.
    pub(crate) effects: Effects,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Open,
    /// Finishing what was begun, then closing.
    Closing(CloseReason),
    /// The connection is to be dropped; the loop may not have noticed yet.
    Ended(CloseReason),
    /// The loop is gone too.
    Gone(CloseReason),
}

impl Phase {
    pub(crate) const fn reason(&self) -> Option<&CloseReason> {
        match self {
            Self::Open => None,
            Self::Closing(reason) | Self::Ended(reason) | Self::Gone(reason) => Some(reason),
        }
    }
}

/// A call of ours that has no reply yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    slot: Arc<Slot>,
    timeout: Option<Timeout>,
    /// Where its message stands among those that leave.
    position: Position,
    /// Set where the reply begins a subscription.
    opening: Option<Arc<Opening>>,
    /// Given back when it ends.
    place: Option<Place>,
    /// False for pings, for what ends a subscription, and for the question whether calls can be taken back: no task waits for
    /// the reply.
    awaited: bool,
}

impl InFlight {
    /// A call whose message is appended at `position`.
    fn new(position: Position, slot: &Arc<Slot>, timeout: Option<Timeout>) -> Self {
        Self { slot: Arc::clone(slot), timeout, position, opening: None, place: None, awaited: true }
    }

    /// The same of a call for whose reply no task waits.
    fn unawaited(position: Position, slot: &Arc<Slot>, timeout: Option<Timeout>) -> Self {
        Self { awaited: false, ..Self::new(position, slot, timeout) }
    }

    /// Whether a task waits for the reply.
    fn has_caller(&self) -> bool {
        self.awaited && self.opening.as_deref().is_none_or(|opening| !opening.is_abandoned())
    }

    /// The same, and it may come while nothing else is taken: that to work whose own reports are not taken stands behind them.
    fn is_awaited(&self) -> bool {
        self.has_caller() && self.opening.as_deref().is_none_or(|opening| !opening.inlet.holds_reply_back())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeout {
    pub(super) at: Instant,
    /// How long that was when the call was made.
    pub(super) after: Duration,
    /// Not later than this, whatever is heard of the call meanwhile.
    pub(super) latest: Option<Instant>,
}

impl Timeout {
    /// `after` from `now` on; `None`, which is no timeout, where no clock gets there.
    pub(super) fn after(now: Instant, after: Duration) -> Option<Self> {
        Some(Self { at: deadline::after(now, after)?, after, latest: None })
    }
}

/// A request of the peer's whose handler has become a task.
#[derive(Debug)]
pub(crate) struct Running {
    /// `None` for a notification.
    pub(crate) id: Option<RequestId>,
    /// Where its reply goes, if it came in a batch.
    pub(crate) member: Option<Member>,
    /// `None` for the moment between making the entry and starting the task.
    pub(crate) task: Option<AbortHandle>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) order: Order,
    /// Whether it may become a subscription.
    pub(crate) subscribes: bool,
    pub(crate) bytes: usize,
    /// The number under which its context asks; 0 if it has none.
    pub(crate) work: WorkNumber,
    pub(crate) trace: Trace,
}

/// A request that came in a batch of the peer's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) batch: BatchId,
    /// Its place in the batch.
    pub(crate) index: usize,
}

/// What a link is made from.
#[derive(Debug)]
pub(crate) struct NewLink {
    pub(crate) framer: Box<dyn AnyFramer>,
    pub(crate) version: Version,
    pub(crate) peer: Endpoint,
    pub(crate) limits: Limits,
    pub(crate) serves: bool,
    pub(crate) cancelling: Cancelling,
    pub(crate) notices: Notices,
    pub(crate) takes: Takes,
    pub(crate) hooks: InstalledHooks,
    pub(crate) group: Membership,
    pub(crate) extensions: Extensions,
    pub(crate) carries_messages: bool,
    /// Where its loop runs, if it has one.
    pub(crate) runtime: Option<Handle>,
}

impl Link {
    pub(crate) fn new(new: NewLink) -> Arc<Self> {
        Arc::new(Self::made_from(new))
    }

    fn made_from(new: NewLink) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = State {
            connection: Connection::of(new.version)
                .with_limits(new.limits.batch_length, new.limits.reply_size),
            outbox: Outbox::new(&*new.framer),
            running: Table::new(),
            feeds: OnDemand::default(),
            inlets: OnDemand::default(),
            phase: Phase::Open,
            last: last::Last::default(),
            cancelling: new.cancelling,
            next_deadline: None,
            is_due_earlier: false,
            effects: Effects::default(),
        };
        Self {
            state: Mutex::new(state),
            users_framer: Some(new.framer).filter(|framer| !framer.is_own()),
            queued: AtomicUsize::new(0),
            unwritten: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            items_wait: AtomicBool::new(false),
            subscribes: AtomicBool::new(false),
            reports: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            to_judge: Mutex::default(),
            has_to_judge: AtomicBool::new(false),
            full_inlets: FullInlets::default(),
            deadline_moved: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            running_bytes: AtomicUsize::new(0),
            starting: AtomicU64::new(0),
            works: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            work: Notify::new(),
            shielded: AtomicUsize::new(0),
            shielded_work: None,
            any_is_last: AtomicBool::new(false),
            open_batches: AtomicUsize::new(0),
            cost: Mutex::new(OwnCost::new()),
            group: new.group,
            terms_moved: AtomicBool::new(false),
            driver: AtomicWaker::new(),
            places: OnceLock::new(),
            room: Notify::new(),
            closed: Notify::new(),
            handles: AtomicUsize::new(0),
            serves: new.serves,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer: new.peer,
            limits: LiveLimits::new(&new.limits),
            notices: new.notices,
            takes_notices: AtomicBool::new(new.takes.notices),
            takes_closing: AtomicBool::new(new.takes.closing),
            peer_closes: AtomicBool::new(false),
            hooks: new.hooks,
            extensions: new.extensions,
            carries_messages: new.carries_messages,
            runtime: new.runtime,
            counters: Counters::new(),
        }
    }

    /// The link of a request that came by itself: it was never open.
    pub(crate) fn detached(
        peer: Endpoint,
        limits: Limits,
        version: Version,
        extensions: Extensions,
        shielded_work: Tally,
    ) -> Arc<Self> {
        let framer = Box::new(NewlineFramer::new());
        let mut link = Self::made_from(NewLink {
            framer,
            version,
            peer,
            limits,
            serves: false,
            cancelling: Cancelling::Never,
            notices: Notices::default(),
            takes: Takes::default(),
            hooks: InstalledHooks::default(),
            group: Membership::default(),
            extensions,
            carries_messages: false,
            runtime: None,
        });
        let state = link.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.phase = Phase::Gone(CloseReason::NoSession);
        link.shielded_work = Some(shielded_work);
        Arc::new(link)
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        // Nothing that can panic runs under the lock; were it to happen, the state would still be whole.
        Locked::new(self, self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends every call with the same reason, and those who wait for room. `has_left` says which of them have left.
    fn end_calls(&self, mut state: Locked<'_>, reason: &CloseReason, has_left: impl Fn(Position) -> bool) {
        let calls: Vec<InFlight> = state.connection.drain().collect();
        state.cancelling = Cancelling::Never;
        let State { inlets, effects, .. } = &mut *state;
        let inlets = inlets.if_made().map(|inlets| inlets.end(reason, effects));
        drop(state);
        drop(inlets);
        for call in calls {
            let sent = has_left(call.position);
            Slot::complete(call.slot, Err(CallError::Closed { reason: reason.clone(), sent }));
        }
        // Those who wait, and one who was about to: it tells the next.
        self.full.store(false, Ordering::Relaxed);
        self.room.notify_waiters();
        self.room.notify_one();
    }

    /// Has the loop look for what is late at `deadline`, unless it will look earlier.
    fn expect(&self, state: &mut State, deadline: Instant) {
        if state.next_deadline.is_none_or(|next| deadline < next) {
            state.next_deadline = Some(deadline);
            state.is_due_earlier = true;
            self.deadline_moved.store(true, Ordering::Release);
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let (counted, cost) = (self.counters.read(), self.add_cost(0.0, Instant::now()));
        let state = self.lock();
        Statistics {
            cost,
            bytes_unsent: self.queued.load(Ordering::Relaxed) + self.unwritten.load(Ordering::Relaxed),
            requests_in_flight: state.running.len() + counted.requests_waiting,
            calls_in_flight: state.calls_in_flight(),
            calls_waiting: self.places.get().map_or(0, |places| places.waiting()),
            subscriptions_served: state.feeds.len(),
            subscriptions: state.inlets.len(),
            ..counted
        }
    }

    /// Whether a further message may wait to be sent.
    pub(crate) fn has_room(&self) -> bool {
        let waiting = self.queued.load(Ordering::SeqCst) + self.unwritten.load(Ordering::SeqCst);
        waiting < self.limits.outgoing_bytes()
    }

    /// Called after something was appended to the outbox, under the lock: the first one wakes the loop, and one whose timeout comes
    /// before all others, or the loop would sleep past it while the transport takes nothing.
    #[inline]
    fn appended(&self, mut state: Locked<'_>) {
        let first = self.queued.load(Ordering::Relaxed) == 0;
        let wakes = std::mem::take(&mut state.is_due_earlier) || first;
        self.queued.store(state.outbox.len(), Ordering::Release);
        // A reply to a batch may let items go that had to wait for it.
        if state.feeds.are_ready() {
            self.items_wait.store(true, Ordering::Release);
        }
        drop(state);
        if wakes {
            self.driver.wake();
        }
    }
}
