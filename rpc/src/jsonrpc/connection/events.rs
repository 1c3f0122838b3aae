//! The events of a message, one by one. This is the only place that interprets a message for the
//! side that received it: for sessions, for messages without a session, and for users of
//! [`Connection`] alone.

use std::{borrow::Cow, vec};

use serde::Serialize;

use super::{
    in_flight::{BatchIds, BatchReply},
    machine::{BatchId, CallId, Connection, Lend, Member, RefusedCall},
};
use crate::jsonrpc::{
    Elements, ErrorObject, Malformed, Message, RawParams, Reply, Request, RequestId, Response, RpcError,
    reply::put_result, version::Version,
};

/// One event of a message from the peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a, T> {
    /// The peer calls a method, and waits for [`Connection::respond`].
    Request {
        /// The name of the method.
        method: Cow<'a, str>,
        /// The parameters of the request.
        params: RawParams<'a>,
        /// Identifies the request when it is answered.
        ticket: Ticket,
    },
    /// The peer calls a method, and expects no reply.
    Notification {
        /// The name of the method.
        method: Cow<'a, str>,
        /// The parameters of the notification.
        params: RawParams<'a>,
    },
    /// A call of this side has ended.
    Reply {
        /// The value that was kept with the call.
        call: T,
        /// The reply, or the error that ended the call.
        reply: Reply,
    },
    /// The peer sent a malformed message. If it has to be answered, the answer is already written.
    Refused {
        /// The id in the answer; null if none could be read.
        id: RequestId,
        /// The rule that the message breaks.
        error: ErrorObject,
    },
    /// A reply that matches no call in flight. It is never answered.
    Unasked(Reply),
}

/// A request of the peer that waits for its reply.
///
/// If a member of a batch is never answered, the reply to the whole batch is not sent.
#[derive(Debug)]
#[must_use = "a request waits for its answer"]
pub struct Ticket {
    id: RequestId,
    /// Set if the request came in a batch.
    member: Option<Member>,
}

impl Ticket {
    /// The id of the request.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }
}

/// A step through a message. The owner of the connection answers requests and malformed messages,
/// and ends the calls that have replies: a session does so in groups, under its lock.
#[derive(Debug)]
pub(crate) enum Step<'a, T> {
    /// A request or a notification that was read in full.
    Request(Request<'a>),
    /// A member of a batch that is a request or a notification, and its text. If it is not answered
    /// at once, it has to be [expected](Connection::expect_member).
    Member(Request<'a>, Member, &'a str),
    /// A reply. The id is `None` if no call of this side can have it. The call has not ended yet.
    Answer(Option<CallId>, Reply),
    /// An error without an id: the peer refused a message of this side, and does not say which one.
    /// See [`Connection::refused`].
    Refusal(Reply),
    /// An error without an id that refuses none of the messages in flight.
    Unmatched(Reply),
    /// A call that ended together with its batch.
    Ended(T, Reply),
    /// A malformed message, or a malformed member of a batch.
    Malformed(Malformed<'a>, Option<Member>),
    /// The end of a batch: see [`Connection::end_batch`].
    BatchEnd(BatchId),
}

/// The events of one message. It borrows only the message, not the connection, so that the owner
/// can answer events and make calls between two of them.
#[derive(Debug)]
pub struct Events<'a, T> {
    version: Version,
    stage: EventsStage<'a, T>,
}

#[derive(Debug)]
enum EventsStage<'a, T> {
    Read(Message<'a>),
    Members(BatchMembers<'a>),
    /// The members were read. An array of replies also ends the calls that it leaves out.
    Answered(AnsweredBatches),
    /// Calls that end with the message, and batches whose remaining calls are still to end.
    Ended(vec::IntoIter<T>, Reply, vec::IntoIter<BatchIds>),
    Done,
}

#[derive(Debug)]
struct BatchMembers<'a> {
    left: Elements<'a>,
    next: Member,
    /// The position of the last member.
    last: usize,
    answered: AnsweredBatches,
}

/// The batches in flight that an array from the peer has replies to. No other array will come for
/// them: the calls that it leaves out have ended with it.
#[derive(Debug, Default)]
struct AnsweredBatches {
    batches: Vec<BatchIds>,
    /// An error without an id, kept until the array has ended: if the array has replies to one
    /// batch, the error does not refuse another.
    refusal: Option<Reply>,
}

/// The rest of a batch whose last member has to wait, for example for a permit. [`Events::resume`]
/// continues at that member.
#[derive(Debug)]
pub(crate) struct Paused {
    member: Member,
    position: usize,
    answered: AnsweredBatches,
}

impl<'a, T> Events<'a, T> {
    /// The events of a message that was read in full.
    pub(crate) const fn of(version: Version, message: Message<'a>) -> Self {
        Self { version, stage: EventsStage::Read(message) }
    }

    /// The remaining events of a paused batch.
    pub(crate) fn resume(version: Version, frame: &'a [u8], paused: Paused) -> Self {
        let Paused { member, position, answered } = paused;
        let left = Elements::of_frame(frame).skip_to(position);
        Self {
            version,
            stage: EventsStage::Members(BatchMembers { left, next: member, last: position, answered }),
        }
    }

    /// Goes back to the last member of a batch, which has to wait; `None` if the message is no
    /// batch.
    pub(crate) fn pause(self) -> Option<Paused> {
        let EventsStage::Members(BatchMembers { next: Member { batch, index }, last, answered, .. }) =
            self.stage
        else {
            return None;
        };
        let member = Member { batch, index: index.saturating_sub(1) };
        Some(Paused { member, position: last, answered })
    }

    /// Skips the remaining members. The calls that end with the batch still do.
    pub(crate) fn skip_members(&mut self) {
        if let EventsStage::Members(members) = &mut self.stage {
            members.left = members.left.clone().skip_to(usize::MAX);
        }
    }

    /// The next step; `None` at the end of the message.
    pub(crate) fn step(&mut self, connection: &mut impl Lend<T>) -> Option<Step<'a, T>> {
        // In place: moving a batch for each of its members would cost too much.
        if let EventsStage::Members(members) = &mut self.stage
            && let Some(step) = members.step(self.version, connection)
        {
            return Some(step);
        }
        match std::mem::replace(&mut self.stage, EventsStage::Done) {
            EventsStage::Read(Message::Request(request)) => Some(Step::Request(request)),
            EventsStage::Read(Message::Response(response)) => Some(Step::of_response(response)),
            EventsStage::Read(Message::Malformed(malformed)) => Some(Step::Malformed(malformed, None)),
            EventsStage::Read(Message::Batch(members)) => self.begin_batch(members, connection),
            EventsStage::Members(members) => {
                self.stage = EventsStage::Answered(members.answered);
                Some(Step::BatchEnd(members.next.batch))
            }
            EventsStage::Answered(answered) => self.end_answered(answered, connection),
            EventsStage::Ended(calls, reply, batches) => self.next_ended(calls, reply, batches, connection),
            EventsStage::Done => None,
        }
    }

    fn begin_batch(&mut self, members: Elements<'a>, connection: &mut impl Lend<T>) -> Option<Step<'a, T>> {
        let is_empty = members.clone().next().is_none();
        let begun = connection.lend(|connection| match connection.refuses_batch(&members) {
            None => Ok(connection.begin_batch()),
            // A server with nothing to answer in a batch may send an empty array.
            Some(_) if is_empty && connection.has_sent_batch() => Err(Ok(connection.remove_oldest_batch())),
            Some(malformed) => Err(Err(malformed)),
        });
        match begun {
            Ok(batch) => {
                let next = Member { batch, index: 0 };
                let members =
                    BatchMembers { left: members, next, last: 0, answered: AnsweredBatches::default() };
                self.stage = EventsStage::Members(members);
                self.step(connection)
            }
            Err(Ok(calls)) => self.next_ended(
                calls.into_iter(),
                Reply::missing_in_batch(),
                Vec::new().into_iter(),
                connection,
            ),
            Err(Err(malformed)) => Some(Step::Malformed(malformed, None)),
        }
    }

    fn end_answered(
        &mut self,
        answered: AnsweredBatches,
        connection: &mut impl Lend<T>,
    ) -> Option<Step<'a, T>> {
        let AnsweredBatches { batches, refusal } = answered;
        match refusal {
            Some(reply) if batches.is_empty() => Some(Step::Refusal(reply)),
            refusal => {
                let none = Vec::new().into_iter();
                match refusal {
                    Some(reply) => {
                        self.stage = EventsStage::Ended(none, Reply::missing_in_batch(), batches.into_iter());
                        Some(Step::Unmatched(reply))
                    }
                    None => self.next_ended(none, Reply::missing_in_batch(), batches.into_iter(), connection),
                }
            }
        }
    }

    fn next_ended(
        &mut self,
        mut calls: vec::IntoIter<T>,
        reply: Reply,
        mut batches: vec::IntoIter<BatchIds>,
        connection: &mut impl Lend<T>,
    ) -> Option<Step<'a, T>> {
        loop {
            if let Some(call) = calls.next() {
                let step = Step::Ended(call, reply.clone());
                self.stage = EventsStage::Ended(calls, reply, batches);
                return Some(step);
            }
            let ids = batches.next()?;
            calls = connection.lend(|connection| connection.remove_rest_of_batch(ids)).into_iter();
        }
    }
}

impl<'a, T> Step<'a, T> {
    /// The step of a response that is a message of its own.
    #[inline]
    pub(crate) fn of_response(response: Response<'a>) -> Self {
        match response.refuses_whole_message() {
            true => Self::Refusal(Reply::new(response.outcome)),
            false => Self::Answer(CallId::answered_by(response.id), Reply::new(response.outcome)),
        }
    }
}

impl<'a> BatchMembers<'a> {
    /// The next member that yields a step.
    fn step<T>(&mut self, version: Version, connection: &mut impl Lend<T>) -> Option<Step<'a, T>> {
        loop {
            self.last = self.left.position();
            let text = self.left.next()?;
            let member = self.next;
            self.next.index += 1;
            match version.read_member(text) {
                Message::Request(request) => return Some(Step::Member(request, member, text)),
                Message::Malformed(malformed) => return Some(Step::Malformed(malformed, Some(member))),
                Message::Response(response) => {
                    if let Some(step) = self.answered.step(response, connection) {
                        return Some(step);
                    }
                }
                // A batch within a batch is malformed, so this cannot be.
                Message::Batch(_) => {}
            }
        }
    }
}

impl AnsweredBatches {
    /// The step of a response that came in an array.
    fn step<'a, T>(&mut self, response: Response<'a>, connection: &mut impl Lend<T>) -> Option<Step<'a, T>> {
        if response.refuses_whole_message() {
            return self.refusal.replace(Reply::new(response.outcome)).map(Step::Unmatched);
        }
        let call = CallId::answered_by(response.id);
        // An array nearly always answers one batch only.
        if let Some(call) = call
            && !self.batches.iter().any(|ids| ids.contains(&call.value()))
        {
            self.batches.extend(connection.lend(|connection| connection.batch_of(call)));
        }
        Some(Step::Answer(call, Reply::new(response.outcome)))
    }
}

impl<'a, T> Events<'a, T> {
    /// The next event; `None` at the end of the message. The answer to a malformed message is
    /// appended to `out`: one message, or nothing.
    ///
    /// Events come in the order of the message. A reply to a batch that leaves out some of its
    /// calls ends those calls as well.
    pub fn next(&mut self, connection: &mut Connection<T>, out: &mut Vec<u8>) -> Option<Event<'a, T>> {
        while let Some(step) = self.step(connection) {
            match step {
                Step::Request(request) => return Some(Event::requested(request, None)),
                Step::Member(request, member, _) => {
                    if request.id.is_some() {
                        connection.expect_member(member.batch);
                    }
                    return Some(Event::requested(request, Some(member)));
                }
                Step::Answer(call, reply) => {
                    return Some(match call.and_then(|call| connection.answered(call)) {
                        Some(call) => Event::Reply { call, reply },
                        None => Event::Unasked(reply),
                    });
                }
                Step::Refusal(reply) => match connection.refused(&reply, |_| true) {
                    RefusedCall::Batch(calls) => {
                        self.stage = EventsStage::Ended(calls.into_iter(), reply, Vec::new().into_iter());
                    }
                    RefusedCall::Call(call) => {
                        let call = connection.answered(call)?;
                        return Some(Event::Reply { call, reply: reply.answering_no_id() });
                    }
                    RefusedCall::Unknown => return Some(Event::Unasked(reply)),
                },
                Step::Unmatched(reply) => return Some(Event::Unasked(reply)),
                Step::Ended(call, reply) => return Some(Event::Reply { call, reply }),
                Step::Malformed(Malformed { id, error, answer }, member) => {
                    match member {
                        _ if !answer => {}
                        Some(member) => connection.add_error_to_batch(member, id, &error),
                        None => connection.version().put_error(out, id, &error),
                    }
                    return Some(Event::Refused { id: id.to_owned(), error });
                }
                Step::BatchEnd(batch) => connection.finish(batch, out),
            }
        }
        None
    }
}

impl<T> Connection<T> {
    /// Takes one message, and returns its events, to be asked for one by one with [`Events::next`].
    pub fn events<'a>(&mut self, frame: &'a [u8]) -> Events<'a, T> {
        if let Some(version) = self.version().decided_by(frame) {
            self.set_version(version);
        }
        Events::of(self.version(), self.version().read_checked(frame))
    }

    /// Answers a request with the result of its method. The reply is appended to `out`; the reply
    /// to a batch, once its last member is answered.
    pub fn respond<R: Serialize, E: RpcError>(
        &mut self,
        out: &mut Vec<u8>,
        ticket: Ticket,
        result: &Result<R, E>,
    ) {
        let (version, limit) = (self.version(), self.reply_size());
        let mut reply = Vec::new();
        ticket.id.with(|id| put_result(&mut reply, version, id, result.as_ref(), limit));
        self.respond_with(out, &ticket, &reply);
    }

    /// Answers a request with a reply that is already written.
    pub(crate) fn respond_with(&mut self, out: &mut Vec<u8>, ticket: &Ticket, reply: &[u8]) {
        match ticket.member {
            None => out.extend_from_slice(reply),
            Some(member) => {
                ticket.id.with(|id| self.add_to_batch(member, id, reply));
                self.finish(member.batch, out);
            }
        }
    }

    fn finish(&mut self, batch: BatchId, out: &mut Vec<u8>) {
        if let Some(reply) = self.end_batch(batch).filter(|reply| !BatchReply::is_empty(reply)) {
            reply.write(out);
        }
    }
}

impl<'a, T> Event<'a, T> {
    fn requested(request: Request<'a>, member: Option<Member>) -> Self {
        let Request { id, method, params } = request;
        match id {
            Some(id) => Self::Request { method, params, ticket: Ticket { id: id.to_owned(), member } },
            None => Self::Notification { method, params },
        }
    }
}
