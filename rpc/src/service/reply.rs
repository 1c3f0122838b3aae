//! The reply to a request: the values that handlers return, and the writer that serialises them
//! straight into the outgoing bytes. A panic of the service becomes a reply, too: the log gets its
//! message, and the peer an internal error.

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

/// Writes the reply to one request, in the version of JSON-RPC that the peer speaks. It takes no
/// lock: the loop owns the bytes.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    target: ReplyTarget<'a>,
    version: Version,
    /// The offset of a reply that is being written.
    start: Option<usize>,
}

#[derive(Debug)]
enum ReplyTarget<'a> {
    /// The reply is a message of its own.
    Message(&'a mut WriteBuffer, &'a Arc<Shared>),
    /// The reply is a part of a message: a member of a batch, or the body of a message that
    /// something else sends.
    Part(&'a mut Vec<u8>, ReplyLimit<'a>),
}

/// The limit on the size of a result, in bytes.
#[derive(Debug)]
pub(crate) enum ReplyLimit<'a> {
    /// The limit of the peer at the time of writing: a handler may change it.
    Of(RequestPeerRef<'a>),
    Bytes(usize),
}

impl<'a> Replies<'a> {
    /// Appends replies to the write buffer of the session.
    pub(crate) const fn new(buffer: &'a mut WriteBuffer, version: Version, shared: &'a Arc<Shared>) -> Self {
        Self { target: ReplyTarget::Message(buffer, shared), version, start: None }
    }

    /// Appends replies to `out`, without framing; the caller sends them.
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

    /// Appends a result or an error, and returns the code of an error. The `Serialize` of the value
    /// may panic: see [`roll_back`](Self::roll_back).
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

    /// Appends a boolean result.
    pub(super) fn boolean(&mut self, id: Id<'_>, result: bool) {
        self.result(id, Ok::<_, &Infallible>(&result));
    }

    /// Appends a `null` result.
    pub(crate) fn null(&mut self, id: Id<'_>) {
        self.result(id, Ok::<_, &Infallible>(&()));
    }

    /// The limit on the size of a result, in bytes.
    pub(super) fn limit(&self) -> usize {
        match &self.target {
            ReplyTarget::Message(_, shared) => shared.limits.reply_size(),
            ReplyTarget::Part(_, ReplyLimit::Of(peer)) => peer.reply_size(),
            ReplyTarget::Part(_, ReplyLimit::Bytes(limit)) => *limit,
        }
    }

    /// Begins a reply, and returns the buffer to append it to.
    fn begin(&mut self) -> &mut Vec<u8> {
        match &mut self.target {
            ReplyTarget::Message(buffer, shared) => {
                // Messages that a handler sent before it returned go out before its reply.
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

    /// Removes a reply that was begun and not ended.
    #[cold]
    fn roll_back(&mut self) {
        match (self.start.take(), &mut self.target) {
            (None, _) => {}
            (Some(start), ReplyTarget::Message(buffer, _)) => buffer.take_back_reply(start),
            (Some(start), ReplyTarget::Part(out, _)) => out.truncate(start),
        }
    }
}

/// The answer to one request, made from the value of its handler.
#[derive(Debug)]
pub struct Answer<'a> {
    replies: Replies<'a>,
    /// `None` for a notification.
    id: Option<Id<'a>>,
    /// The log is told how the request ends, also where it is a notification.
    traced: bool,
    /// How the request has ended, once it is answered.
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

    /// How the request has ended.
    pub(super) fn ending(&self) -> Ending {
        self.ending.unwrap_or(Ending::Abandoned)
    }

    /// Answers with a result or an error. A notification is only logged.
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

    /// Answers with an error of the service; the request ends as `ending`.
    pub(super) fn write_error(&mut self, error: &ErrorObject, ending: Ending) {
        if let Some(id) = self.id {
            self.replies.error(id, error);
        }
        self.ending = Some(ending);
    }

    /// Runs code of the service that may answer. A panic becomes the answer, unless one was
    /// written.
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

/// The value that a handler has returned, without its type: made by [`returned`].
pub trait ReplyValue {
    /// Writes the value as the answer, once.
    #[doc(hidden)]
    fn answer(&mut self, to: &mut Answer<'_>);
}

/// Made by [`returned`].
#[derive(Debug)]
pub struct Returned<R, const FALLIBLE: bool>(Option<R>);

/// Wraps the value that a method has returned; `FALLIBLE` says whether it is a `Result`. There is
/// no bound on its type here, so that the compiler reports a type that cannot be a reply in one
/// place.
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

/// The reply for `value`, owned: for a value that borrows from something the handler holds.
pub fn written<const FALLIBLE: bool, R>(value: R) -> Result<Box<RawValue>, ErrorObject>
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    match value.into_result() {
        Ok(value) => to_raw_value(&value).map_err(|error| unwritable(&error)),
        Err(error) => Err(error.to_error_object()),
    }
}

/// The reason is for the log of the service, not for the peer.
#[cold]
fn unwritable(error: &serde_json::Error) -> ErrorObject {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a result cannot be written as JSON");
    ErrorObject::internal()
}

/// The payload of a panic.
pub(super) type PanicPayload = Box<dyn Any + Send>;

/// Logs a panic, and returns the error for the peer.
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

/// Drops a value of the service: its destructor may panic, and the loop must not.
pub(super) fn discard<T>(method: &str, value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        drop_panicked(method, panic);
    }
}

/// Logs a panic in a destructor of the service. An answer that was written stands.
#[cold]
pub(super) fn drop_panicked(method: &str, panic: PanicPayload) {
    tracing::error!(
        rpc.system.name = "jsonrpc",
        rpc.method = method,
        "dropping what a handler left panicked"
    );
    // A payload whose own destructor panics would end the loop: it is leaked.
    std::mem::forget(panic);
}
