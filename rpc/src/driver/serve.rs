//! From messages to handlers: admits requests, has them served, and refuses what cannot be.

use super::{Driver, batch::OpenBatch, receive::Taken};
use crate::{
    jsonrpc::{
        self, BatchId, ErrorCode, ErrorObject, Id, Malformed, Message,
        shown::brief,
        subscription::{self, About, PlainItem},
    },
    service::{Outcome, Replies, RequestPeer},
    session::Trace,
};

/// What an error reply has in bytes besides its id and its message, about.
const ENVELOPE: usize = 60;

/// What became of a request.
pub(super) enum Served {
    /// Its handler has run, or is at work.
    Yes,
    /// There is no place for it.
    NoPlace,
    /// Its handler has run and asked to be the last: the session closes now.
    Last,
    /// It is to be answered with this, and its trace ended.
    Refused(ErrorObject, Trace),
}

impl Driver {
    /// `first` is false for a message that was read in full because it could not be served as it was scanned.
    pub(super) fn dispatch(&mut self, frame: &[u8], message: Message<'_>, first: bool) -> Taken {
        match message {
            Message::Response(response) => self.take_reply(response),
            Message::Request(request) if request.id.is_none() => {
                self.receive_notification(frame, &request, first)
            }
            Message::Request(request) => self.receive_request(frame, &request, first),
            Message::Batch(members) => self.receive_batch(&members),
            Message::Malformed(malformed) => self.malformed(&malformed, None),
        }
    }

    /// The scan may have taken something for params that is none: the full reader is the judge.
    #[cold]
    fn judge(&mut self, frame: &[u8]) -> Taken {
        self.dispatch(frame, self.version.read_in_full(frame), false)
    }

    fn receive_notification(&mut self, frame: &[u8], request: &jsonrpc::Request<'_>, first: bool) -> Taken {
        if self.holds_item(request) {
            return Taken::Held;
        }
        if self.takes_awaited_item(request) {
            return Taken::Yes;
        }
        // Items, notifications that are listened for and cancellations are taken by the session
        // itself, which does not read all of the parameters.
        if self.link.subscribes() || self.link.listens() || self.is_cancellation(request) {
            let item = self.plain_item(request);
            if first && item.is_none() && !request.params.are_json() {
                return self.judge(frame);
            }
            if self.takes_item(request, item) || self.takes_cancellation(request, None) {
                return Taken::Yes;
            }
        }
        if self.takes_closing(request) {
            return Taken::Yes;
        }
        self.receive_request(frame, request, first)
    }

    /// Whether the request is one more item of the subscription that had the last one, and its
    /// subscriber waits for it. The subscriber finds out whether it is JSON.
    fn takes_awaited_item(&mut self, request: &jsonrpc::Request<'_>) -> bool {
        if !self.link.only_subscribes() {
            return false;
        }
        let Some(item) = subscription::scan(&request.method, request.params) else { return false };
        // A reply right before it may have begun another subscription with the same id.
        self.hand_over();
        let inlet = self.last_hit.find(item.id()).filter(|inlet| inlet.is_awaited());
        inlet
            .is_some_and(|inlet| !self.routes.takes_notifications(&request.method) && inlet.give(item.text()))
    }

    /// What the request says where it is plainly an item, if this side has subscriptions.
    pub(super) fn plain_item<'a>(&self, request: &jsonrpc::Request<'a>) -> Option<PlainItem<'a>> {
        let item = || subscription::scan(&request.method, request.params);
        self.link.subscribes().then(item)?.filter(|item| item.is_json())
    }

    /// Judges the messages whose items a subscriber has found to be no JSON.
    pub(super) fn judge_items(&mut self) {
        for message in self.link.take_unjudged() {
            // Where that ends the session, the loop finds out.
            let _: Taken = self.judge(&message);
        }
    }

    /// Whether the request may be an item for one who has the session wait, and has taken none of those before it yet.
    pub(super) fn holds_item(&self, request: &jsonrpc::Request<'_>) -> bool {
        request.id.is_none() && self.link.has_full_channels() && !self.link.calls_wait()
    }

    /// Whether the request is an item of a subscription of ours, or a notification that somebody waits for; then it was taken.
    pub(super) fn takes_item(&mut self, request: &jsonrpc::Request<'_>, item: Option<PlainItem<'_>>) -> bool {
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
        (taken || listened) && !self.routes.takes_notifications(method)
    }

    fn receive_request(&mut self, frame: &[u8], request: &jsonrpc::Request<'_>, first: bool) -> Taken {
        if self.asks_to_cancel(request) {
            if first && !request.params.are_json() {
                return self.judge(frame);
            }
            self.takes_cancellation(request, None);
            return Taken::Yes;
        }
        match self.serve(request, frame, None) {
            Served::Yes => Taken::Yes,
            Served::Last => Taken::Over,
            Served::NoPlace => self.no_place(request, frame, None),
            Served::Refused(error, trace) => {
                if first {
                    // Where the full reader reads the same, the service has seen the request already.
                    let judged = self.version.read_in_full(frame);
                    if !matches!(&judged, Message::Request(again) if again == request) {
                        trace.forget();
                        return self.dispatch(frame, judged, false);
                    }
                }
                self.refuse(request, &error, trace, None)
            }
        }
    }

    /// Serves a request, which stands in `text`, if there is a place for it.
    pub(super) fn serve(
        &mut self,
        request: &jsonrpc::Request<'_>,
        text: &[u8],
        batch: Option<&mut OpenBatch>,
    ) -> Served {
        let own = batch.as_ref().map(|batch| batch.member().batch);
        if self.drains || !self.has_place(text.len(), own) {
            return Served::NoPlace;
        }
        if self.waits_for_turn(request, text, batch.as_deref()) {
            return Served::Yes;
        }
        self.start_handler(request, text, batch, self.link.trace(request))
    }

    /// Whether one more request of so many bytes may be worked on, which may be of a batch of the peer's.
    pub(super) fn has_place(&self, bytes: usize, batch: Option<BatchId>) -> bool {
        let bytes = self.queue.bytes() + bytes;
        !self.queue.has_kept()
            && self.link.admits(self.throttle.concurrency, self.queue.len(), bytes)
            && self.unsent() < self.link.limits.outgoing_bytes()
            && !self.link.others_are_full(batch)
    }

    /// Runs the handler of a request, which stands in `text`.
    pub(super) fn start_handler(
        &mut self,
        request: &jsonrpc::Request<'_>,
        text: &[u8],
        mut batch: Option<&mut OpenBatch>,
        trace: Trace,
    ) -> Served {
        let replies = match &mut batch {
            None => Replies::new(&mut self.write_buffer, self.version, &self.link),
            Some(batch) => {
                let peer = RequestPeer::Session(&self.link);
                Replies::part(&mut batch.reply, self.version, peer)
            }
        };
        let bytes = text.len();
        let mut closes = false;
        let (outcome, trace) = self.routes.serve(request, replies, trace);
        match outcome {
            Outcome::Done(_) => {
                let mut member = None;
                if let (Some(batch), Some(id)) = (batch, request.id) {
                    batch.add_reply(&self.link, id);
                    member = Some(batch.member());
                }
                closes = self.link.finished_in_place(member);
            }
            Outcome::Pending(handler) => {
                self.start_task(request, batch.map(|batch| batch.member()), bytes, handler, trace);
            }
            Outcome::Subscribing(handler, number) => {
                if subscription::is_marked(text) {
                    self.link.takes_notices();
                }
                let member = batch.map(|batch| batch.member());
                self.start_subscribing(request, member, bytes, handler, &number, trace);
            }
            Outcome::Refused(error) => {
                // The error follows: a close lets it leave.
                self.link.finished_in_place(None);
                self.link.started();
                return Served::Refused(error, trace);
            }
        }
        self.link.started();
        if closes { Served::Last } else { Served::Yes }
    }

    /// Answers a request whose handler was not run.
    pub(super) fn refuse(
        &mut self,
        request: &jsonrpc::Request<'_>,
        error: &ErrorObject,
        trace: Trace,
        batch: Option<&OpenBatch>,
    ) -> Taken {
        trace.refuse(error);
        match request.id {
            Some(id) => self.answer_error(id, error, batch),
            // Those of LSP may be sent to whoever does not know them: there is no rule to break.
            None if request.method.starts_with("$/") => return Taken::Yes,
            None => {}
        }
        match error.code() {
            // No rule is broken by asking for more than there is: it costs its bytes, as a handler's error does.
            ErrorCode::TOO_MANY_SUBSCRIPTIONS => Taken::Yes,
            _ => self.charge_for_errors(1),
        }
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed<'_>, batch: Option<&OpenBatch>) -> Taken {
        let Malformed { id, error, answer } = malformed;
        self.link.log_refused(Some(*id), error);
        if *answer {
            self.answer_error(*id, error, batch);
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
    pub(super) fn no_place(
        &mut self,
        request: &jsonrpc::Request<'_>,
        text: &[u8],
        batch: Option<&OpenBatch>,
    ) -> Taken {
        if self.drains {
            return self.refuse_closing(request, self.link.trace(request), batch);
        }
        if !self.link.calls_wait() {
            let own = batch.map(|batch| batch.member().batch);
            return match self.lacks_permits_only(own) && self.keeps(request, text, batch) {
                true => self.waits_for_permit(),
                false => Taken::Held,
            };
        }
        // A member of a batch was read in full, and so was a message that was judged.
        if batch.is_none() && !request.params.are_json() {
            return self.judge(text);
        }
        match request.id {
            Some(id) => {
                let error =
                    ErrorObject::new(ErrorCode::SERVER_BUSY, "too many requests at once: try again later");
                self.link.trace(request).refuse(&error);
                self.answer_error(id, &error.not_executed(), batch);
            }
            None if self.keeps(request, text, batch) => {}
            None => tracing::warn!(
                rpc.system.name = "jsonrpc",
                rpc.method = %brief(&request.method),
                session = self.link.id,
                "a notification was dropped: too many requests at once"
            ),
        }
        Taken::Yes
    }

    /// Whether nothing but a permit is missing, and the peer is not slowed down for its cost.
    fn lacks_permits_only(&self, batch: Option<BatchId>) -> bool {
        self.throttle.concurrency >= self.link.limits.requests_in_flight()
            && self.unsent() < self.link.limits.outgoing_bytes()
            && !self.link.others_are_full(batch)
    }

    /// Counts a request that waits for a permit, and says so the first time in a session.
    fn waits_for_permit(&mut self) -> Taken {
        if self.link.counters.waits_for_permit() {
            tracing::info!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id,
                limit = self.throttle.concurrency,
                "all permits of a session are taken: further requests of its peer wait, in order. Where the server has room for \
                 more of them, raise `Limits::requests_in_flight`"
            );
        }
        Taken::Yes
    }

    pub(super) fn answer_error(&mut self, id: Id<'_>, error: &ErrorObject, batch: Option<&OpenBatch>) {
        self.count_refusal(id, error);
        match batch {
            None => self.replies().error(id, error),
            Some(batch) => self.link.add_error_to_batch(batch.member(), id, error),
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
