//! From frames to messages, and from messages to their receivers: replies to calls, items to
//! subscriptions, cancellations to requests in flight, requests to the dispatcher.

use std::sync::Arc;

use super::session_loop::{Driver, Flow};
use crate::{
    jsonrpc::{
        Cancellation, Connection, ErrorCode, Events, Id, Lend, Malformed, Member, Message, RefusedCall,
        Reply, ReplyError, Request, Scanned, Step, UncheckedParams, UncheckedRequest, chain,
        shown::brief,
        subscription::{self, About, CLOSING, PlainItem},
        version::Version,
    },
    service::{Dispatched, Removed},
    session::{CloseReason, Ending, InFlight},
};

/// From a frame to its messages.
impl Driver {
    /// Processes one frame. `is_retry` is set if it was blocked before, and is logged already.
    pub(super) fn receive_frame(&mut self, frame: &[u8], is_retry: bool) -> Flow {
        if !is_retry {
            self.wire_log_received(frame);
        }
        if let Some(handler) = &self.message_handler {
            let handler = Arc::clone(handler);
            if self.is_not_text(frame) {
                return Flow::Closing;
            }
            return self.receive_message(&*handler, frame);
        }
        if let Some(version) = self.version.decided_by(frame) {
            self.version_decided(version);
        }
        if let Some(paused) = self.paused.take() {
            return self.process_events(frame, Events::resume(self.version, frame, *paused));
        }
        match self.version.scan(frame) {
            Some(Scanned::Request(request)) => self.receive_scanned(frame, request),
            Some(Scanned::Response(response)) => match Step::<InFlight>::of_response(response) {
                Step::Answer(call, reply) => {
                    self.replies.push(call, reply);
                    Flow::Continue
                }
                step => self.process_step(frame, step),
            },
            None => self.process_events(frame, Events::of(self.version, self.version.read_in_full(frame))),
        }
    }

    /// Processes the events of one message. A batch that is blocked is kept, to be resumed.
    pub(super) fn process_events(&mut self, frame: &[u8], mut events: Events<'_, InFlight>) -> Flow {
        let mut flow = Flow::Continue;
        while let Some(step) = events.step(self) {
            match self.process_step(frame, step) {
                Flow::Continue => {}
                Flow::Blocked => {
                    self.paused = events.pause().map(Box::new);
                    return Flow::Blocked;
                }
                Flow::Closing => {
                    flow = Flow::Closing;
                    events.skip_members();
                }
            }
        }
        flow
    }

    #[inline]
    pub(super) fn process_step(&mut self, frame: &[u8], step: Step<'_, InFlight>) -> Flow {
        match step {
            Step::Request(request) => return self.receive_request(frame, request, None),
            Step::Member(request, member, text) => {
                return self.receive_request(text.as_bytes(), request, Some(member));
            }
            Step::Answer(call, reply) => self.replies.push(call, reply),
            Step::Malformed(malformed, member) => {
                if member.is_none() && self.is_not_text(frame) {
                    return Flow::Closing;
                }
                return self.malformed(&malformed, member);
            }
            Step::Refusal(reply) => self.take_refusal(reply),
            Step::Unmatched(reply) => self.take_unmatched(reply),
            Step::Ended(call, reply) => call.complete(reply),
            Step::BatchEnd(batch) => self.shared.end_batch(batch),
        }
        Flow::Continue
    }

    #[cold]
    fn version_decided(&mut self, version: Version) {
        self.version = version;
        if self.shared.decided(version) {
            tracing::warn!(
                rpc.system.name = "jsonrpc",
                session = self.shared.id,
                "the peer speaks JSON-RPC 1.0, which has no named parameters: calls that are dropped are not taken back"
            );
        }
    }

    /// Aborts the session if the frame is marked as text and is not UTF-8. Returns whether it is.
    fn is_not_text(&mut self, frame: &[u8]) -> bool {
        let Some(error) = self.framer.not_text(frame) else { return false };
        self.shared.abort(CloseReason::Frame(error));
        true
    }

    /// A single message from the scan, with parameters that are not validated.
    fn receive_scanned(&mut self, frame: &[u8], request: UncheckedRequest<'_>) -> Flow {
        if request.id.is_none() {
            if self.must_hold_item(None) {
                return Flow::Blocked;
            }
            if self.take_awaited_item(&request) {
                return Flow::Continue;
            }
        }
        // Items, awaited notifications and cancellations are for the session itself. It does not
        // parse all of the parameters, so they are validated here.
        if self.may_be_for_session(request.id, &request.method) {
            let item = self.plain_item(&request.method, request.params);
            let params = match item {
                Some(_) => request.params.known_as_json(),
                None => match request.params.check() {
                    Some(params) => params,
                    None => return self.process_in_full(frame),
                },
            };
            let request = Request { id: request.id, method: request.method, params };
            if self.take_for_session(&request, item, None) {
                return Flow::Continue;
            }
            return self.serve_or_refuse(&request.into_unchecked(), frame, None);
        }
        if request.id.is_none() && self.take_closing(&request.method) {
            return Flow::Continue;
        }
        match self.serve(&request, frame, None) {
            Some(Dispatched::Refused(error, trace)) => {
                // If the full reader agrees with the scan, the service has seen this request.
                let judged = self.version.read_in_full(frame);
                if !matches!(&judged, Message::Request(again) if again.is_same(&request)) {
                    trace.forget();
                    return self.process_events(frame, Events::of(self.version, judged));
                }
                self.refuse(&request, &error, trace, None)
            }
            dispatched => self.dispatched(dispatched, &request, frame, None),
        }
    }

    /// A request or notification from the full reader; `text` is its JSON.
    fn receive_request(&mut self, text: &[u8], request: Request<'_>, member: Option<Member>) -> Flow {
        if self.must_hold_item(request.id) {
            return Flow::Blocked;
        }
        if self.may_be_for_session(request.id, &request.method) {
            let item = self.plain_item(&request.method, request.params.into());
            if self.take_for_session(&request, item, member) {
                return Flow::Continue;
            }
        } else if member.is_none() && request.id.is_none() && self.take_closing(&request.method) {
            return Flow::Continue;
        }
        self.serve_or_refuse(&request.into_unchecked(), text, member)
    }

    /// Falls back to the full reader, because the scan may have accepted invalid parameters.
    #[cold]
    pub(super) fn process_in_full(&mut self, frame: &[u8]) -> Flow {
        self.process_events(frame, Events::of(self.version, self.version.read_in_full(frame)))
    }

    fn malformed(&mut self, malformed: &Malformed<'_>, member: Option<Member>) -> Flow {
        let Malformed { id, error, answer } = malformed;
        self.shared.log_refused(Some(*id), error);
        if *answer {
            self.answer_error(*id, error, member);
        }
        match error.code() {
            ErrorCode::PARSE_ERROR => self.charge_for_unreadable(),
            _ => self.charge_for_errors(1),
        }
    }
}

/// Items, notifications and cancellations, which the session itself takes.
impl Driver {
    /// Whether the session itself may take the message: as an item of a subscription, an awaited
    /// notification, or a cancellation.
    #[inline]
    fn may_be_for_session(&self, id: Option<Id<'_>>, method: &str) -> bool {
        match id {
            None => {
                self.shared.subscribes()
                    || self.shared.listens()
                    || self.cancellations.is_cancellation(method)
            }
            Some(_) => self.cancellations.is_rpc_cancel(method),
        }
    }

    fn take_for_session(
        &mut self,
        request: &Request<'_>,
        item: Option<PlainItem<'_>>,
        member: Option<Member>,
    ) -> bool {
        self.take_item(request, item)
            || self.take_cancellation(request, member)
            || (member.is_none() && request.id.is_none() && self.take_closing(&request.method))
    }

    /// Fast path: gives the next item of the last-hit subscription to a subscriber that awaits it,
    /// without validation. The subscriber validates the JSON. Returns whether it took the item.
    fn take_awaited_item(&mut self, request: &UncheckedRequest<'_>) -> bool {
        if !self.shared.only_subscribes() {
            return false;
        }
        let Some(item) = subscription::scan(&request.method, request.params) else { return false };
        // A reply in the same read may have begun another subscription with this id.
        self.deliver();
        let queue = self.last_hit.find(item.id()).filter(|queue| queue.is_awaited());
        queue.is_some_and(|queue| {
            !self.dispatch.routes.takes_notifications(&request.method) && queue.give(item.text())
        })
    }

    /// The item in a notification of plain form, if this side has subscriptions.
    fn plain_item<'a>(&self, method: &str, params: UncheckedParams<'a>) -> Option<PlainItem<'a>> {
        let item = || subscription::scan(method, params);
        self.shared.subscribes().then(item)?.filter(|item| item.is_json())
    }

    /// Processes in full the messages whose items a subscriber found to be invalid JSON.
    pub(super) fn process_unjudged(&mut self) {
        for message in self.shared.take_unjudged() {
            // If that closes the session, the loop sees it in the shared state.
            let _: Flow = self.process_in_full(&message);
        }
    }

    /// Back-pressure: an item must wait while a `Wait` subscription is full, unless a call is in
    /// flight.
    fn must_hold_item(&self, id: Option<Id<'_>>) -> bool {
        id.is_none() && self.shared.has_full_channels() && !self.shared.calls_wait()
    }

    /// Delivers an item to its subscription, and a notification to those that await it. Returns
    /// whether one of them took it, and no service takes it too.
    fn take_item(&mut self, request: &Request<'_>, item: Option<PlainItem<'_>>) -> bool {
        let (subscribes, listens) = (self.shared.subscribes(), self.shared.listens());
        if request.id.is_some() || !(subscribes || listens) {
            return false;
        }
        // A reply in the same read may begin the subscription of this item.
        self.deliver();
        let method = &*request.method;
        let reported = subscribes && self.shared.take_report(method, request.params);
        let item = match item.map(PlainItem::into_event) {
            _ if reported || !subscribes => None,
            None => subscription::read(method, request.params),
            plain => plain,
        };
        let taken = reported
            || item.is_some_and(|about| {
                let about = About { id: about.id.filter(|_| self.version.has_positional_items()), ..about };
                self.shared.take_event(&mut self.last_hit, method, &about)
            });
        let listened =
            listens && self.shared.take_notification(method, request.params.as_json().unwrap_or("[]"));
        (taken || listened) && !self.dispatch.routes.takes_notifications(method)
    }

    /// Cancels a request of the peer if this message asks for it; returns whether it does. Takes no
    /// permit, because it frees one.
    fn take_cancellation(&mut self, request: &Request<'_>, member: Option<Member>) -> bool {
        let rpc_cancel;
        let cancellation = if self.cancellations.is_rpc_cancel(&request.method) {
            if self.cancellations.ignores_rpc_cancel() {
                return request.id.is_none();
            }
            self.shared.peer_cancels();
            rpc_cancel = Cancellation::RPC;
            &rpc_cancel
        } else {
            match self.cancellations.notification(&request.method).filter(|_| request.id.is_none()) {
                Some(known) => known,
                None => return false,
            }
        };
        // A missing or unknown id, or one that was answered meanwhile, is not the peer's fault.
        if let Some(id) = cancellation.id(request.params) {
            let answers = cancellation.answers();
            self.cancel(id, answers);
        }
        match (request.id, member) {
            (None, _) => {}
            (Some(id), None) => self.reply_writer().null(id),
            (Some(id), Some(member)) => {
                let (_, mut sink) = self.dispatcher();
                sink.member().null(id);
                sink.add_member_reply(member, id);
            }
        }
        true
    }

    fn cancel(&mut self, id: Id<'_>, answers: bool) {
        let known = id.known();
        // Replies in the write buffer of the loop precede those that the shared state appends.
        if self.shared.cancel_request(&known, answers) {
            return;
        }
        match self.dispatch.queue.remove(&known, self.version) {
            Some(Removed { id, member, trace }) => {
                self.shared.counters.waiting(self.dispatch.queue.len());
                trace.end(Ending::Cancelled);
                id.with(|id| self.shared.cancelled_before(member, id, answers));
            }
            None => tracing::debug!(
                rpc.system.name = "jsonrpc",
                jsonrpc.request.id = %brief(id),
                session = self.shared.id,
                "the peer cancels a request that is not at work"
            ),
        }
    }

    /// Notes that the peer is a server that shuts down, if this message says so; returns whether it
    /// does.
    fn take_closing(&self, method: &str) -> bool {
        let is_closing = method == CLOSING && !self.dispatch.routes.have(CLOSING);
        if is_closing {
            tracing::debug!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id,
                "the peer shuts down"
            );
            self.shared.peer_closes();
        }
        is_closing
    }
}

/// Replies to calls of this side, and refusals by the peer.
impl Driver {
    /// Delivers the replies of one read to their calls.
    pub(super) fn deliver(&mut self) {
        if self.replies.len() == 0 {
            return;
        }
        self.delivered += self.replies.len();
        self.last_delivered = self.replies.len();
        // A reply may begin a subscription that has the id of an ended one.
        self.last_hit.forget();
        let unasked = self.shared.deliver(&mut self.replies);
        if unasked > 0 {
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                session = self.shared.id,
                unasked,
                "replies to no call of ours"
            );
            self.charge_for_errors(unasked as u64);
        }
    }

    /// The peer refused a message of this side without its id: a batch, or the only call in flight.
    #[cold]
    fn take_refusal(&mut self, reply: Reply) {
        if self.is_session_refusal(&reply) {
            self.replies.push(None, reply);
            return;
        }
        let is_connection_refusal = self.is_connection_refusal(&reply);
        match self.lend(|protocol| protocol.refused(&reply, InFlight::has_caller)) {
            RefusedCall::Batch(calls) => calls.into_iter().for_each(|call| call.complete(reply.clone())),
            RefusedCall::Call(call) => self.replies.push(Some(call), reply.answering_no_id()),
            // The peer closes next, and that ends the calls in flight.
            RefusedCall::Unknown if is_connection_refusal => self.replies.push(None, reply),
            RefusedCall::Unknown => self.take_unmatched(reply),
        }
    }

    /// Whether the peer refuses the session because this side costs it too much. It closes next,
    /// after its remaining replies.
    fn is_session_refusal(&mut self, reply: &Reply) -> bool {
        if !reply.refuses_session() {
            return false;
        }
        let Err(ReplyError::Error(error)) = reply.clone().into_result() else { return false };
        if self.refused_with.is_none() {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id, error = %brief(&error),
                "this side has cost the peer too much: the peer closes the session"
            );
            self.refused_with = Some(Box::new(error));
        }
        true
    }

    /// Whether the peer refuses the connection for lack of capacity: its first message is an error,
    /// and either says that it is busy or follows no message of this side. It is taken as the close
    /// reason if the peer closes next.
    fn is_connection_refusal(&mut self, reply: &Reply) -> bool {
        if self.shared.counters.messages_received() > 0 || self.refused_with.is_some() {
            return false;
        }
        let Err(ReplyError::Error(error)) = reply.clone().into_result() else { return false };
        if error.code() != ErrorCode::SERVER_BUSY && self.has_sent() {
            return false;
        }
        tracing::warn!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id, error = %brief(&error),
            "the first word of the peer is a refusal: where it closes the session next, calls end with this"
        );
        self.refused_with = Some(Box::new(error));
        true
    }

    /// The peer refused a message that cannot be identified. It may be any of this side's calls in
    /// flight.
    #[cold]
    fn take_unmatched(&mut self, reply: Reply) {
        if self.shared.calls_wait()
            && let Err(error) = reply.clone().into_result()
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id, error = %brief(chain(&error)),
                "the peer has refused a message of ours and does not say which: a call that it was may wait for its timeout"
            );
        }
        self.replies.push(None, reply);
    }
}

/// The protocol machine sees the calls after the earlier replies are delivered.
impl Lend<InFlight> for Driver {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Connection<InFlight>) -> R) -> R {
        self.deliver();
        self.shared.protocol(look)
    }
}
