//! From messages to handlers: admits requests, has them served, and refuses what cannot be.

use super::{Driver, receive::Flow};
use crate::{
    jsonrpc::{
        BatchId, ErrorCode, ErrorObject, Events, Id, Malformed, Member, Message, Request, UncheckedParams,
        UncheckedRequest,
        shown::brief,
        subscription::{self, About, PlainItem},
    },
    service::{Dispatched, Replies},
    session::Trace,
};

/// What an error reply has in bytes besides its id and its message, about.
const ENVELOPE: usize = 60;

impl Driver {
    /// The scan may have taken something for params that is none: the full reader is the judge.
    #[cold]
    fn judge(&mut self, frame: &[u8]) -> Flow {
        self.process(frame, Events::of(self.version, self.version.read_in_full(frame)))
    }

    /// A message by itself whose parameters are not checked.
    pub(super) fn receive_scanned(&mut self, frame: &[u8], request: UncheckedRequest<'_>) -> Flow {
        if request.id.is_none() {
            if self.holds_item(None) {
                return Flow::Blocked;
            }
            if self.takes_awaited_item(&request) {
                return Flow::Continue;
            }
        }
        // Items, notifications that are listened for and cancellations are taken by the session
        // itself, which does not read all of the parameters.
        if self.may_take(request.id, &request.method) {
            let item = self.plain_item(&request.method, request.params);
            let params = match item {
                Some(_) => request.params.known_as_json(),
                None => match request.params.check() {
                    Some(params) => params,
                    None => return self.judge(frame),
                },
            };
            let request = Request { id: request.id, method: request.method, params };
            if self.takes(&request, item, None) {
                return Flow::Continue;
            }
            return self.serve_or_refuse(&request.into_unchecked(), frame, None);
        }
        if request.id.is_none() && self.takes_closing(&request.method) {
            return Flow::Continue;
        }
        match self.serve(&request, frame, None) {
            Some(Dispatched::Refused(error, trace)) => {
                // Where the full reader reads the same, the service has seen the request already.
                let judged = self.version.read_in_full(frame);
                if !matches!(&judged, Message::Request(again) if again.is_same(&request)) {
                    trace.forget();
                    return self.process(frame, Events::of(self.version, judged));
                }
                self.refuse(&request, &error, trace, None)
            }
            dispatched => self.dispatched(dispatched, &request, frame, None),
        }
    }

    /// A request or a notification that was read in full, and stands in `text`.
    pub(super) fn receive_request(
        &mut self,
        text: &[u8],
        request: Request<'_>,
        member: Option<Member>,
    ) -> Flow {
        if self.holds_item(request.id) {
            return Flow::Blocked;
        }
        if self.may_take(request.id, &request.method) {
            let item = self.plain_item(&request.method, request.params.into());
            if self.takes(&request, item, member) {
                return Flow::Continue;
            }
        } else if member.is_none() && request.id.is_none() && self.takes_closing(&request.method) {
            return Flow::Continue;
        }
        self.serve_or_refuse(&request.into_unchecked(), text, member)
    }

    fn serve_or_refuse(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Flow {
        let dispatched = self.serve(request, text, member);
        self.dispatched(dispatched, request, text, member)
    }

    #[inline]
    fn dispatched(
        &mut self,
        dispatched: Option<Dispatched>,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Flow {
        match dispatched {
            Some(Dispatched::Begun) => Flow::Continue,
            // A batch goes on: its reply is what the close waits for.
            Some(Dispatched::Last) if member.is_some() => Flow::Continue,
            Some(Dispatched::Last) => Flow::Closing,
            Some(Dispatched::Refused(error, trace)) => self.refuse(request, &error, trace, member),
            None => self.no_permit(request, text, member),
        }
    }

    /// Whether the session itself may take the message: as an item of a subscription, or because a
    /// listener waits for it, or because it takes another request back.
    #[inline]
    fn may_take(&self, id: Option<Id<'_>>, method: &str) -> bool {
        match id {
            None => self.link.subscribes() || self.link.listens() || self.is_cancellation(method),
            Some(_) => self.asks_to_cancel(method),
        }
    }

    fn takes(&mut self, request: &Request<'_>, item: Option<PlainItem<'_>>, member: Option<Member>) -> bool {
        self.takes_item(request, item)
            || self.takes_cancellation(request, member)
            || (member.is_none() && request.id.is_none() && self.takes_closing(&request.method))
    }

    /// Whether the request is one more item of the subscription that had the last one, and its
    /// subscriber waits for it. The subscriber finds out whether it is JSON.
    fn takes_awaited_item(&mut self, request: &UncheckedRequest<'_>) -> bool {
        if !self.link.only_subscribes() {
            return false;
        }
        let Some(item) = subscription::scan(&request.method, request.params) else { return false };
        // A reply right before it may have begun another subscription with the same id.
        self.hand_over();
        let inlet = self.last_hit.find(item.id()).filter(|inlet| inlet.is_awaited());
        inlet.is_some_and(|inlet| {
            !self.dispatch.routes.takes_notifications(&request.method) && inlet.give(item.text())
        })
    }

    /// What a notification says where it is plainly an item, if this side has subscriptions.
    fn plain_item<'a>(&self, method: &str, params: UncheckedParams<'a>) -> Option<PlainItem<'a>> {
        let item = || subscription::scan(method, params);
        self.link.subscribes().then(item)?.filter(|item| item.is_json())
    }

    /// Judges the messages whose items a subscriber has found to be no JSON.
    pub(super) fn judge_items(&mut self) {
        for message in self.link.take_unjudged() {
            // Where that ends the session, the loop finds out.
            let _: Flow = self.judge(&message);
        }
    }

    /// Whether the request may be an item for one who has the session wait, and has taken none of those before it yet.
    fn holds_item(&self, id: Option<Id<'_>>) -> bool {
        id.is_none() && self.link.has_full_channels() && !self.link.calls_wait()
    }

    /// Whether the request is an item of a subscription of ours, or a notification that somebody waits for; then it was taken.
    fn takes_item(&mut self, request: &Request<'_>, item: Option<PlainItem<'_>>) -> bool {
        let (subscribes, listens) = (self.link.subscribes(), self.link.listens());
        if request.id.is_some() || !(subscribes || listens) {
            return false;
        }
        // The reply that begins the subscription may stand right before it.
        self.hand_over();
        let method = &*request.method;
        let reported = subscribes && self.link.take_report(method, request.params);
        let item = match item.map(PlainItem::into_event) {
            _ if reported || !subscribes => None,
            None => subscription::read(method, request.params),
            plain => plain,
        };
        let taken = reported
            || item.is_some_and(|about| {
                let about = About { id: about.id.filter(|_| self.version.has_positional_items()), ..about };
                self.link.take_event(&mut self.last_hit, method, &about)
            });
        let listened =
            listens && self.link.take_notification(method, request.params.as_json().unwrap_or("[]"));
        (taken || listened) && !self.dispatch.routes.takes_notifications(method)
    }

    /// Serves a request, which stands in `text`; `None` where there is no permit for it.
    fn serve(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Option<Dispatched> {
        if self.drains || !self.has_permit(text.len(), member.map(|member| member.batch)) {
            return None;
        }
        Some(match self.admit(request, text, member) {
            Some(trace) => {
                let (dispatch, mut sink) = self.dispatcher();
                dispatch.start(&mut sink, request, (text, member), trace)
            }
            None => Dispatched::Begun,
        })
    }

    /// Answers a request whose handler was not run.
    pub(super) fn refuse(
        &mut self,
        request: &UncheckedRequest<'_>,
        error: &ErrorObject,
        trace: Trace,
        member: Option<Member>,
    ) -> Flow {
        trace.refuse(error);
        match request.id {
            Some(id) => self.answer_error(id, error, member),
            // Those of LSP may be sent to whoever does not know them: there is no rule to break.
            None if request.method.starts_with("$/") => return Flow::Continue,
            None => {}
        }
        match error.code() {
            // No rule is broken by asking for more than there is: it costs its bytes, as a handler's error does.
            ErrorCode::TOO_MANY_SUBSCRIPTIONS => Flow::Continue,
            _ => self.charge_for_errors(1),
        }
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed<'_>, member: Option<Member>) -> Flow {
        let Malformed { id, error, answer } = malformed;
        self.link.log_refused(Some(*id), error);
        if *answer {
            self.answer_error(*id, error, member);
        }
        match error.code() {
            ErrorCode::PARSE_ERROR => self.charge_for_unreadable(),
            _ => self.charge_for_errors(1),
        }
    }

    /// As many requests as may be are being worked on, or as many bytes as may be wait to be sent.
    ///
    /// Waiting is right unless the reply to a call of ours may stand behind this request: then it must be got out of the way,
    /// or two sides that wait for each other wait for ever. What waits for a permit is kept, and what stands behind it is
    /// read: it may take back the requests that have the permits.
    fn no_permit(&mut self, request: &UncheckedRequest<'_>, text: &[u8], member: Option<Member>) -> Flow {
        if self.drains {
            self.refuse_closing(request, self.link.trace(request), member);
            return Flow::Continue;
        }
        if !self.link.calls_wait() {
            let keeps = self.lacks_permits_only(member.map(|member| member.batch))
                && self.keeps(request, text, member);
            return match keeps {
                true => self.waits_for_permit(),
                false => Flow::Blocked,
            };
        }
        // A member of a batch was read in full, and so was a message that was judged.
        if member.is_none() && request.params.check().is_none() {
            return self.judge(text);
        }
        match request.id {
            Some(id) => {
                let error =
                    ErrorObject::new(ErrorCode::SERVER_BUSY, "too many requests at once: try again later");
                self.link.trace(request).refuse(&error);
                self.answer_error(id, &error.not_executed(), member);
            }
            None if self.keeps(request, text, member) => {}
            None => tracing::warn!(
                rpc.system.name = "jsonrpc",
                rpc.method = %brief(&request.method),
                session = self.link.id,
                "a notification was dropped: too many requests at once"
            ),
        }
        Flow::Continue
    }

    /// Whether nothing but a permit is missing, and the peer is not slowed down for its cost.
    fn lacks_permits_only(&self, batch: Option<BatchId>) -> bool {
        self.throttle.concurrency >= self.link.limits.requests_in_flight()
            && self.unsent() < self.link.limits.outgoing_bytes()
            && !self.link.others_are_full(batch)
    }

    /// Counts a request that waits for a permit, and says so the first time in a session.
    fn waits_for_permit(&mut self) -> Flow {
        if self.link.counters.waits_for_permit() {
            tracing::info!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id,
                limit = self.throttle.concurrency,
                "all permits of a session are taken: further requests of its peer wait, in order. Where the server has room for \
                 more of them, raise `Limits::requests_in_flight`"
            );
        }
        Flow::Continue
    }

    pub(super) fn answer_error(&mut self, id: Id<'_>, error: &ErrorObject, member: Option<Member>) {
        self.count_refusal(id, error);
        match member {
            None => self.replies().error(id, error),
            Some(member) => self.link.add_error_to_batch(member, id, error),
        }
    }

    /// Where replies to requests that came by themselves are written.
    pub(super) const fn replies(&mut self) -> Replies<'_> {
        Replies::new(&mut self.write_buffer, self.version, &self.link)
    }

    /// Errors are written also where nothing else is: see `must_not_read`.
    pub(super) fn count_refusal(&mut self, id: Id<'_>, error: &ErrorObject) {
        self.refusals = match self.unsent() < self.link.limits.outgoing_bytes() {
            true => 0,
            false => self.refusals.saturating_add(id.as_json().len() + error.message().len() + ENVELOPE),
        };
    }
}
