//! What a message means to the one who holds the connection: the state machine as a whole.

use std::borrow::Cow;

use serde::Serialize;

use super::{Answered, BatchId, CallId, Connection};
use crate::jsonrpc::{
    Elements, ErrorObject, Malformed, Message, RawParams, Reply, Request, RequestId, Response, RpcError,
    result::put_result,
};

/// One thing that a message from the peer brings.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a, T> {
    /// The peer calls a method, and waits for [`Connection::respond`].
    Request {
        /// The method's name.
        method: Cow<'a, str>,
        /// Its parameters.
        params: RawParams<'a>,
        /// What the answer is given with.
        ticket: Ticket,
    },
    /// The peer calls a method, and does not wait.
    Notification {
        /// The method's name.
        method: Cow<'a, str>,
        /// Its parameters.
        params: RawParams<'a>,
    },
    /// A call of ours has ended.
    Reply {
        /// What was kept with it.
        call: T,
        /// How.
        reply: Reply,
    },
    /// The peer broke the rules. Where that is to be answered, it was.
    Refused {
        /// The id that it is answered under; null where none could be read.
        id: RequestId,
        /// Which rule.
        error: ErrorObject,
    },
    /// An answer to no call of ours. It is never answered.
    Unasked(Reply),
}

/// A request of the peer's that waits for its answer.
///
/// A member of a batch that is never answered keeps the others from being sent.
#[derive(Debug)]
#[must_use = "a request waits for its answer"]
pub struct Ticket {
    id: RequestId,
    /// The batch that it came in, and its place there.
    member: Option<(BatchId, usize)>,
}

impl Ticket {
    /// The id of the request.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }
}

impl<T> Connection<T> {
    /// Takes one message in. What has to be answered at once, because it is no valid message, is appended to `out`: one message,
    /// or nothing.
    ///
    /// Events come in the order of the message. A reply to a batch of ours that leaves calls out ends those as well.
    pub fn receive<'a>(&mut self, frame: &'a [u8], out: &mut Vec<u8>) -> Vec<Event<'a, T>> {
        if self.version.is_undecided()
            && let Some(version) = self.version.detect(frame)
        {
            self.version = version;
        }
        let mut events = Vec::new();
        match self.version.read_checked(frame) {
            Message::Batch(members) => self.receive_batch(members, out, &mut events),
            Message::Request(request) => events.push(Event::requested(request, None)),
            Message::Response(response) => self.receive_response(response, &mut events),
            Message::Malformed(Malformed { id, error, answer }) => {
                if answer {
                    self.version.put_error(out, id, &error);
                }
                events.push(Event::Refused { id: id.to_owned(), error });
            }
        }
        events
    }

    fn receive_batch<'a>(
        &mut self,
        members: Elements<'a>,
        out: &mut Vec<u8>,
        events: &mut Vec<Event<'a, T>>,
    ) {
        if let Some(Malformed { id, error, answer }) = self.refuses_batch(&members) {
            if !members.are_more_than(0) && self.has_sent_batch() {
                return self.end_oldest_batch(&Reply::missing_in_batch(), events);
            }
            if answer {
                self.version.put_error(out, id, &error);
            }
            events.push(Event::Refused { id: id.to_owned(), error });
            return;
        }
        let batch = self.begin_batch();
        let mut answered = Answered::default();
        for (index, member) in members.enumerate() {
            match self.version.read_member(member) {
                Message::Request(request) => {
                    if request.id.is_some() {
                        self.expect_member(batch);
                    }
                    events.push(Event::requested(request, Some((batch, index))));
                }
                Message::Response(response) => self.receive_answer(response, &mut answered, events),
                Message::Malformed(Malformed { id, error, answer }) => {
                    if answer {
                        self.add_error_to_batch(batch, index, id, &error);
                    }
                    events.push(Event::Refused { id: id.to_owned(), error });
                }
                Message::Batch(_) => {}
            }
        }
        self.end_answered(answered, events);
        self.finish(batch, out);
    }

    /// Takes a response that came in an array.
    fn receive_answer(
        &mut self,
        response: Response<'_>,
        answered: &mut Answered,
        events: &mut Vec<Event<'_, T>>,
    ) {
        if response.refuses_whole_message() {
            events.extend(answered.refuse(Reply::new(response.outcome)).map(Event::Unasked));
            return;
        }
        if let Some(call) = CallId::answered_by(response.id)
            && !answered.knows(call)
            && let Some(batch) = self.batch_of(call)
        {
            answered.add(batch);
        }
        self.receive_response(response, events);
    }

    fn end_answered(&mut self, answered: Answered, events: &mut Vec<Event<'_, T>>) {
        let (batches, refusal) = answered.end();
        match refusal {
            Some(reply) if batches.is_empty() => self.receive_refusal(reply, events),
            Some(reply) => events.push(Event::Unasked(reply)),
            None => {}
        }
        for ids in batches {
            let missing = self.remove_rest_of_batch(ids).into_iter();
            events.extend(missing.map(|call| Event::Reply { call, reply: Reply::missing_in_batch() }));
        }
    }

    fn receive_response(&mut self, response: Response<'_>, events: &mut Vec<Event<'_, T>>) {
        let call = CallId::answered_by(response.id);
        let refuses_message = response.refuses_whole_message();
        let reply = Reply::new(response.outcome);
        match call.and_then(|call| self.answered(call)) {
            Some(call) => events.push(Event::Reply { call, reply }),
            None if refuses_message => self.receive_refusal(reply, events),
            None => events.push(Event::Unasked(reply)),
        }
    }

    /// A message of ours was refused, and the peer does not say which.
    fn receive_refusal(&mut self, reply: Reply, events: &mut Vec<Event<'_, T>>) {
        if self.has_sent_batch() {
            return self.end_oldest_batch(&reply, events);
        }
        let call = self.only_call().filter(|_| !reply.refuses_session());
        events.push(match call.and_then(|call| self.answered(call)) {
            Some(call) => Event::Reply { call, reply: reply.answering_no_id() },
            None => Event::Unasked(reply),
        });
    }

    fn end_oldest_batch(&mut self, reply: &Reply, events: &mut Vec<Event<'_, T>>) {
        let calls = self.remove_oldest_batch();
        events.extend(calls.into_iter().map(|call| Event::Reply { call, reply: reply.clone() }));
    }

    /// Answers a request with what its method returned. The reply is appended to `out`; that to a member of a batch when the last one
    /// is answered.
    pub fn respond<R: Serialize, E: RpcError>(
        &mut self,
        out: &mut Vec<u8>,
        ticket: Ticket,
        result: &Result<R, E>,
    ) {
        let (version, limit) = (self.version, self.reply_size);
        let mut reply = Vec::new();
        ticket.id.with(|id| put_result(&mut reply, version, id, result.as_ref(), limit));
        self.respond_with(out, &ticket, &reply);
    }

    /// Answers a request with a reply that is written already.
    pub(crate) fn respond_with(&mut self, out: &mut Vec<u8>, ticket: &Ticket, reply: &[u8]) {
        match ticket.member {
            None => out.extend_from_slice(reply),
            Some((batch, index)) => {
                ticket.id.with(|id| self.add_to_batch(batch, index, id, reply));
                self.finish(batch, out);
            }
        }
    }

    fn finish(&mut self, batch: BatchId, out: &mut Vec<u8>) {
        if let Some(reply) = self.end_batch(batch)
            && !reply.is_empty()
        {
            reply.write(out);
        }
    }
}

impl<'a, T> Event<'a, T> {
    fn requested(request: Request<'a>, member: Option<(BatchId, usize)>) -> Self {
        let Request { id, method, params } = request;
        match id {
            Some(id) => Self::Request { method, params, ticket: Ticket { id: id.to_owned(), member } },
            None => Self::Notification { method, params },
        }
    }
}
