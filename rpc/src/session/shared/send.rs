//! Sending on the shared state: messages of the handles, which are told at once of an error,
//! messages of the session itself, and the loop that takes both.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use tokio::sync::futures::Notified;

use super::{
    guarded::Flags,
    state::{Phase, State},
    value::Shared,
};
use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{Body, CallId, Connection, Unsupported, subscription},
    session::{
        CloseReason,
        call_limiter::{CallLimiter, CallPermit},
        calls::{InFlight, Timeout},
        effects::Effects,
        outbox::ToFrame,
        reply_slot::ReplySlot,
        subscriptions::PendingSubscription,
        write_buffer::{Position, Unsent, WriteBuffer, put_framed},
    },
};

/// A call of a batch: its reply slot and its timeout.
pub(in crate::session) type Awaited = (Arc<ReplySlot>, Option<Timeout>);

/// The reason why a message was not accepted for sending.
#[derive(Debug)]
pub(in crate::session) enum Refused {
    Closed(CloseReason),
    /// Sending may be tried again when there is capacity.
    Full,
    /// Sending may be tried again with a permit of this limiter.
    NoPermit(Arc<CallLimiter>),
    /// The protocol version does not support it.
    Unsupported(Unsupported),
    /// It does not fit into a frame.
    Frame(FrameError),
}

/// Messages of the handles.
impl Shared {
    /// Appends a request.
    pub(in crate::session) fn send_request(
        &self,
        body: Body<'_>,
        slot: &Arc<ReplySlot>,
        timeout: Option<Timeout>,
        permit: &mut Option<CallPermit>,
    ) -> Result<CallId, Refused> {
        self.send(
            Self::admit_call,
            |protocol, out, position| protocol.request(out, body, InFlight::new(position, slot, timeout)),
            |state, &id| {
                state.expect(timeout);
                state.calls.attach_permit(permit, id, 1);
            },
            State::forget_call,
        )
    }

    /// Appends a request for whose reply no task waits.
    pub(in crate::session) fn send_ping(
        &self,
        body: Body<'_>,
        slot: &Arc<ReplySlot>,
        timeout: Option<Timeout>,
    ) -> Result<CallId, Refused> {
        self.send(
            Self::admit_call,
            |protocol, out, position| {
                protocol.request(out, body, InFlight::unawaited(position, slot, timeout))
            },
            |state, _| state.expect(timeout),
            State::forget_call,
        )
    }

    /// Appends the request that begins a subscription.
    pub(in crate::session) fn send_subscribe(
        &self,
        body: Body<'_>,
        slot: &Arc<ReplySlot>,
        timeout: Option<Timeout>,
        pending: &Arc<PendingSubscription>,
        permit: &mut Option<CallPermit>,
    ) -> Result<CallId, Refused> {
        self.send(
            Self::admit_call,
            |protocol, out, position| {
                let call = InFlight::new(position, slot, timeout).pending(pending);
                let sent = protocol.request(out, body, call)?;
                subscription::mark(out);
                Ok(sent)
            },
            |state, &id| {
                state.expect(timeout);
                state.facts.set(Flags::SUBSCRIBES.and(Flags::REPORTS.when(pending.work().is_some())));
                state.subscriptions.begin_pending(pending);
                pending.sent(id);
                state.calls.attach_permit(permit, id, 1);
            },
            State::forget_call,
        )
    }

    /// Appends a batch: members with a slot are calls, those without are notifications. Returns the
    /// ids of the calls.
    pub(in crate::session) fn send_batch(
        &self,
        members: Vec<(Body<'_>, Option<Awaited>)>,
        permit: &mut Option<CallPermit>,
    ) -> Result<Vec<CallId>, Refused> {
        let timeouts = members.iter().filter_map(|(_, call)| call.as_ref()?.1);
        let first_timeout = timeouts.min_by_key(|timeout| timeout.at);
        self.send(
            Self::admit_call,
            |protocol, out, position| {
                let in_flight = |(slot, timeout): Awaited| InFlight::new(position, &slot, timeout);
                protocol.batch(out, members.into_iter().map(|(body, call)| (body, call.map(in_flight))))
            },
            |state, ids| {
                state.expect(first_timeout);
                if let Some(&first) = ids.first() {
                    state.calls.attach_permit(permit, first, ids.len());
                }
            },
            |state, effects, ids| ids.into_iter().for_each(|id| state.forget_call(effects, id)),
        )
    }

    /// Appends a notification.
    pub(in crate::session) fn send_notification(&self, body: Body<'_>) -> Result<(), Refused> {
        self.send(
            Self::admit_call,
            |protocol, out, _| protocol.notification(out, body),
            |_, ()| {},
            |_, _, ()| {},
        )
    }

    /// Appends a message of the application's own protocol.
    pub(in crate::session) fn send_message(&self, message: &[u8]) -> Result<(), Refused> {
        let write = |_: &mut Connection<InFlight>, out: &mut Vec<u8>, _| {
            out.extend_from_slice(message);
            Ok(())
        };
        self.send(Self::admit_message, write, |_, ()| {}, |_, _, ()| {})
    }

    /// Takes a permit for a call or a batch, if calls in flight are limited.
    pub(in crate::session) fn take_call_permit(
        &self,
        permit: &mut Option<CallPermit>,
    ) -> Result<(), Refused> {
        if permit.is_some() || self.limits.calls_in_flight() == usize::MAX {
            return Ok(());
        }
        let limiter = self.call_limiter.get_or_init(|| CallLimiter::new(&self.limits.load()));
        *permit = Some(limiter.try_acquire().ok_or_else(|| Refused::NoPermit(Arc::clone(limiter)))?);
        Ok(())
    }

    fn admit_call(&self, state: &State) -> Result<(), Refused> {
        if self.carries_messages {
            return Err(Refused::Unsupported(Unsupported::Calls));
        }
        self.admit_message(state)
    }

    fn admit_message(&self, state: &State) -> Result<(), Refused> {
        if let Some(reason) = state.phase.reason() {
            return Err(Refused::Closed(reason.clone()));
        }
        if state.facts.has(Flags::PEER_CLOSING) {
            return Err(Refused::Closed(CloseReason::Shutdown));
        }
        if !self.has_or_wants_capacity() {
            return Err(Refused::Full);
        }
        Ok(())
    }

    /// Sends one message: `admit` checks whether it may be sent, `write` appends it, and `sent`
    /// records it. If it does not fit into a frame, `forget` undoes the effects of `write`.
    #[inline]
    fn send<R>(
        &self,
        admit: impl FnOnce(&Self, &State) -> Result<(), Refused>,
        write: impl FnOnce(&mut Connection<InFlight>, &mut Vec<u8>, Position) -> Result<R, Unsupported>,
        sent: impl FnOnce(&mut State, &R),
        forget: impl FnOnce(&mut State, &mut Effects, R),
    ) -> Result<R, Refused> {
        if let Some(framer) = &self.users_framer {
            return self.send_framed(&**framer, admit, write, sent, forget);
        }
        self.with(|state, effects| {
            admit(self, state)?;
            let position = state.outbox.position();
            let State { calls, outbox, .. } = state;
            match outbox.notice(|out| write(&mut calls.protocol, out, position)) {
                Ok(written) => {
                    sent(state, &written);
                    Ok(written)
                }
                Err(unsent) => Err(refused(unsent, |written| forget(state, effects, written))),
            }
        })
    }

    /// The same with a user's framer, which must not run under the lock. Between being written and
    /// being appended, the message is owned by this function alone.
    #[cold]
    fn send_framed<R>(
        &self,
        framer: &dyn AnyFramer,
        admit: impl FnOnce(&Self, &State) -> Result<(), Refused>,
        write: impl FnOnce(&mut Connection<InFlight>, &mut Vec<u8>, Position) -> Result<R, Unsupported>,
        sent: impl FnOnce(&mut State, &R),
        forget: impl FnOnce(&mut State, &mut Effects, R),
    ) -> Result<R, Refused> {
        let mut message = Vec::new();
        let written = self.with(|state, _| {
            admit(self, state)?;
            let position = state.outbox.position();
            write(&mut state.calls.protocol, &mut message, position).map_err(Refused::Unsupported)
        })?;
        let mut framed = Vec::new();
        let put = catch_unwind(AssertUnwindSafe(|| {
            put_framed(framer, &mut framed, |out| out.extend_from_slice(&message))
        }));
        self.with(|state, effects| match put {
            Ok(Ok(())) => {
                state.outbox.framed(&framed);
                sent(state, &written);
                Ok(Ok(written))
            }
            Ok(Err(error)) => {
                forget(state, effects, written);
                Ok(Err(Refused::Frame(error)))
            }
            Err(panic) => {
                forget(state, effects, written);
                Err(panic)
            }
        })
        .unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Messages of the session itself. If the framer is the user's, the loop frames them when it takes
/// them.
impl State {
    /// Appends a request.
    pub(super) fn append_request(
        &mut self,
        effects: &mut Effects,
        body: Body<'_>,
        call: InFlight,
    ) -> Result<CallId, Refused> {
        let Self { calls, outbox, .. } = self;
        let appended = outbox.notice(|out| calls.protocol.request(out, body, call));
        appended.map_err(|unsent| refused(unsent, |id| self.forget_call(effects, id)))
    }

    /// Appends a notification.
    pub(super) fn append_notification(&mut self, body: Body<'_>) -> Result<(), Refused> {
        let Self { calls, outbox, .. } = self;
        outbox.notice(|out| calls.protocol.notification(out, body)).map_err(|unsent| refused(unsent, |()| {}))
    }

    /// The call was not sent, so no reply will come.
    fn forget_call(&mut self, effects: &mut Effects, call: CallId) {
        effects.drop_later(self.calls.protocol.take(call));
    }

    /// Makes the loop check the deadlines when this timeout is over.
    #[inline]
    pub(super) fn expect(&mut self, timeout: Option<Timeout>) {
        if let Some(Timeout { at, .. }) = timeout {
            self.deadline.expect(at);
        }
    }
}

#[cold]
fn refused<R>(unsent: Unsent<R, Unsupported>, forget: impl FnOnce(R)) -> Refused {
    match unsent {
        Unsent::Unwritten(unsupported) => Refused::Unsupported(unsupported),
        Unsent::Unframed(written, error) => {
            forget(written);
            Refused::Frame(error)
        }
    }
}

/// The loop takes the messages.
impl Shared {
    /// Moves the queued messages to the end of `buffer`. Items of subscriptions are moved if
    /// nothing else is queued. False if the session has ended, and its queued messages are not
    /// written.
    pub(crate) fn take_queued(&self, buffer: &mut WriteBuffer) -> bool {
        let taken = self.with(|state, effects| {
            let version = state.calls.version();
            if let Phase::Ended(reason) = &state.phase
                && !reason.lets_leave()
            {
                // Their callers were told that nothing was sent.
                return None;
            }
            if state.outbox.len() == 0 {
                state.gather_items(effects);
            }
            let to_frame = state.outbox.take_into(buffer);
            // The bytes still wait: at any time they are counted in one of the two buffers.
            let unframed = to_frame.as_ref().map_or(0, ToFrame::len);
            self.capacity.set_unwritten(buffer.unwritten().len() + unframed);
            Some((to_frame, version))
        });
        let Some((to_frame, version)) = taken else { return false };
        if let Some(to_frame) = to_frame {
            to_frame.frame_into(buffer, version);
            self.capacity.set_unwritten(buffer.unwritten().len());
        }
        true
    }
}

/// Back-pressure on senders: see [`Capacity`](super::guarded::Capacity).
impl Shared {
    /// Bytes that wait to be sent.
    #[inline]
    pub(super) fn waiting_bytes(&self) -> usize {
        self.capacity.waiting(self.queued())
    }

    /// Whether there is capacity for a further message.
    #[inline]
    pub(crate) fn has_capacity(&self) -> bool {
        self.waiting_bytes() < self.limits.outgoing_bytes()
    }

    /// Whether there is capacity; if not, the loop learns that a sender waits for it.
    #[inline]
    pub(super) fn has_or_wants_capacity(&self) -> bool {
        self.capacity.has_or_wants(|| self.has_capacity())
    }

    /// Completes when the loop has made capacity. A wake-up before the first poll is not missed.
    pub(in crate::session) fn capacity_made(&self) -> Notified<'_> {
        self.capacity_made.notified()
    }

    /// Sets the number of bytes that the loop has not written yet.
    pub(crate) fn set_unwritten(&self, bytes: usize) {
        self.capacity.set_unwritten(bytes);
        if self.capacity.made(|| self.has_capacity()) {
            self.capacity_made.notify_one();
        }
    }

    /// Called by a sender that has waited: senders are woken one at a time, and each wakes the
    /// next. If it took the last capacity, the loop wakes the next one when it has made some.
    pub(in crate::session) fn wake_next_sender(&self) {
        if self.has_or_wants_capacity() {
            self.capacity_made.notify_one();
        }
    }

    /// Wakes all waiting senders, and leaves a permit for one that is about to wait, which wakes
    /// the next.
    pub(super) fn wake_all_senders(&self) {
        self.capacity.wake_all();
        self.capacity_made.notify_waiters();
        self.capacity_made.notify_one();
    }
}
