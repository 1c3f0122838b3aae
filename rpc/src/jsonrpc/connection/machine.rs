//! The protocol machine of one link: it writes calls, and knows what waits for an answer.

use super::in_flight::{BatchIds, BatchReply, SentBatches, UnansweredMessages};
use crate::jsonrpc::{
    Body, Elements, EmptyParams, ErrorObject, Id, Malformed, Message, Protocol, Reply, table::Table,
    version::Version,
};

/// A call in flight. Ids rise by one from 1 and are not used again on the same link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// The call that a response with this id answers: `None` where the id is none that a call of ours can have.
    pub fn answered_by(id: Id<'_>) -> Option<Self> {
        id.as_call().map(Self)
    }

    /// The number that stands on the wire.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// What the version that is spoken, or what carries it, has no way to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Parameters are an object, and the version is 1.0.
    #[error("JSON-RPC 1.0 has no named parameters: send them by position")]
    NamedParams,
    /// Calls are to be taken back by a [`Cancellation`](crate::Cancellation), and the version is 1.0.
    #[error(
        "JSON-RPC 1.0 has no named parameters, which a cancellation needs: speak 2.0, or configure no cancellation"
    )]
    Cancellation,
    /// The version is 1.0.
    #[error("JSON-RPC 1.0 has no batches: send the calls one by one")]
    Batches,
    /// No version has batches without members.
    #[error("a batch has at least one member")]
    EmptyBatch,
    /// The items of a subscription come unasked, and what carries the call brings answers only.
    #[error(
        "nothing comes unasked over HTTP, so there are no subscriptions: use a connection that stays open"
    )]
    Subscriptions,
    /// The same, of work that reports how far it is: its result can be had, by
    /// [`Subscribe::result_alone`](crate::Subscribe::result_alone).
    #[error(
        "nothing comes unasked over HTTP, so no progress can be reported: ask for the result alone \
         (`.result_alone()`), or use a connection that stays open"
    )]
    Progress,
    /// The session carries messages of the application's own: see [`MessageSession`](crate::MessageSession).
    #[error("the session carries messages of the application's own, and no JSON-RPC")]
    Calls,
}

/// A batch of the peer's that is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BatchId(u64);

/// A member of a batch of the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) batch: BatchId,
    /// Its place in the batch.
    pub(crate) index: usize,
}

/// Lends a connection for a moment. A session locks its state for that.
pub(crate) trait Lend<T> {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Connection<T>) -> R) -> R;
}

impl<T> Lend<T> for Connection<T> {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Self) -> R) -> R {
        look(self)
    }
}

/// The message of ours that the peer has refused by an error to the id null.
#[derive(Debug)]
pub(crate) enum RefusedCall<T> {
    /// A batch: its calls, which have ended.
    Batch(Vec<T>),
    /// The only call in flight. It has not ended yet.
    Call(CallId),
    /// Nothing tells.
    Unknown,
}

/// One side of a link: the language as a state machine. Bytes go in, events and bytes come out; nothing waits, and nothing
/// is sent.
///
/// `T` is what the owner keeps with each call in flight (a waker, a channel, a name, a deadline).
///
/// A [`Session`](crate::Session) has one inside. By itself it is for those who bring their own transport and their own loop:
///
/// ```
/// use rpc::{ErrorObject, Protocol};
/// use rpc::jsonrpc::{Body, Connection, Event};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut here, mut there) = (Connection::new(Protocol::V2), Connection::<()>::new(Protocol::Detect));
///
/// // One side calls. What is kept with the call is a name for it.
/// let (mut body, mut wire) = (Vec::new(), Vec::new());
/// let body = Body::write(&mut body, "add", |out| serde_json::to_writer(out, &(1, 2)))?;
/// here.request(&mut wire, body, "a sum")?;
/// assert_eq!(wire, br#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#);
///
/// // The other side reads it, and answers. It has found out by now what is spoken here.
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
/// // The reply finds its call.
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
    /// Nothing is in flight yet. Batches and replies have the limits of [`Limits::server`](crate::Limits::server).
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

    /// The same, whose first call has the id after `last`. Nothing is in flight yet.
    #[cfg(feature = "http")]
    pub(crate) fn with_ids_after(self, last: u64) -> Self {
        Self { calls: Table::after(last), ..self }
    }

    /// Sends `empty` where a message has no parameters, unless its [`Body`] says otherwise or the version is 1.0. Default:
    /// [`EmptyParams::Absent`].
    pub fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { version: self.version.with_empty_params(empty), ..self }
    }

    /// Refuses batches of the peer's that have more than `batch_length` members, and sends no result or reply to a batch of
    /// more than `reply_size` bytes, but an error.
    pub fn with_limits(self, batch_length: usize, reply_size: usize) -> Self {
        Self { batch_length, reply_size, ..self }
    }

    /// The same, of one in use.
    pub(crate) const fn set_limits(&mut self, batch_length: usize, reply_size: usize) {
        (self.batch_length, self.reply_size) = (batch_length, reply_size);
    }

    /// The version in force: [`Protocol::Detect`] until the peer's first message has come.
    pub const fn protocol(&self) -> Protocol {
        self.version.protocol()
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// How many bytes a result or a reply to a batch may have.
    pub(super) const fn reply_size(&self) -> usize {
        self.reply_size
    }

    pub(crate) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Appends a request to `out`, and remembers it.
    ///
    /// # Errors
    ///
    /// Where the version has nothing of the kind. Nothing is appended then.
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
    /// Where the version has nothing of the kind. Nothing is appended then.
    pub fn notification(&mut self, out: &mut Vec<u8>, body: Body<'_>) -> Result<(), Unsupported> {
        self.check(body)?;
        self.unanswered.notified(self.calls.last());
        self.version.put_notification_in_parts(out, [body.text(), body.tail(self.version)]);
        Ok(())
    }

    /// Appends a batch to `out`, and gives the ids of its calls: a member with a `T` is a call, one without is a notification.
    ///
    /// # Errors
    ///
    /// Where the version has nothing of the kind. Nothing is appended then, and no call is remembered.
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

    /// Ends a call, or forgets it: a reply that still comes then matches nothing.
    pub fn remove(&mut self, call: CallId) -> Option<T> {
        let found = self.take(call)?;
        self.unanswered.gave_up(call.0);
        Some(found)
    }

    /// Ends a call to which a reply has come.
    pub(crate) fn answered(&mut self, call: CallId) -> Option<T> {
        let found = self.take(call);
        match found {
            Some(_) => self.unanswered.answered(call.0),
            None => self.unanswered.answered_late(call.0),
        }
        found
    }

    /// Ends a call to which no reply will come.
    pub(crate) fn take(&mut self, call: CallId) -> Option<T> {
        let found = self.calls.remove(call.0)?;
        self.sent.ended(call.0);
        Some(found)
    }

    /// The message of ours that the peer means with `reply`, an error to the id null: the oldest
    /// batch in flight, or else the only call in flight, unless the error may mean something else
    /// (a call that was given up and has no reply yet, or a notification), or any call in flight is
    /// one that cannot be meant. That this side costs too much is said of no message.
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

    /// Ends the calls that `ended` says so of: those whose time is over, for one. The clock is the owner's.
    pub fn remove_if(&mut self, ended: impl FnMut(&mut T) -> bool) -> Vec<T> {
        self.extract_if(ended).into_iter().map(|(_, call)| call).collect()
    }

    /// The same, with the ids.
    pub(crate) fn extract_if(&mut self, mut ended: impl FnMut(&mut T) -> bool) -> Vec<(CallId, T)> {
        let late = self.calls.iter_mut().filter_map(|(id, call)| ended(call).then_some(id));
        let ids: Vec<u64> = late.collect();
        ids.into_iter().filter_map(|id| Some((CallId(id), self.remove(CallId(id))?))).collect()
    }

    /// The batch in flight that the call belongs to, whether the call itself has ended or not.
    pub(crate) fn batch_of(&self, call: CallId) -> Option<BatchIds> {
        self.sent.ids(call.0)
    }

    /// Ends what is in flight of a batch: an array has come with replies to it, and there will be no other.
    pub(crate) fn remove_rest_of_batch(&mut self, ids: BatchIds) -> Vec<T> {
        ids.filter_map(|id| self.take(CallId(id))).collect()
    }

    /// Ends the batch that was sent first: the peer has refused one, and did not say which.
    pub(crate) fn remove_oldest_batch(&mut self) -> Vec<T> {
        self.sent.oldest().map(|ids| self.remove_rest_of_batch(ids)).unwrap_or_default()
    }

    /// Whether a batch of ours has calls in flight.
    pub(crate) fn has_sent_batch(&self) -> bool {
        self.sent.oldest().is_some()
    }

    /// Whether the call was made on this link, whatever became of it.
    pub fn has_sent(&self, call: CallId) -> bool {
        (1..=self.calls.last()).contains(&call.0)
    }

    /// Ends every call.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.sent.clear();
        self.calls.drain()
    }

    /// How many calls were not removed yet.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many batches of the peer's are being answered.
    pub fn batches_in_progress(&self) -> usize {
        self.received.len()
    }
}

/// Batches of the peer's.
impl<T> Connection<T> {
    /// What is wrong with a batch as a whole, if anything: it is empty, or too long.
    ///
    /// An array of replies may be as long as a batch that we sent, and is not answered where it is too long.
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

    /// How many bytes of replies wait in batches of the peer's, but for those in `except`.
    pub(crate) fn collected(&self, except: Option<BatchId>) -> usize {
        let others = self.received.iter().filter(|(id, _)| except.is_none_or(|except| except.0 != *id));
        others.map(|(_, reply)| reply.len()).sum()
    }

    /// Whether no batch of the peer's began before this one and waits for its end.
    pub(crate) fn is_oldest_batch(&self, batch: BatchId) -> bool {
        self.received.iter().all(|(other, _)| other >= batch.0)
    }

    /// Nobody will be answered any more.
    pub(crate) fn drop_batches(&mut self) {
        drop(self.received.drain());
    }

    /// A batch has begun. It ends with [`end_batch`](Self::end_batch).
    pub(crate) fn begin_batch(&mut self) -> BatchId {
        BatchId(self.received.insert(BatchReply::new(self.version, self.reply_size)))
    }

    /// A member's reply will come later, with [`add_to_batch`](Self::add_to_batch).
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

    /// An expected reply was added, or will not come; or all members of the batch have been seen. Gives the reply to the batch when
    /// it is complete.
    pub(crate) fn end_batch(&mut self, batch: BatchId) -> Option<BatchReply> {
        let reply = self.received.get_mut(batch.0)?;
        reply.came();
        if !reply.is_complete() {
            return None;
        }
        self.received.remove(batch.0)
    }
}
