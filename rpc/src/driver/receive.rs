//! From bytes to handlers: takes frames apart, admits requests, dispatches them, collects replies.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{Driver, Left, inbox::Unread};
use crate::{
    framing::Framed,
    jsonrpc::{self, CallId, ErrorCode, ErrorObject, Id, Malformed, Message, Reply, version},
    limits::Cost,
    service::{Outcome, Pace, Request, Run},
    session::CloseReason,
};

/// How many bytes of replies are written together while there is more to do.
const PART: usize = 16 << 10;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It was dealt with.
    Yes,
    /// It has to wait where it is.
    Held,
    /// It was one too many: the session is closing.
    Over,
}

impl Driver {
    /// Reads once and deals with every whole frame. Pending where there is nothing to read, or requests wait for a place.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let left = std::mem::replace(&mut self.left, Left::Nothing);
        if left != Left::Nothing {
            let unread = self.inbox.unread();
            self.take_apart(cx, unread)?;
        }
        if self.left == Left::Replies {
            return Poll::Ready(Ok(()));
        }
        if self.left == Left::Request || self.must_not_read()? {
            return Poll::Pending;
        }
        match ready!(self.inbox.poll_read(cx, &mut self.io)) {
            Ok(Some(unread)) => Poll::Ready(self.take_apart(cx, unread)),
            Ok(None) => {
                // Requests that came before are still answered: many peers close their side after the last one.
                self.link.start_close(CloseReason::Peer);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(CloseReason::Io(Arc::new(error)))),
        }
    }

    fn take_apart(&mut self, cx: &mut Context<'_>, mut unread: Unread) -> Result<(), CloseReason> {
        let started = Instant::now();
        let outcome = loop {
            if unread.is_empty() {
                break Ok(());
            }
            let taken = match self.framer.next(unread.bytes()) {
                Ok(Framed::Frame { frame, consumed }) => {
                    let taken = self.receive(&unread.bytes()[frame]);
                    if taken != Taken::Held {
                        unread.consume(consumed);
                    }
                    taken
                }
                Ok(Framed::Incomplete { consumed: 0 }) => break Ok(()),
                Ok(Framed::Incomplete { consumed }) => {
                    unread.consume(consumed);
                    Taken::Yes
                }
                Ok(Framed::Dropped { error, consumed }) => {
                    unread.consume(consumed);
                    tracing::debug!(rpc.system.name = "jsonrpc", session = self.link.id, %error, "a frame was dropped");
                    self.charge(Cost::<Instant>::UNREADABLE)
                }
                Err(error) => break Err(CloseReason::Frame(error)),
            };
            match taken {
                // Much is answered in parts, so that the peer has something to do meanwhile.
                Taken::Yes if self.replies.unwritten().len() >= PART => {
                    if let Poll::Ready(Err(error)) = self.poll_write_replies(cx) {
                        break Err(CloseReason::Io(Arc::new(error)));
                    }
                }
                Taken::Yes if self.answers.are_a_group() => {
                    self.left = Left::Replies;
                    break Ok(());
                }
                Taken::Yes => {}
                Taken::Held => {
                    self.left = Left::Request;
                    break Ok(());
                }
                Taken::Over => break Ok(()),
            }
        };
        self.inbox.keep(unread);
        self.hand_over();
        if started.elapsed() > Pace::SLOW {
            self.dispatcher.suspect();
        }
        outcome
    }

    /// Deals with one message.
    fn receive(&mut self, frame: &[u8]) -> Taken {
        self.dispatch(frame, version::read(frame), true)
    }

    /// `first` is false for a message that was read in full because it could not be served as it was scanned.
    fn dispatch(&mut self, frame: &[u8], message: Message<'_>, first: bool) -> Taken {
        match message {
            Message::Response(response) => {
                self.answers.push(CallId::answered_by(response.id), Reply::new(response.outcome));
                Taken::Yes
            }
            Message::Request(request) => self.serve(frame, &request, first),
            Message::Malformed(malformed) => self.malformed(&malformed),
        }
    }

    fn serve(&mut self, frame: &[u8], request: &jsonrpc::Request<'_>, first: bool) -> Taken {
        let jsonrpc::Request { id, method, params } = request;
        if !self.link.admits(frame.len()) || self.unsent() >= self.link.limits.outgoing_bytes {
            return self.no_place(request);
        }
        let Some(found) = self.dispatcher.find(method) else {
            return self.refuse(frame, request, &ErrorObject::method_not_found(method), first);
        };
        let run = found.pace.next();
        let timed = (run == Run::Timed).then(Instant::now);
        let handled = found
            .service
            .call(found.method, Request::new(&found, *id, *params, &mut self.replies, run == Run::AsTask));
        if let Some(started) = timed {
            found.pace.took(started.elapsed());
        }
        match handled.outcome() {
            Outcome::Done => {}
            Outcome::Pending(reply) => self.start_task(*id, frame.len(), reply),
            Outcome::Refused(error) => return self.refuse(frame, request, &error, first),
        }
        tracing::debug!(
            rpc.system.name = "jsonrpc",
            rpc.method = &**method,
            jsonrpc.request.id = id.map(tracing::field::display),
            session = self.link.id,
            "request"
        );
        Taken::Yes
    }

    /// Answers a request whose handler was not run.
    fn refuse(
        &mut self,
        frame: &[u8],
        request: &jsonrpc::Request<'_>,
        error: &ErrorObject,
        first: bool,
    ) -> Taken {
        if first {
            // The scan may have taken something for params that is none: the full reader is the judge. Where it reads the
            // same, the service has seen the request already.
            let judged = version::read_in_full(frame);
            if !matches!(&judged, Message::Request(again) if again == request) {
                return self.dispatch(frame, judged, false);
            }
        }
        self.log_error(request.id, error);
        if let Some(id) = request.id {
            self.replies.error(id, error);
        }
        self.charge(Cost::<Instant>::ERROR)
    }

    fn malformed(&mut self, malformed: &Malformed<'_>) -> Taken {
        let Malformed { id, error, answer } = malformed;
        self.log_error(Some(*id), error);
        if *answer {
            self.replies.error(*id, error);
        }
        self.charge(match error.code() {
            ErrorCode::PARSE_ERROR => Cost::<Instant>::UNREADABLE,
            _ => Cost::<Instant>::ERROR,
        })
    }

    /// As many requests as may be are being worked on, or as many bytes as may be wait to be sent.
    ///
    /// Waiting is right unless the reply to a call of ours may stand behind this request: then it must be got out of the way,
    /// or two sides that wait for each other wait for ever.
    fn no_place(&mut self, request: &jsonrpc::Request<'_>) -> Taken {
        if self.link.lock().connection.is_empty() {
            return Taken::Held;
        }
        match request.id {
            Some(id) => {
                let error =
                    ErrorObject::new(ErrorCode::SERVER_BUSY, "too many requests at once: try again later");
                self.log_error(Some(id), &error);
                self.replies.error(id, &error);
            }
            None => tracing::warn!(
                rpc.system.name = "jsonrpc",
                rpc.method = &*request.method,
                session = self.link.id,
                "a notification was dropped: too many requests at once"
            ),
        }
        Taken::Yes
    }

    /// Whether so much waits to be sent that nothing more is read. While a call of ours waits for its reply, reading goes on.
    fn must_not_read(&self) -> Result<bool, CloseReason> {
        let (unsent, limit) = (self.unsent(), self.link.limits.outgoing_bytes);
        if unsent < limit {
            return Ok(false);
        }
        let calls_wait = !self.link.lock().connection.is_empty();
        if calls_wait && unsent / 2 >= limit {
            return Err(CloseReason::OutgoingFull { unsent, limit });
        }
        Ok(!calls_wait)
    }

    /// How many bytes wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.replies.unwritten().len() + self.link.queued()
    }

    /// Hands the replies of one read to their calls.
    fn hand_over(&mut self) {
        if self.answers.len() == 0 {
            return;
        }
        self.handed_over += self.answers.len();
        self.last_handed_over = self.answers.len();
        let unasked = self.link.deliver(&mut self.answers);
        if unasked > 0 {
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                session = self.link.id,
                unasked,
                "replies to no call of ours"
            );
            self.charge(Cost::<Instant>::ERROR * unasked as f64);
        }
    }

    /// Adds to the peer's cost; at the limit the peer is told, and the session closes.
    fn charge(&mut self, amount: f64) -> Taken {
        let limit = self.link.limits.cost;
        if limit == f64::INFINITY {
            return Taken::Yes;
        }
        if self.link.is_ending() {
            return Taken::Over;
        }
        let now = Instant::now();
        let cost = self.cost.get_or_insert_with(|| Cost::new(now)).add(amount, now, |now, then| now - then);
        if cost < limit {
            return Taken::Yes;
        }
        let error = ErrorObject::new(ErrorCode::EXCESSIVE_RESOURCE_USAGE, "excessive resource usage");
        self.log_error(None, &error);
        self.replies.error(Id::NULL, &error);
        self.link.start_close(CloseReason::Cost { cost, limit });
        Taken::Over
    }

    fn log_error(&self, id: Option<Id<'_>>, error: &ErrorObject) {
        tracing::debug!(
            rpc.system.name = "jsonrpc", rpc.response.status_code = error.code().value(),
            jsonrpc.request.id = id.map(tracing::field::display), network.peer.address = %self.link.peer,
            session = self.link.id, error = error.message(), "request refused"
        );
    }
}
