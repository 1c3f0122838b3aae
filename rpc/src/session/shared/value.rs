//! [`Shared`]: the value that the handles of a session and its loop share.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use tokio::{runtime::Handle, sync::Notify, time::Instant};

use super::{
    guarded::{Capacity, Flags, Guarded, Hints},
    state::{CostNow, Deadline, OwnCost, Phase, State},
};
use crate::{
    framing::AnyFramer,
    jsonrpc::{Connection, Notices, subscription::Token, version::Version},
    limits::{Limits, LiveLimits},
    session::{
        CloseReason, Membership,
        call_limiter::CallLimiter,
        calls::{Calls, Cancelling},
        effects::{Effects, OnDemand, Tells},
        outbox::Outbox,
        requests::Requests,
        statistics::{Counters, Statistics},
        subscriptions::FullChannels,
    },
    transport::{Endpoint, Extensions, Takes},
};

/// The value that the handles of a session and its loop share.
#[derive(Debug)]
pub(crate) struct Shared {
    guarded: Guarded<State>,
    pub(super) capacity: Capacity,
    /// Senders that wait for capacity. One is woken at a time, and wakes the next.
    pub(super) capacity_made: Notify,
    /// Tasks that wait for the end of a request.
    pub(super) requests_changed: Notify,
    pub(super) closed: Notify,
    /// The numbers of requests whose handlers have a context.
    pub(super) numbers: Numbers,
    /// The limit on calls in flight, created when there is one for the first time.
    pub(in crate::session) call_limiter: OnceLock<Arc<CallLimiter>>,
    /// Back-pressure: the number of subscriptions whose full channel stops the session from
    /// reading.
    full_channels: FullChannels,
    /// The number of [`Session`](super::Session) handles.
    pub(in crate::session) handles: AtomicUsize,
    pub(crate) counters: Counters,
    pub(crate) limits: LiveLimits,
    /// The group that shares the cost.
    pub(in crate::session) group: Membership,
    /// The framer, if it is the user's. Otherwise the outbox has it.
    pub(super) users_framer: Option<Box<dyn AnyFramer>>,
    /// Whether the peer may call methods of this side: then the session stays open without handles.
    pub(crate) serves: bool,
    pub(crate) id: u64,
    pub(crate) peer: Endpoint,
    /// Whether notices of subscriptions are sent to the peer.
    pub(super) notices: Notices,
    pub(crate) hooks: InstalledHooks,
    pub(crate) extensions: Extensions,
    /// Whether it carries messages of the application's own in place of JSON-RPC.
    pub(crate) carries_messages: bool,
    /// The runtime of the loop, if there is one: tasks that wait for the session may run elsewhere.
    pub(in crate::session) runtime: Option<Handle>,
}

/// The parts of a new [`Shared`].
#[derive(Debug)]
pub(crate) struct NewShared {
    pub(crate) id: u64,
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
    /// The runtime of the loop, if there is one.
    pub(crate) runtime: Option<Handle>,
}

/// The hooks of the application. They get a [`Session`](crate::Session), which is defined above
/// this layer and implements this for all [`Hooks`](crate::Hooks).
pub(crate) trait SharedHooks: Send + Sync {
    fn opened(&self, shared: &Arc<Shared>);
    fn closed(&self, shared: &Arc<Shared>, reason: &CloseReason);
    fn over_soft_limit(&self, shared: &Arc<Shared>, cost: f64);
    fn over_hard_limit(&self, shared: &Arc<Shared>, cost: f64);
    fn extra_cost(&self, shared: &Arc<Shared>) -> f64;
}

/// The hooks of the application, if it has any.
#[derive(Clone, Default)]
pub(crate) struct InstalledHooks(Option<Arc<dyn SharedHooks>>);

impl InstalledHooks {
    pub(crate) fn new(hooks: impl SharedHooks + 'static) -> Self {
        Self(Some(Arc::new(hooks)))
    }

    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Runs a hook. `None` if there are no hooks, or if it panics.
    pub(crate) fn run<R>(&self, hook: impl FnOnce(&dyn SharedHooks) -> R) -> Option<R> {
        let hooks = self.0.as_deref()?;
        let ran = catch_unwind(AssertUnwindSafe(|| hook(hooks)));
        if ran.is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "a hook of a session panicked");
        }
        ran.ok()
    }
}

impl fmt::Debug for InstalledHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Hooks" } else { "no hooks" })
    }
}

/// An id that no other session of this process has.
pub(crate) fn next_session_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Shared {
    pub(crate) fn new(new: NewShared) -> Arc<Self> {
        let protocol =
            Connection::of(new.version).with_limits(new.limits.batch_length, new.limits.reply_size);
        let state = State {
            phase: Phase::Open,
            calls: Calls::new(protocol, new.cancelling),
            requests: Requests::new(),
            outbox: Outbox::new(&*new.framer),
            subscribers: OnDemand::default(),
            subscriptions: OnDemand::default(),
            deadline: Deadline::default(),
            facts: Flags::default(),
            takes_notices: new.takes.notices,
            takes_closing: new.takes.closing,
            cost: OwnCost::new(),
            unjudged: Vec::new(),
        };
        Arc::new(Self {
            guarded: Guarded::new(state),
            capacity: Capacity::default(),
            capacity_made: Notify::new(),
            requests_changed: Notify::new(),
            closed: Notify::new(),
            numbers: Numbers::default(),
            call_limiter: OnceLock::new(),
            full_channels: FullChannels::default(),
            handles: AtomicUsize::new(0),
            counters: Counters::new(),
            limits: LiveLimits::new(&new.limits),
            group: new.group,
            users_framer: Some(new.framer).filter(|framer| !framer.is_own()),
            serves: new.serves,
            id: new.id,
            peer: new.peer,
            notices: new.notices,
            hooks: new.hooks,
            extensions: new.extensions,
            carries_messages: new.carries_messages,
            runtime: new.runtime,
        })
    }

    /// Changes the state, and applies the effects once the lock is released.
    ///
    /// This is the only lock for a change. It publishes the hints and wakes the loop if that is
    /// due: see [`Guarded`]. `change` must not block, run user code, or call this again.
    #[inline]
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = self.guarded.with(|state| change(state, &mut effects));
        if let Some(tells) = effects.apply() {
            self.tell(tells);
        }
        result
    }

    #[cold]
    fn tell(&self, tells: Tells) {
        if tells.senders_look_again {
            self.wake_all_senders();
        }
        if tells.requests_changed {
            self.requests_changed.notify_waiters();
        }
        if tells.is_gone {
            self.closed.notify_waiters();
        }
    }

    /// Reads the state.
    #[inline]
    pub(crate) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.guarded.read(look)
    }

    pub(super) const fn hints(&self) -> &Hints {
        self.guarded.hints()
    }
}

/// Queries that need no lock.
impl Shared {
    /// Whether the session is closing, or has ended.
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        self.hints().has(Flags::ENDING)
    }

    /// Whether the peer has said that it shuts down.
    pub(crate) fn is_peer_closing(&self) -> bool {
        self.hints().has(Flags::PEER_CLOSING)
    }

    /// The number of bytes that handles have queued and the loop has not taken.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.hints().queued()
    }

    /// Whether items for the peer's subscribers wait to be sent.
    #[inline]
    pub(crate) fn has_items(&self) -> bool {
        self.hints().has(Flags::ITEMS)
    }

    /// Whether a notification may be an item of a subscription of this side.
    #[inline]
    pub(crate) fn subscribes(&self) -> bool {
        self.hints().has(Flags::SUBSCRIBES)
    }

    /// Whether a notification may be for a listener.
    #[inline]
    pub(crate) fn listens(&self) -> bool {
        self.hints().has(Flags::LISTENS)
    }

    /// Whether a notification that is an item can only be one of a subscription.
    #[inline]
    pub(crate) fn only_subscribes(&self) -> bool {
        self.subscribes() && !self.listens() && !self.hints().has(Flags::REPORTS)
    }

    /// Whether messages wait for a full check, since an item in them is not valid JSON.
    #[inline]
    pub(crate) fn has_unjudged(&self) -> bool {
        self.hints().has(Flags::UNJUDGED)
    }

    /// Whether a full channel of a subscription stops the session from reading.
    #[inline]
    pub(crate) fn has_full_channels(&self) -> bool {
        self.full_channels.any()
    }

    pub(in crate::session) const fn full_channels(&self) -> &FullChannels {
        &self.full_channels
    }
}

/// The loop, and its wake-ups.
impl Shared {
    /// Registers the waker of the loop.
    pub(crate) fn register(&self, driver: &Waker) {
        self.guarded.register(driver);
    }

    /// Wakes the loop.
    pub(crate) fn wake(&self) {
        self.guarded.wake();
    }

    /// The earliest deadline of any call or request, if it moved since the last look.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.hints().has(Flags::DEADLINE) {
            true => self.with(|state, _| state.deadline.look()),
            false => None,
        }
    }

    /// Frees memory that only large messages needed.
    pub(crate) fn trim(&self) {
        self.with(|state, _| state.outbox.trim());
    }

    /// Whether at most one call and no request is in flight, so that waiting before a write cannot
    /// coalesce anything.
    pub(crate) fn is_alone(&self) -> bool {
        self.read(|state| state.calls.protocol.len() <= 1 && state.requests.len() == 0)
    }

    /// Whether nothing is left to do for the peer: no handler runs, and no message is queued.
    pub(crate) fn is_idle(&self) -> bool {
        self.read(|state| state.requests.permits() == 0 && state.outbox.len() == 0)
    }

    /// Whether a call, request or subscription of either side is in flight, or shielded work;
    /// `pings` calls in flight are not counted.
    pub(crate) fn is_busy(&self, pings: usize) -> bool {
        self.read(|state| {
            let calls = state.calls.protocol.len().saturating_sub(pings);
            calls + state.requests.permits() + state.subscribers.len() + state.subscriptions.len() > 0
        })
    }
}

/// Numbers that are assigned without the lock.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The number of the request that is being started, 0 if it has no context. This field and the
    /// next one are written only by the loop, which starts requests one after the other.
    pub(super) starting: AtomicU64,
    pub(super) last: AtomicU64,
    /// The last token of a call that asks for progress reports.
    tokens: AtomicU64,
}

impl Numbers {
    pub(super) fn next_token(&self) -> Token {
        Token::of(self.tokens.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Cost and limits. The loop charges for what the peer does, and the application for its own
/// reasons.
impl Shared {
    /// Charges the session and its group. Returns the cost: the higher one of the two.
    pub(crate) fn add_cost(&self, amount: f64, now: Instant) -> f64 {
        let forgiven = self.limits.cost_forgiven_per_second();
        let own = self.with(|state, _| state.cost.add(amount, forgiven, now));
        own.max(self.group.charge(amount, now))
    }

    /// The cost at the start of the session, which is that of its group.
    pub(crate) fn first_cost(&self) -> f64 {
        if self.group.is_some() { self.group.charge(0.0, Instant::now()) } else { 0.0 }
    }

    /// Leaves the group at the end of the session, after charging `rest`.
    pub(crate) fn leave_group(&self, rest: f64) {
        if self.group.is_some() {
            self.add_cost(rest, Instant::now());
            self.group.leave();
        }
    }

    /// Charges an amount of the application's.
    pub(in crate::session) fn add_application_cost(&self, amount: f64, now: Instant) {
        self.add_cost(amount, now);
        self.with(|state, _| {
            if !amount.is_nan() {
                state.cost.by_application += amount;
            }
            state.facts.set(Flags::POLICY);
        });
    }

    pub(crate) fn own_cost(&self, now: Instant) -> CostNow {
        let forgiven = self.limits.cost_forgiven_per_second();
        self.with(|state, _| CostNow {
            cost: state.cost.add(0.0, forgiven, now),
            by_application: state.cost.by_application,
        })
    }

    /// Changes the limits. The loop applies them in its next turn.
    pub(in crate::session) fn set_limits(&self, limits: &Limits) {
        self.with(|state, _| {
            self.limits.store(limits);
            state.calls.protocol.set_limits(limits.batch_length, limits.reply_size);
            if let Some(subscribers) = state.subscribers.if_made() {
                subscribers.set_limit(limits.outgoing_bytes);
            }
            state.facts.set(Flags::POLICY);
        });
        if let Some(limiter) = self.call_limiter.get() {
            limiter.set_limits(limits);
        }
    }

    /// Makes the loop check the limits again, after a change of the group.
    pub(in crate::session) fn policy_changed(&self) {
        self.with(|state, _| state.facts.set(Flags::POLICY));
    }

    /// Whether the application has added to the cost or changed the limits since the last call.
    #[inline]
    pub(crate) fn take_policy_changed(&self) -> bool {
        self.hints().has(Flags::POLICY) && self.with(|state, _| state.facts.take(Flags::POLICY))
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let (counted, cost) = (self.counters.read(), self.add_cost(0.0, Instant::now()));
        let calls_waiting = self.call_limiter.get().map_or(0, |limiter| limiter.waiting());
        self.read(|state| Statistics {
            cost,
            bytes_unsent: self.waiting_bytes(),
            requests_in_flight: state.requests.len() + counted.requests_waiting,
            calls_in_flight: state.calls.in_flight(),
            calls_waiting,
            subscriptions_served: state.subscribers.len(),
            subscriptions: state.subscriptions.len(),
            ..counted
        })
    }
}
