//! Where the reply to a request is written: straight into the bytes that are sent.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::Serialize;

use super::{RequestPeer, peer::RequestPeerRef};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, RpcError, result::put_result, version::Version},
    session::{Shared, WriteBuffer},
};

/// Writes the reply to one request, in the version that is spoken. It takes no lock: the bytes are
/// the loop's own.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    to: To<'a>,
    version: Version,
    peer: RequestPeerRef<'a>,
}

#[derive(Debug)]
enum To<'a> {
    /// The reply is a message.
    Message(&'a mut WriteBuffer),
    /// The reply becomes a part of a message: it is one of a batch, or its message is sent by other
    /// means.
    Part(&'a mut Vec<u8>),
}

impl<'a> Replies<'a> {
    /// Appends replies to what the session sends.
    pub(crate) const fn new(buffer: &'a mut WriteBuffer, version: Version, link: &'a Arc<Shared>) -> Self {
        Self { to: To::Message(buffer), version, peer: RequestPeer::Session(link) }
    }

    /// Appends replies that do not leave by themselves, without any framing.
    pub(crate) const fn part(out: &'a mut Vec<u8>, version: Version, peer: RequestPeerRef<'a>) -> Self {
        Self { to: To::Part(out), version, peer }
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    pub(super) const fn peer(&self) -> RequestPeerRef<'a> {
        self.peer
    }

    /// Appends an error.
    pub(crate) fn error(&mut self, id: Id<'_>, error: &ErrorObject) {
        if self.peer.link().is_some_and(|link| link.carries_messages) {
            // The peer does not speak JSON-RPC.
            return;
        }
        let version = self.version;
        let (start, out) = self.begin();
        version.put_error(out, id, error);
        self.end(start, id);
    }

    /// Appends what a handler has returned, and gives the code where the reply is an error. A panic
    /// in the value's `Serialize` leaves nothing behind, and comes back.
    pub(super) fn result<T: Serialize, E: RpcError>(
        &mut self,
        id: Id<'_>,
        result: &Result<T, E>,
    ) -> Result<Option<ErrorCode>, Panic> {
        let (limit, version) = (self.peer.reply_size(), self.version);
        let (start, out) = self.begin();
        let result = result.as_ref();
        let written = catch_unwind(AssertUnwindSafe(|| put_result(out, version, id, result, limit)));
        match written {
            Ok(_) => self.end(start, id),
            Err(_) => self.take_back(start),
        }
        written
    }

    /// Appends the answer to a request that has been done, and about which there is nothing to say.
    pub(crate) fn null(&mut self, id: Id<'_>) {
        // It can always be written.
        drop(self.result(id, &Ok::<_, Infallible>(())));
    }

    /// Begins a reply: gives where, and the bytes that it is to be appended to.
    fn begin(&mut self) -> (usize, &mut Vec<u8>) {
        match &mut self.to {
            To::Message(buffer) => {
                // Messages that a handler sent before it returned leave before its reply.
                if let Some(link) = self.peer.link().filter(|link| link.queued() > 0) {
                    link.take_queued(buffer);
                }
                buffer.begin_reply()
            }
            To::Part(out) => (out.len(), out),
        }
    }

    fn end(&mut self, start: usize, id: Id<'_>) {
        match &mut self.to {
            To::Message(buffer) => buffer.end_reply(start, self.version, id),
            To::Part(_) => {}
        }
    }

    #[cold]
    fn take_back(&mut self, start: usize) {
        match &mut self.to {
            To::Message(buffer) => buffer.take_back_reply(start),
            To::Part(out) => out.truncate(start),
        }
    }
}

/// What a panic was given.
pub(super) type Panic = Box<dyn Any + Send>;
