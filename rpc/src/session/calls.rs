//! The calls in flight: which task waits for which reply, until when, and how calls are cancelled.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    call_limiter::CallPermit, reply_slot::ReplySlot, subscriptions::PendingSubscription,
    write_buffer::Position,
};
use crate::{
    jsonrpc::{CallId, CancelBy, Cancellation, Connection, Reply, version::Version},
    limits::deadline,
    transport::Takes,
};

/// The calls of this side that have no reply yet.
#[derive(Debug)]
pub(crate) struct Calls {
    /// The protocol machine: it has the ids of the calls, and the batches of both sides.
    pub(crate) protocol: Connection<InFlight>,
    cancelling: Cancelling,
}

/// A call that has no reply yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(super) slot: Arc<ReplySlot>,
    timeout: Option<Timeout>,
    /// The position of its message in the write buffer.
    pub(super) position: Position,
    /// Set if the reply begins a subscription.
    pub(super) pending: Option<Arc<PendingSubscription>>,
    /// Released when the call ends.
    pub(super) permit: Option<CallPermit>,
    /// False for a call whose reply no task waits for: a ping, an unsubscribe, or the question
    /// whether calls can be cancelled.
    pub(super) awaited: bool,
}

impl InFlight {
    /// A call whose message is appended at `position`.
    pub(super) fn new(position: Position, slot: &Arc<ReplySlot>, timeout: Option<Timeout>) -> Self {
        Self { slot: Arc::clone(slot), timeout, position, pending: None, permit: None, awaited: true }
    }

    /// A call whose reply no task waits for.
    pub(super) fn unawaited(position: Position, slot: &Arc<ReplySlot>, timeout: Option<Timeout>) -> Self {
        Self { awaited: false, ..Self::new(position, slot, timeout) }
    }

    /// The same call, whose reply begins a subscription.
    pub(super) fn pending(self, pending: &Arc<PendingSubscription>) -> Self {
        Self { pending: Some(Arc::clone(pending)), ..self }
    }

    /// Whether a task waits for the reply. A call without one (a ping, an unsubscribe) is not ended
    /// by an error with the id null: see [`Connection::refused`].
    pub(crate) fn has_caller(&self) -> bool {
        self.awaited && self.pending.as_deref().is_none_or(|pending| !pending.is_abandoned())
    }

    /// Ends the call with `reply`.
    pub(crate) fn complete(self, reply: Reply) {
        ReplySlot::complete(self.slot, Ok(reply));
    }

    /// Whether a task waits for the reply, and the reply may come while reading is stopped. The
    /// reply to work whose own reports fill their channel stands behind those reports.
    fn is_awaited(&self) -> bool {
        self.has_caller() && self.pending.as_deref().is_none_or(|pending| !pending.channel.holds_reply_back())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeout {
    pub(super) at: Instant,
    /// The duration of the timeout when the call was made.
    pub(super) after: Duration,
    /// The deadline of the call, which no progress report extends.
    pub(super) latest: Option<Instant>,
}

impl Timeout {
    /// A timeout of `after` from `now` on; `None` if that is beyond the range of the clock.
    pub(super) fn after(now: Instant, after: Duration) -> Option<Self> {
        Some(Self { at: deadline::after(now, after)?, after, latest: None })
    }
}

/// How calls are cancelled, as far as it is known.
#[derive(Debug)]
pub(crate) enum Cancelling {
    /// Calls are not cancelled: the peer does not support it, or it is switched off.
    Never,
    /// By the configured notification.
    Chosen(Arc<Cancellation>),
    /// By [`Cancellation::RPC`].
    Known,
    /// It is not known: the peer is asked when a call is first given up.
    Unknown,
    Asked(Box<Asked>),
}

/// The peer was asked whether it supports cancellation, and has not answered.
#[derive(Debug)]
pub(crate) struct Asked {
    by: CallId,
    /// The calls that were given up since.
    given_up: Vec<CallId>,
}

/// The number of calls given up meanwhile that are remembered, to be cancelled later.
const REMEMBERED: usize = 1_024;

impl Cancelling {
    /// `peer` is the peer's answer in a handshake, if there was one.
    pub(crate) fn new(configured: &CancelBy, version: Version, peer: Option<Takes>) -> Self {
        match (configured, peer) {
            (CancelBy::Chosen(cancellation), _) => Self::Chosen(Arc::clone(cancellation)),
            (CancelBy::Nothing, _) => Self::Never,
            (CancelBy::Negotiated, _) if !version.has_named_params() => Self::Never,
            (CancelBy::Negotiated, None) => Self::Unknown,
            (CancelBy::Negotiated, Some(Takes { cancel: true, .. })) => Self::Known,
            (CancelBy::Negotiated, Some(Takes { cancel: false, .. })) => Self::Never,
        }
    }
}

/// The message that cancels a call at the peer.
#[derive(Debug)]
pub(super) enum Withdrawal {
    /// None: the peer does not support it, or is told later.
    Untold,
    /// The configured notification.
    Notify(Arc<Cancellation>),
    /// A notification by [`Cancellation::RPC`].
    NotifyOwn,
    /// A request by [`Cancellation::RPC`]: its reply says whether the peer supports cancellation.
    Ask,
}

/// The calls that were late at one check of the deadlines.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// To be completed with a timeout.
    pub(super) late: Vec<(Arc<ReplySlot>, Duration)>,
    /// Work that has stopped reporting its progress.
    pub(super) silent: Vec<(Arc<PendingSubscription>, Duration)>,
    /// Removed from the calls in flight.
    pub(super) ended: Vec<(CallId, InFlight)>,
}

impl Calls {
    pub(crate) const fn new(protocol: Connection<InFlight>, cancelling: Cancelling) -> Self {
        Self { protocol, cancelling }
    }

    pub(crate) const fn version(&self) -> Version {
        self.protocol.version()
    }

    /// The number of calls of the application in flight, with pings.
    pub(crate) fn in_flight(&self) -> usize {
        self.protocol.len() - usize::from(matches!(self.cancelling, Cancelling::Asked(_)))
    }

    /// Whether a task waits for a reply that may come while reading is stopped.
    pub(crate) fn are_awaited(&self) -> bool {
        self.protocol.calls().any(InFlight::is_awaited)
    }

    /// Attaches the permit to a call that was sent, the first of its batch: it is released when
    /// that call ends.
    pub(super) fn attach_permit(&mut self, permit: &mut Option<CallPermit>, call: CallId, calls: usize) {
        if let Some(permit) = permit.take()
            && let Some(call) = self.protocol.get_mut(call)
        {
            call.permit = Some(permit.sent(calls));
        }
    }

    /// Ends the calls that are late at `now`, and lowers `next` to the earliest deadline of the
    /// others.
    pub(super) fn expire(&mut self, now: Instant, next: &mut Option<Instant>) -> Expired {
        let Expired { mut late, mut silent, .. } = Expired::default();
        let ended = self.protocol.extract_if(|call| {
            // The timeout of work that reports its progress counts from the last report.
            if let (Some(pending), Some(timeout)) = (&call.pending, &mut call.timeout)
                && let Some(alive) = pending.channel.was_alive(now)
                && let Some(again) = Timeout::after(alive, timeout.after)
            {
                let at = timeout.at.max(again.at);
                timeout.at = timeout.latest.map_or(at, |latest| at.min(latest));
            }
            let Some(Timeout { at, after, .. }) =
                call.timeout.filter(|timeout| is_late(timeout.at, now, next))
            else {
                return false;
            };
            late.push((Arc::clone(&call.slot), after));
            match &call.pending {
                Some(pending) if pending.work().is_some() => {
                    silent.push((Arc::clone(pending), after));
                    true
                }
                // If the subscription begins after all, the peer has to be told to end it: the
                // reply gets the same time once more.
                Some(pending) if !pending.is_abandoned() => {
                    pending.abandon();
                    call.timeout = Timeout::after(at, after);
                    call.timeout.is_some_and(|again| is_late(again.at, now, next))
                }
                _ => true,
            }
        });
        Expired { late, silent, ended }
    }

    /// Gives a call up. Returns how the peer is told.
    pub(super) fn give_up(&mut self, call: CallId) -> Withdrawal {
        match &mut self.cancelling {
            Cancelling::Never => Withdrawal::Untold,
            Cancelling::Chosen(cancellation) => Withdrawal::Notify(Arc::clone(cancellation)),
            Cancelling::Known => Withdrawal::NotifyOwn,
            Cancelling::Unknown => Withdrawal::Ask,
            Cancelling::Asked(asked) => {
                if asked.given_up.len() < REMEMBERED {
                    asked.given_up.push(call);
                }
                Withdrawal::Untold
            }
        }
    }

    /// The peer is asked by the request `by`.
    pub(super) fn asked(&mut self, by: CallId) {
        self.cancelling = Cancelling::Asked(Box::new(Asked { by, given_up: Vec::new() }));
    }

    pub(super) fn is_asked_by(&self, call: CallId) -> bool {
        matches!(&self.cancelling, Cancelling::Asked(asked) if asked.by == call)
    }

    /// The peer has answered whether it supports cancellation. Returns the calls that were given up
    /// meanwhile.
    pub(super) fn answered_asking(&mut self, takes: bool) -> Vec<CallId> {
        let answered = if takes { Cancelling::Known } else { Cancelling::Never };
        match std::mem::replace(&mut self.cancelling, answered) {
            Cancelling::Asked(asked) => asked.given_up,
            _ => Vec::new(),
        }
    }

    /// The peer has sent [`Cancellation::RPC`] itself, so it supports it.
    pub(super) fn peer_cancels(&mut self) {
        if matches!(self.cancelling, Cancelling::Unknown) {
            self.cancelling = Cancelling::Known;
        }
    }

    /// The peer's first message has decided the version. True if the configured cancellation cannot
    /// be used with it.
    pub(super) fn decided(&mut self, version: Version) -> bool {
        self.protocol.set_version(version);
        !version.has_named_params()
            && matches!(std::mem::replace(&mut self.cancelling, Cancelling::Never), Cancelling::Chosen(_))
    }

    /// Ends all calls.
    pub(super) fn end(&mut self) -> impl Iterator<Item = InFlight> + use<> {
        self.cancelling = Cancelling::Never;
        self.protocol.drain()
    }
}

/// Whether a deadline has passed; otherwise `next` is lowered to it.
pub(super) fn is_late(deadline: Instant, now: Instant, next: &mut Option<Instant>) -> bool {
    let is_late = deadline <= now;
    if !is_late {
        *next = Some(next.map_or(deadline, |next| next.min(deadline)));
    }
    is_late
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Body, Protocol, RefusedCall};

    fn calls(cancelling: Cancelling) -> Calls {
        Calls::new(Connection::new(Protocol::V2), cancelling)
    }

    fn call(calls: &mut Calls, timeout: Option<Timeout>) -> CallId {
        let (mut text, mut out) = (Vec::new(), Vec::new());
        let Ok(body) = Body::write(&mut text, "m", |_| Ok::<_, std::convert::Infallible>(()));
        let call = InFlight::new(Position::default(), &ReplySlot::waiting(None), timeout);
        calls.protocol.request(&mut out, body, call).unwrap()
    }

    #[test]
    fn late_calls_end_and_the_next_deadline_is_that_of_the_others() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut calls = calls(Cancelling::Never);
        let ids = [1, 2, 3].map(|after| call(&mut calls, Timeout::after(now, after * second)));
        call(&mut calls, None);
        let mut next = None;
        let expired = calls.expire(now + second, &mut next);
        assert_eq!(expired.ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[0]]);
        assert_eq!(expired.late.len(), 1);
        assert_eq!(next, Some(now + 2 * second));
        assert_eq!(calls.in_flight(), 3);
    }

    #[test]
    fn a_peer_that_may_not_know_cancellations_is_asked_once() {
        let mut calls = calls(Cancelling::Unknown);
        let ids = [(); 4].map(|()| call(&mut calls, None));
        assert!(matches!(calls.give_up(ids[0]), Withdrawal::Ask));
        calls.asked(ids[3]);
        assert!(calls.is_asked_by(ids[3]) && !calls.is_asked_by(ids[0]));
        assert_eq!(calls.in_flight(), 3, "the question is no call of the application");
        assert!(matches!(calls.give_up(ids[1]), Withdrawal::Untold));
        assert_eq!(calls.answered_asking(true), [ids[1]]);
        assert!(matches!(calls.give_up(ids[2]), Withdrawal::NotifyOwn));
    }

    #[test]
    fn a_peer_that_does_not_know_cancellations_is_told_nothing_more() {
        let mut calls = calls(Cancelling::Unknown);
        let (given_up, by) = (call(&mut calls, None), call(&mut calls, None));
        assert!(matches!(calls.give_up(given_up), Withdrawal::Ask));
        calls.asked(by);
        assert!(calls.answered_asking(false).is_empty());
        assert!(matches!(calls.give_up(given_up), Withdrawal::Untold));
        // It does not know them, whatever comes.
        calls.peer_cancels();
        assert!(matches!(calls.give_up(given_up), Withdrawal::Untold));
    }

    #[test]
    fn a_version_without_named_params_has_no_cancellations() {
        let chosen = || Cancelling::Chosen(Arc::new(Cancellation::RPC));
        assert!(!calls(chosen()).decided(Version::V2));
        let mut calls = calls(chosen());
        assert!(calls.decided(Version::new(Protocol::V1)));
        let given_up = call(&mut calls, None);
        assert!(matches!(calls.give_up(given_up), Withdrawal::Untold));
    }

    #[test]
    fn an_error_to_no_call_ends_none_beside_a_ping() {
        let mut calls = calls(Cancelling::Never);
        let only = call(&mut calls, None);
        let refused =
            |calls: &mut Calls| calls.protocol.refused(&Reply::malformed("no"), InFlight::has_caller);
        assert!(matches!(refused(&mut calls), RefusedCall::Call(call) if call == only));
        let ping = call(&mut calls, None);
        calls.protocol.get_mut(ping).unwrap().awaited = false;
        calls.protocol.take(only);
        assert!(matches!(refused(&mut calls), RefusedCall::Unknown), "it may be the ping that was refused");
    }
}
