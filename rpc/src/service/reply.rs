//! The reply to a request: the values that handlers return, and where they are written, straight
//! into the bytes that are sent.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::peer::RequestPeerRef;
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, RpcError, result::put_result, shown::brief, version::Version},
    session::{Ending, Returns, Shared, WriteBuffer, panic_message},
};

/// Writes the reply to one request, in the version that is spoken. It takes no lock: the bytes are
/// the loop's own.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    target: ReplyTarget<'a>,
    version: Version,
    /// Where a reply begins that is being written.
    start: Option<usize>,
}

#[derive(Debug)]
enum ReplyTarget<'a> {
    /// The reply is a message.
    Message(&'a mut WriteBuffer, &'a Arc<Shared>),
    /// The reply becomes a part of a message: it is one of a batch, or its message is sent by other
    /// means.
    Part(&'a mut Vec<u8>, ReplyLimit<'a>),
}

/// How many bytes a result may have.
#[derive(Debug)]
pub(crate) enum ReplyLimit<'a> {
    /// As the limits say when it is written: a handler may change them.
    Of(RequestPeerRef<'a>),
    Bytes(usize),
}

impl<'a> Replies<'a> {
    /// Appends replies to what the session sends.
    pub(crate) const fn new(buffer: &'a mut WriteBuffer, version: Version, shared: &'a Arc<Shared>) -> Self {
        Self { target: ReplyTarget::Message(buffer, shared), version, start: None }
    }

    /// Appends replies that do not leave by themselves, without any framing.
    pub(crate) const fn part(out: &'a mut Vec<u8>, version: Version, limit: ReplyLimit<'a>) -> Self {
        Self { target: ReplyTarget::Part(out, limit), version, start: None }
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Appends an error.
    pub(crate) fn error(&mut self, id: Id<'_>, error: &ErrorObject) {
        if matches!(&self.target, ReplyTarget::Message(_, shared) if shared.carries_messages) {
            // The peer does not speak JSON-RPC.
            return;
        }
        let version = self.version;
        version.put_error(self.begin(), id, error);
        self.end(id);
    }

    /// Appends a result, or an error, and gives the code where the reply is one. The value's
    /// `Serialize` may panic: then see [`roll_back`](Self::roll_back).
    fn result<T: Serialize, E: RpcError>(&mut self, id: Id<'_>, result: Result<&T, &E>) -> Option<ErrorCode> {
        let (limit, version) = (self.limit(), self.version);
        let code = put_result(self.begin(), version, id, result, limit);
        self.end(id);
        code
    }

    /// Appends a result that is JSON already.
    fn json(&mut self, id: Id<'_>, json: &[u8]) {
        let version = self.version;
        let out = self.begin();
        version.begin_result(out, id);
        out.extend_from_slice(json);
        version.end_result(out, id);
        self.end(id);
    }

    /// Appends a result that can always be written.
    pub(super) fn boolean(&mut self, id: Id<'_>, result: bool) {
        self.result(id, Ok::<_, &Infallible>(&result));
    }

    /// Appends the answer to a request that has been done, and about which there is nothing to say.
    pub(crate) fn null(&mut self, id: Id<'_>) {
        self.result(id, Ok::<_, &Infallible>(&()));
    }

    /// How many bytes a result may have.
    pub(super) fn limit(&self) -> usize {
        match &self.target {
            ReplyTarget::Message(_, shared) => shared.limits.reply_size(),
            ReplyTarget::Part(_, ReplyLimit::Of(peer)) => peer.reply_size(),
            ReplyTarget::Part(_, ReplyLimit::Bytes(limit)) => *limit,
        }
    }

    /// Begins a reply: gives the bytes that it is to be appended to.
    fn begin(&mut self) -> &mut Vec<u8> {
        match &mut self.target {
            ReplyTarget::Message(buffer, shared) => {
                // Messages that a handler sent before it returned leave before its reply.
                if shared.queued() > 0 {
                    shared.take_queued(buffer);
                }
                let (start, out) = buffer.begin_reply();
                self.start = Some(start);
                out
            }
            ReplyTarget::Part(out, _) => {
                self.start = Some(out.len());
                out
            }
        }
    }

    fn end(&mut self, id: Id<'_>) {
        if let (Some(start), ReplyTarget::Message(buffer, _)) = (self.start.take(), &mut self.target) {
            buffer.end_reply(start, self.version, id);
        }
    }

    /// Leaves nothing of a reply that was not written to its end.
    #[cold]
    fn roll_back(&mut self) {
        match (self.start.take(), &mut self.target) {
            (None, _) => {}
            (Some(start), ReplyTarget::Message(buffer, _)) => buffer.take_back_reply(start),
            (Some(start), ReplyTarget::Part(out, _)) => out.truncate(start),
        }
    }
}

/// The answer to one request, which a value becomes.
#[derive(Debug)]
pub struct Answer<'a> {
    replies: Replies<'a>,
    /// `None` for a notification.
    id: Option<Id<'a>>,
    /// Whether the log is told how it ends, also where it is not answered.
    traced: bool,
    /// How it has ended, once a value was given.
    ending: Option<Ending>,
}

impl<'a> Answer<'a> {
    pub(super) const fn new(replies: Replies<'a>, id: Option<Id<'a>>, traced: bool) -> Self {
        Self { replies, id, traced, ending: None }
    }

    pub(super) const fn version(&self) -> Version {
        self.replies.version()
    }

    pub(super) fn limit(&self) -> usize {
        self.replies.limit()
    }

    pub(super) const fn id(&self) -> Option<Id<'a>> {
        self.id
    }

    pub(super) const fn is_traced(&self) -> bool {
        self.traced
    }

    /// How it has ended.
    pub(super) fn ending(&self) -> Ending {
        self.ending.unwrap_or(Ending::Abandoned)
    }

    /// Answers with a result, or an error. Of a notification only the log is told.
    fn write<T: Serialize, E: RpcError>(&mut self, result: Result<&T, &E>) {
        let code = match (self.id, result) {
            (Some(id), result) => self.replies.result(id, result),
            (None, Err(error)) if self.traced => Some(error.to_error_object().code()),
            (None, _) => None,
        };
        self.ending = Some(Ending::of_reply(code));
    }

    /// Answers with a result that is JSON already.
    pub(super) fn write_json(&mut self, json: &[u8]) {
        if let Some(id) = self.id {
            self.replies.json(id, json);
        }
        self.ending = Some(Ending::Result);
    }

    /// Answers with an error of the service's, after which its request counts as ended so.
    pub(super) fn write_error(&mut self, error: &ErrorObject, ending: Ending) {
        if let Some(id) = self.id {
            self.replies.error(id, error);
        }
        self.ending = Some(ending);
    }

    /// Runs code of the service's that may answer. A panic is the answer, unless there is one.
    pub(super) fn contain<R>(&mut self, method: &str, run: impl FnOnce(&mut Self) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(done) => Some(done),
            Err(panic) => {
                self.panicked(method, panic);
                None
            }
        }
    }

    #[cold]
    pub(super) fn panicked(&mut self, method: &str, panic: PanicPayload) {
        if self.ending.is_some() {
            return drop_panicked(method, panic);
        }
        self.replies.roll_back();
        self.write_error(&panicked(method, panic), Ending::Panicked);
    }
}

/// A value that a handler has returned, whatever its type: made by [`returned`].
pub trait ReplyValue {
    /// Becomes the answer. Once.
    #[doc(hidden)]
    fn answer(&mut self, to: &mut Answer<'_>);
}

/// See [`returned`].
#[derive(Debug)]
pub struct Returned<R, const FALLIBLE: bool>(Option<R>);

/// The value that a method has returned; `FALLIBLE` says whether it is a `Result`. Nothing is asked of
/// its type here, so that the compiler has one place to say that it cannot be a reply.
pub const fn returned<const FALLIBLE: bool, R>(value: R) -> Returned<R, FALLIBLE> {
    Returned(Some(value))
}

impl<const FALLIBLE: bool, R> ReplyValue for Returned<R, FALLIBLE>
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    fn answer(&mut self, to: &mut Answer<'_>) {
        if let Some(value) = self.0.take() {
            to.write(value.into_result().as_ref());
        }
    }
}

/// The reply that `value` makes, owned: for what a handler borrows from something that it holds.
pub fn written<const FALLIBLE: bool, R>(value: R) -> Result<Box<RawValue>, ErrorObject>
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    match value.into_result() {
        Ok(value) => to_raw_value(&value).map_err(|error| unwritable(&error)),
        Err(error) => Err(error.to_error_object()),
    }
}

/// Why a value of the handler's cannot be written is its author's affair, not the peer's.
#[cold]
fn unwritable(error: &serde_json::Error) -> ErrorObject {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a result cannot be written as JSON");
    ErrorObject::internal()
}

/// The value that a panic was given.
pub(super) type PanicPayload = Box<dyn Any + Send>;

/// Tells the log what happened, and gives the answer to the peer.
#[cold]
pub(super) fn panicked(method: &str, panic: PanicPayload) -> ErrorObject {
    log_panic(method, &*panic);
    discard(method, panic);
    ErrorObject::internal()
}

pub(super) fn log_panic(method: &str, panic: &(dyn Any + Send)) {
    let message = panic_message(panic);
    tracing::error!(rpc.system.name = "jsonrpc", rpc.method = method, panic = %brief(message), "a handler panicked");
}

/// Drops a value of the user's: that, too, may panic, and the loop must not.
pub(super) fn discard<T>(method: &str, value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        drop_panicked(method, panic);
    }
}

/// A value of the user's has panicked while it was dropped. An answer that was written stands.
#[cold]
pub(super) fn drop_panicked(method: &str, panic: PanicPayload) {
    tracing::error!(
        rpc.system.name = "jsonrpc",
        rpc.method = method,
        "dropping what a handler left panicked"
    );
    // A panic whose value panics when it is dropped is leaked.
    std::mem::forget(panic);
}
