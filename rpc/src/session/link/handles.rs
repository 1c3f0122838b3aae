//! The side of the link that the handles use: sending, forgetting, closing.

use std::sync::{Arc, atomic::Ordering};

use tokio::{sync::Notify, task::AbortHandle};

use super::{InFlight, Link, Locked, Phase, State, Timeout};
use crate::{
    framing::FrameError,
    jsonrpc::{Body, CallId, Connection, Unsupported},
    session::{
        CloseReason,
        feed::{Feed, Feeds},
        places::{Place, Places},
        slot::Slot,
    },
};

impl State {
    /// A call was sent, or a batch of which it is the first: it gives the place back when it ends.
    pub(super) fn take_place(&mut self, place: &mut Option<Place>, call: CallId, calls: usize) {
        if let Some(place) = place.take()
            && let Some(call) = self.connection.get_mut(call)
        {
            call.place = Some(place.sent(calls));
        }
    }
}

impl Link {
    pub(in crate::session) const fn room(&self) -> &Notify {
        &self.room
    }

    /// Appends a request, whose method and parameters are written.
    pub(in crate::session) fn send_request(
        &self,
        body: Body<'_>,
        slot: &Arc<Slot>,
        timeout: Option<Timeout>,
        place: &mut Option<Place>,
    ) -> Result<CallId, Refused> {
        let mut state = self.admit()?;
        if let Some(Timeout { at, .. }) = timeout {
            self.expect(&mut state, at);
        }
        let call = InFlight::new(state.outbox.position(), slot, timeout);
        let (id, mut state) = self.append_request(state, body, call)?;
        state.take_place(place, id, 1);
        self.appended(state);
        Ok(id)
    }

    /// The same for a call whose reply no task waits for.
    pub(in crate::session) fn send_ping(
        &self,
        body: Body<'_>,
        slot: &Arc<Slot>,
        timeout: Option<Timeout>,
    ) -> Result<CallId, Refused> {
        let mut state = self.admit()?;
        if let Some(Timeout { at, .. }) = timeout {
            self.expect(&mut state, at);
        }
        let ping = InFlight::unawaited(state.outbox.position(), slot, timeout);
        let (id, state) = self.append_request(state, body, ping)?;
        self.appended(state);
        Ok(id)
    }

    /// A place for calls that are about to be sent, where there are to be so many only.
    pub(in crate::session) fn find_place(&self, place: &mut Option<Place>) -> Result<(), Refused> {
        if place.is_some() || self.limits.calls_in_flight() == usize::MAX {
            return Ok(());
        }
        let places = self.places.get_or_init(|| Places::new(&self.limits.load()));
        *place = Some(places.take().ok_or_else(|| Refused::NoPlace(Arc::clone(places)))?);
        Ok(())
    }

    /// Appends a notification, whose method and parameters are written.
    pub(in crate::session) fn send_notification(&self, body: Body<'_>) -> Result<(), Refused> {
        let state = self.admit()?;
        let notification =
            |connection: &mut Connection<InFlight>, out: &mut Vec<u8>| connection.notification(out, body);
        let ((), state) = self.append(state, notification, |_, ()| {})?;
        self.appended(state);
        Ok(())
    }

    /// Appends a message of the application's own, which is written.
    pub(in crate::session) fn send_message(&self, message: &[u8]) -> Result<(), Refused> {
        let state = self.admit_message()?;
        let write = |_: &mut Connection<InFlight>, out: &mut Vec<u8>| {
            out.extend_from_slice(message);
            Ok(())
        };
        let ((), state) = self.append(state, write, |_, ()| {})?;
        self.appended(state);
        Ok(())
    }

    /// Appends a batch: members with a slot are calls, those without are notifications. Gives the ids of the calls.
    pub(in crate::session) fn send_batch(
        &self,
        members: Vec<(Body<'_>, Option<Awaited>)>,
        place: &mut Option<Place>,
    ) -> Result<Vec<CallId>, Refused> {
        let mut state = self.admit()?;
        let first_timeout = members.iter().filter_map(|(_, call)| Some(call.as_ref()?.1?.at)).min();
        if let Some(at) = first_timeout {
            self.expect(&mut state, at);
        }
        let position = state.outbox.position();
        let members = members
            .into_iter()
            .map(|(body, call)| (body, call.map(|(slot, timeout)| InFlight::new(position, &slot, timeout))));
        let batch = |connection: &mut Connection<InFlight>, out: &mut Vec<u8>| connection.batch(out, members);
        let (ids, mut state) = self.append(state, batch, |state, ids: Vec<CallId>| {
            ids.into_iter().for_each(|id| state.forget_call(id));
        })?;
        if let Some(&first) = ids.first() {
            state.take_place(place, first, ids.len());
        }
        self.appended(state);
        Ok(ids)
    }

    pub(super) fn admit(&self) -> Result<Locked<'_>, Refused> {
        if self.carries_messages {
            return Err(Refused::Unsupported(Unsupported::Calls));
        }
        self.admit_message()
    }

    fn admit_message(&self) -> Result<Locked<'_>, Refused> {
        let state = self.lock();
        if let Some(reason) = state.phase.reason() {
            return Err(Refused::Closed(reason.clone()));
        }
        if self.is_peer_closing() {
            return Err(Refused::Closed(CloseReason::Shutdown));
        }
        if !self.has_room_or_tells() {
            return Err(Refused::Full);
        }
        Ok(state)
    }

    /// Whether there is room; if not, the loop is told that somebody waits for it.
    pub(super) fn has_room_or_tells(&self) -> bool {
        if self.has_room() {
            return true;
        }
        // Said first and looked at again: either the loop sees that somebody waits, or this sees the room that it made.
        self.full.store(true, Ordering::SeqCst);
        self.has_room()
    }

    /// Called by a sender that had waited: senders are woken one at a time, and each wakes the next. Where it took the last room,
    /// the loop does when it has made some.
    pub(in crate::session) fn wake_next_sender(&self) {
        if self.has_room_or_tells() {
            self.room.notify_one();
        }
    }

    /// See [`Session::close`](crate::Session::close).
    pub(crate) fn start_close(&self, reason: CloseReason) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            if matches!(reason, CloseReason::Shutdown) {
                self.tell_closing(&mut state);
            }
            state.phase = Phase::Closing(reason.clone());
            self.ending.store(true, Ordering::Release);
            // A stream may have no end that could be waited for.
            let streams = state.feeds.if_made().map(Feeds::clear_streams).unwrap_or_default();
            // What was sent still leaves.
            self.end_calls(state, &reason, |_| true);
            streams.iter().filter_map(Feed::task).for_each(AbortHandle::abort);
            self.driver.wake();
        }
    }

    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open | Phase::Closing(_)) {
            state.phase = Phase::Ended(reason.clone());
            self.ending.store(true, Ordering::Release);
            // Unless it still leaves, the loop takes no more of it.
            let (loads, leaves) = (state.outbox.position().load, reason.lets_leave());
            self.end_calls(state, &reason, |position| leaves || position.load != loads);
            self.work_changed();
            self.driver.wake();
        }
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        loop {
            let mut changed = std::pin::pin!(self.closed.notified());
            changed.as_mut().enable();
            if let Phase::Gone(reason) = &self.lock().phase {
                return reason.clone();
            }
            changed.await;
        }
    }
}

/// A call of a batch: where its reply will be, and until when.
pub(in crate::session) type Awaited = (Arc<Slot>, Option<Timeout>);

/// Why a message was not accepted for sending.
#[derive(Debug)]
pub(in crate::session) enum Refused {
    Closed(CloseReason),
    /// It may be tried again when there is room.
    Full,
    /// It may be tried again with one of these places.
    NoPlace(Arc<Places>),
    /// The version that is spoken has no way to say it.
    Unsupported(Unsupported),
    /// It does not fit into a frame.
    Frame(FrameError),
}
