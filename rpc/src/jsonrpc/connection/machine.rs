//! The protocol state machine of one connection: it writes calls and batches, and knows which are
//! in flight.

use super::in_flight::{BatchIds, BatchReply, SentBatches, UnansweredMessages};
use crate::jsonrpc::{
    Body, Elements, EmptyParams, ErrorObject, Id, Malformed, Message, Protocol, Reply, table::Table,
    version::Version,
};

/// The id of a call. Ids count up from 1 and are not used again on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// The call that a response with this id answers; `None` if no call of this side can have the
    /// id.
    pub fn answered_by(id: Id<'_>) -> Option<Self> {
        id.as_call().map(Self)
    }

    /// The number on the wire.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Something that the version in force, or the transport, cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The parameters are an object, and the version is 1.0.
    #[error("JSON-RPC 1.0 has no named parameters: send them by position")]
    NamedParams,
    /// Calls are to be cancelled by a [`Cancellation`](crate::Cancellation), and the version is
    /// 1.0.
    #[error(
        "JSON-RPC 1.0 has no named parameters, which a cancellation needs: speak 2.0, or configure no cancellation"
    )]
    Cancellation,
    /// The message is a batch, and the version is 1.0.
    #[error("JSON-RPC 1.0 has no batches: send the calls one by one")]
    Batches,
    /// A batch without members, which no version has.
    #[error("a batch has at least one member")]
    EmptyBatch,
    /// A subscription over a transport that carries only replies, and no items.
    #[error(
        "nothing comes unasked over HTTP, so there are no subscriptions: use a connection that stays open"
    )]
    Subscriptions,
    /// A call with progress over a transport that carries only replies. Its result can still be
    /// had, by [`Subscribe::result_alone`](crate::Subscribe::result_alone).
    #[error(
        "nothing comes unasked over HTTP, so no progress can be reported: ask for the result alone \
         (`.result_alone()`), or use a connection that stays open"
    )]
    Progress,
    /// A call on a session that carries messages of the application, and no JSON-RPC: see
    /// [`MessageSession`](crate::MessageSession).
    #[error("the session carries messages of the application's own, and no JSON-RPC")]
    Calls,
}

/// The number of a batch from the peer that is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BatchId(u64);

/// A member of a batch from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) batch: BatchId,
    /// The index of the member in the batch.
    pub(crate) index: usize,
}

/// Gives access to a connection for the time of a closure: a session locks its state for it.
pub(crate) trait Lend<T> {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Connection<T>) -> R) -> R;
}

impl<T> Lend<T> for Connection<T> {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Self) -> R) -> R {
        look(self)
    }
}

/// The sent message to which an error without an id refers.
#[derive(Debug)]
pub(crate) enum RefusedCall<T> {
    /// A batch: its calls, which have ended.
    Batch(Vec<T>),
    /// The only call in flight. It has not ended yet.
    Call(CallId),
    /// The message cannot be determined.
    Unknown,
}

/// One side of a connection: JSON-RPC as a state machine without I/O. Bytes go in, events and bytes
/// come out; nothing waits, and nothing is sent.
///
/// `T` is the value that the owner keeps with each call in flight (a waker, a channel, a name, a
/// deadline).
///
/// A [`Session`](crate::Session) contains one. Use it directly to bring your own transport and
/// event loop:
///
/// ```
/// use rpc::{ErrorObject, Protocol};
/// use rpc::jsonrpc::{Body, Connection, Event};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut here = Connection::new(Protocol::V2);
/// let mut there = Connection::<()>::new(Protocol::Detect);
///
/// // One side calls, and keeps a name with the call.
/// let (mut body, mut wire) = (Vec::new(), Vec::new());
/// let body = Body::write(&mut body, "add", |out| serde_json::to_writer(out, &(1, 2)))?;
/// here.request(&mut wire, body, "a sum")?;
/// assert_eq!(wire, br#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#);
///
/// // The other side detects the version, reads the request, and answers it.
/// let mut reply = Vec::new();
/// let mut events = there.events(&wire);
/// while let Some(event) = events.next(&mut there, &mut reply) {
///     let Event::Request { method, params, ticket } = event else { panic!("{event:?}") };
///     assert_eq!(method, "add");
///     let (a, b): (i64, i64) = params.parse(&method)?;
///     there.respond(&mut reply, ticket, &Ok::<_, ErrorObject>(a + b));
/// }
/// assert_eq!(there.protocol(), Protocol::V2);
/// assert_eq!(reply, br#"{"jsonrpc":"2.0","id":1,"result":3}"#);
///
/// // The reply is matched with its call.
/// let mut nothing = Vec::new();
/// let mut events = here.events(&reply);
/// while let Some(event) = events.next(&mut here, &mut nothing) {
///     let Event::Reply { call, reply } = event else { panic!("{event:?}") };
///     assert_eq!(call, "a sum");
///     assert_eq!(reply.decode::<i64>()?, 3);
/// }
/// assert!(here.is_empty() && nothing.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Connection<T> {
    version: Version,
    calls: Table<T>,
    sent: SentBatches,
    unanswered: UnansweredMessages,
    received: Table<BatchReply>,
    batch_length: usize,
    reply_size: usize,
}

impl<T> Connection<T> {
    /// A connection with nothing in flight. Batches and replies have the limits of
    /// [`Limits::server`](crate::Limits::server).
    pub const fn new(protocol: Protocol) -> Self {
        Self::of(Version::new(protocol))
    }

    pub(crate) const fn of(version: Version) -> Self {
        Self {
            version,
            calls: Table::new(),
            sent: SentBatches::new(),
            unanswered: UnansweredMessages::new(),
            received: Table::new(),
            batch_length: 100,
            reply_size: 10_000_000,
        }
    }

    /// The same connection, whose first call has the id after `last`. Nothing is in flight yet.
    #[cfg(feature = "http")]
    pub(crate) fn with_ids_after(self, last: u64) -> Self {
        Self { calls: Table::after(last), ..self }
    }

    /// Sends `empty` for a call without parameters, unless its [`Body`] says otherwise or the
    /// version is 1.0. Default: [`EmptyParams::Absent`].
    pub fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { version: self.version.with_empty_params(empty), ..self }
    }

    /// Limits what the peer may send and is sent: a batch of more than `batch_length` members is
    /// refused, and a result, or a reply to a batch, of more than `reply_size` bytes is replaced by
    /// an error.
    pub fn with_limits(self, batch_length: usize, reply_size: usize) -> Self {
        Self { batch_length, reply_size, ..self }
    }

    /// Changes the limits of a connection in use.
    pub(crate) const fn set_limits(&mut self, batch_length: usize, reply_size: usize) {
        (self.batch_length, self.reply_size) = (batch_length, reply_size);
    }

    /// The version in force: [`Protocol::Detect`] until the first message of the peer has come.
    pub const fn protocol(&self) -> Protocol {
        self.version.protocol()
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// The most bytes of a result, or of the reply to a batch.
    pub(super) const fn reply_size(&self) -> usize {
        self.reply_size
    }

    pub(crate) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Appends a request to `out`, and keeps `call` until the reply comes.
    ///
    /// # Errors
    ///
    /// If the version in force cannot express it. Nothing is appended then.
    pub fn request(&mut self, out: &mut Vec<u8>, body: Body<'_>, call: T) -> Result<CallId, Unsupported> {
        self.check(body)?;
        let id = self.calls.insert(call);
        self.version.put_request(out, id, [body.text(), body.tail(self.version)]);
        Ok(CallId(id))
    }

    /// Appends a notification to `out`.
    ///
    /// # Errors
    ///
    /// If the version in force cannot express it. Nothing is appended then.
    pub fn notification(&mut self, out: &mut Vec<u8>, body: Body<'_>) -> Result<(), Unsupported> {
        self.check(body)?;
        self.unanswered.notified(self.calls.last());
        self.version.put_notification_in_parts(out, [body.text(), body.tail(self.version)]);
        Ok(())
    }

    /// Appends a batch to `out`, and returns the ids of its calls: a member with a `T` is a call, a
    /// member without one is a notification.
    ///
    /// # Errors
    ///
    /// If the version in force cannot express it. Nothing is appended then, and no call is kept.
    pub fn batch<'b>(
        &mut self,
        out: &mut Vec<u8>,
        members: impl IntoIterator<Item = (Body<'b>, Option<T>)>,
    ) -> Result<Vec<CallId>, Unsupported> {
        if !self.version.has_batches() {
            return Err(Unsupported::Batches);
        }
        let start = out.len();
        let mut ids = Vec::new();
        for (body, call) in members {
            out.push(if out.len() == start { b'[' } else { b',' });
            let put = match call {
                Some(call) => self.request(out, body, call).map(|id| ids.push(id)),
                None => self.notification(out, body),
            };
            if let Err(error) = put {
                out.truncate(start);
                ids.into_iter().for_each(|id| drop(self.take(id)));
                return Err(error);
            }
        }
        if out.len() == start {
            return Err(Unsupported::EmptyBatch);
        }
        out.push(b']');
        if let [CallId(first), ..] = ids[..] {
            self.sent.add(first, self.calls.last(), ids.len());
        }
        Ok(ids)
    }

    fn check(&self, body: Body<'_>) -> Result<(), Unsupported> {
        match body.has_named_params() && !self.version.has_named_params() {
            true => Err(Unsupported::NamedParams),
            false => Ok(()),
        }
    }

    /// The calls in flight.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &T> {
        self.calls.iter().map(|(_, call)| call)
    }

    pub(crate) fn get_mut(&mut self, call: CallId) -> Option<&mut T> {
        self.calls.get_mut(call.0)
    }

    /// Ends a call, or abandons it: a reply that still comes then matches no call.
    pub fn remove(&mut self, call: CallId) -> Option<T> {
        let found = self.take(call)?;
        self.unanswered.gave_up(call.0);
        Some(found)
    }

    /// Ends a call whose reply has come.
    pub(crate) fn answered(&mut self, call: CallId) -> Option<T> {
        let found = self.take(call);
        match found {
            Some(_) => self.unanswered.answered(call.0),
            None => self.unanswered.answered_late(call.0),
        }
        found
    }

    /// Ends a call whose reply will not come.
    pub(crate) fn take(&mut self, call: CallId) -> Option<T> {
        let found = self.calls.remove(call.0)?;
        self.sent.ended(call.0);
        Some(found)
    }

    /// The sent message to which `reply`, an error without an id, refers: the oldest batch in
    /// flight, or else the only call in flight. It is unknown if the error may refer to something
    /// else (an abandoned call without a reply, or a notification), or if a call in flight is one
    /// that cannot be meant. An error which says that this side costs too much refers to no
    /// message.
    pub(crate) fn refused(&mut self, reply: &Reply, may_be_meant: impl Fn(&T) -> bool) -> RefusedCall<T> {
        if reply.refuses_session() {
            return RefusedCall::Unknown;
        }
        if self.has_sent_batch() {
            return RefusedCall::Batch(self.remove_oldest_batch());
        }
        let is_certain = self.calls.len() == 1 && self.unanswered.is_empty();
        match self.calls.iter().next().filter(|(_, call)| is_certain && may_be_meant(call)) {
            Some((id, _)) => RefusedCall::Call(CallId(id)),
            None => RefusedCall::Unknown,
        }
    }

    /// Ends the calls for which `ended` returns true: those whose deadline has passed, for example.
    /// The owner has the clock.
    pub fn remove_if(&mut self, ended: impl FnMut(&mut T) -> bool) -> Vec<T> {
        self.extract_if(ended).into_iter().map(|(_, call)| call).collect()
    }

    /// Ends calls as [`remove_if`](Self::remove_if) does, and returns their ids too.
    pub(crate) fn extract_if(&mut self, mut ended: impl FnMut(&mut T) -> bool) -> Vec<(CallId, T)> {
        let late = self.calls.iter_mut().filter_map(|(id, call)| ended(call).then_some(id));
        let ids: Vec<u64> = late.collect();
        ids.into_iter().filter_map(|id| Some((CallId(id), self.remove(CallId(id))?))).collect()
    }

    /// The batch in flight that the call belongs to, whether the call itself has ended or not.
    pub(crate) fn batch_of(&self, call: CallId) -> Option<BatchIds> {
        self.sent.ids(call.0)
    }

    /// Ends the remaining calls of a batch: an array with replies to it has come, and there will be
    /// no other.
    pub(crate) fn remove_rest_of_batch(&mut self, ids: BatchIds) -> Vec<T> {
        ids.filter_map(|id| self.take(CallId(id))).collect()
    }

    /// Ends the oldest batch: the peer refused a batch without saying which one.
    pub(crate) fn remove_oldest_batch(&mut self) -> Vec<T> {
        self.sent.oldest().map(|ids| self.remove_rest_of_batch(ids)).unwrap_or_default()
    }

    /// Whether a sent batch is in flight.
    pub(crate) fn has_sent_batch(&self) -> bool {
        self.sent.oldest().is_some()
    }

    /// Whether the call was made on this connection, in flight or not.
    pub fn has_sent(&self, call: CallId) -> bool {
        (1..=self.calls.last()).contains(&call.0)
    }

    /// Ends every call.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.sent.clear();
        self.calls.drain()
    }

    /// The number of calls in flight.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call is in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of batches from the peer that are being answered.
    pub fn batches_in_progress(&self) -> usize {
        self.received.len()
    }
}

/// Batches from the peer.
impl<T> Connection<T> {
    /// Checks a batch as a whole: the error if it is empty or too long.
    ///
    /// An array of replies may be as long as a sent batch. One that is too long is not answered.
    pub(crate) fn refuses_batch(&self, members: &Elements<'_>) -> Option<Malformed<'static>> {
        let refused = |why: String, answer| {
            Some(Malformed { id: Id::NULL, error: ErrorObject::invalid_request(why), answer })
        };
        let Some(first) = members.clone().next() else {
            return refused("the batch is empty".to_owned(), true);
        };
        if !members.are_more_than(self.batch_length) {
            return None;
        }
        let number = members.clone().count();
        let is_reply = matches!(self.version.read_member(first), Message::Response(_));
        if is_reply && self.sent.any_has(number) {
            return None;
        }
        let limit = self.batch_length;
        refused(format!("the batch has {number} members, and the limit is {limit}"), !is_reply)
    }

    /// The size, in bytes, of the replies that are collected for batches from the peer, except for
    /// the batch `except`.
    pub(crate) fn collected(&self, except: Option<BatchId>) -> usize {
        let others = self.received.iter().filter(|(id, _)| except.is_none_or(|except| except.0 != *id));
        others.map(|(_, reply)| reply.len()).sum()
    }

    /// Whether no batch from the peer that began before this one is still being answered.
    pub(crate) fn is_oldest_batch(&self, batch: BatchId) -> bool {
        self.received.iter().all(|(other, _)| other >= batch.0)
    }

    /// Drops the collected replies: nothing more will be sent.
    pub(crate) fn drop_batches(&mut self) {
        drop(self.received.drain());
    }

    /// Begins a batch from the peer. [`end_batch`](Self::end_batch) ends it.
    pub(crate) fn begin_batch(&mut self) -> BatchId {
        BatchId(self.received.insert(BatchReply::new(self.version, self.reply_size)))
    }

    /// The reply to a member will be added later, by [`add_to_batch`](Self::add_to_batch).
    pub(crate) fn expect_member(&mut self, batch: BatchId) {
        if let Some(reply) = self.received.get_mut(batch.0) {
            reply.expect();
        }
    }

    /// Adds the reply to a member.
    pub(crate) fn add_to_batch(&mut self, member: Member, id: Id<'_>, reply: &[u8]) {
        if let Some(batch) = self.received.get_mut(member.batch.0) {
            batch.add(member.index, id, reply);
        }
    }

    /// Adds an error as the reply to a member.
    pub(crate) fn add_error_to_batch(&mut self, member: Member, id: Id<'_>, error: &ErrorObject) {
        if let Some(batch) = self.received.get_mut(member.batch.0) {
            batch.add_error(member.index, id, error);
        }
    }

    /// Ends one expectation: an expected reply was added or will not come, or all members were
    /// read. Returns the reply to the batch once it is complete.
    pub(crate) fn end_batch(&mut self, batch: BatchId) -> Option<BatchReply> {
        let reply = self.received.get_mut(batch.0)?;
        reply.came();
        if !reply.is_complete() {
            return None;
        }
        self.received.remove(batch.0)
    }
}
