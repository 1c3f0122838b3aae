//! Where replies are written: straight into the bytes that are sent.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::Serialize;

use super::RequestPeer;
use crate::{
    framing::AnyFramer,
    jsonrpc::{ErrorCode, ErrorObject, Id, RpcError, result::put_result, version::Version},
    session::{Loads, Shared, put_refusal},
};

/// The outgoing bytes of the loop of one session. Only the loop touches them: writing a reply here takes no lock.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Framed messages.
    bytes: Vec<u8>,
    /// How much of them has left.
    written: usize,
    /// How much of them was shown in the log, where that is asked for.
    shown: usize,
    /// How many messages there have been.
    messages: u64,
    /// What of the handles' messages has left.
    loads: Loads,
    /// `None` where a reply becomes part of a larger message.
    framer: Option<Box<dyn AnyFramer>>,
    version: Version,
    peer: RequestPeer<Arc<Shared>>,
}

/// What has left is cut off when it is more than this, and more than half.
const MUCH: usize = 64 << 10;

impl Replies {
    pub(crate) const fn new(framer: Box<dyn AnyFramer>, version: Version, link: Arc<Shared>) -> Self {
        Self::over(Some(framer), version, RequestPeer::Session(link))
    }

    /// A place for replies that do not leave by themselves.
    pub(crate) const fn unframed(version: Version, peer: RequestPeer<Arc<Shared>>) -> Self {
        Self::over(None, version, peer)
    }

    const fn over(
        framer: Option<Box<dyn AnyFramer>>,
        version: Version,
        peer: RequestPeer<Arc<Shared>>,
    ) -> Self {
        let loads = Loads::new();
        Self { bytes: Vec::new(), written: 0, shown: 0, messages: 0, loads, framer, version, peer }
    }

    /// What replies are written in from here on.
    pub(crate) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    pub(super) const fn peer(&self) -> &RequestPeer<Arc<Shared>> {
        &self.peer
    }

    /// What has not left yet.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// The next `bytes` bytes have left.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        self.loads.leave(bytes, self.written == self.bytes.len());
        if self.written == self.bytes.len() {
            self.bytes.clear();
            (self.written, self.shown) = (0, 0);
        } else if self.written > MUCH && self.written > self.bytes.len() / 2 {
            self.forget_written();
        }
    }

    fn forget_written(&mut self) {
        self.bytes.drain(..self.written);
        self.shown = self.shown.saturating_sub(self.written);
        self.written = 0;
    }

    /// What has not left and was not given before, for the log, and a framer that can take it apart.
    #[cold]
    pub(crate) fn take_unshown(&mut self) -> Option<(Box<dyn AnyFramer>, &[u8])> {
        let from = std::mem::replace(&mut self.shown, self.bytes.len()).max(self.written);
        let mut framer = self.framer.as_ref()?.of_sent();
        framer.set_limit(usize::MAX);
        Some((framer, &self.bytes[from..]))
    }

    /// What was written, and makes room for the next.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        (self.written, self.shown) = (0, 0);
        std::mem::take(&mut self.bytes)
    }

    /// The bytes of memory that are kept.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back memory that only large messages needed.
    pub(crate) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// Takes over what the handles of the session have sent.
    pub(crate) fn take_queued(&mut self) {
        self.forget_written();
        self.loads.take(self.bytes.len());
        if let Some(link) = self.peer.link() {
            self.messages += link.take_queued(&mut self.bytes);
        }
    }

    /// Which of the handles' messages have left.
    pub(crate) const fn loads(&self) -> &Loads {
        &self.loads
    }

    /// How many messages there have been, those included that have not left yet.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Appends bytes that are no message to the peer's framer, and after which no message comes.
    pub(crate) fn last_word(&mut self, bytes: &[u8]) {
        self.shown = self.bytes.len() + bytes.len();
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends an error.
    pub(crate) fn error(&mut self, id: Id<'_>, error: &ErrorObject) {
        if self.peer.link().is_some_and(|link| link.carries_messages) {
            // Nobody there would understand it.
            return;
        }
        let start = self.begin();
        self.version.put_error(&mut self.bytes, id, error);
        self.finish(start, id);
    }

    /// Appends what a handler has returned, and gives the code where the reply is an error. A panic in the value's `Serialize` leaves
    /// nothing behind, and comes back.
    pub(super) fn result<T: Serialize, E: RpcError>(
        &mut self,
        id: Id<'_>,
        result: &Result<T, E>,
    ) -> Result<Option<ErrorCode>, Panic> {
        let limit = self.peer.reply_size();
        let start = self.begin();
        let (bytes, version) = (&mut self.bytes, self.version);
        let result = result.as_ref();
        let written = catch_unwind(AssertUnwindSafe(|| put_result(bytes, version, id, result, limit)));
        match written {
            Ok(_) => self.finish(start, id),
            Err(_) => self.bytes.truncate(start),
        }
        written
    }

    /// Appends the answer to a request that has been done, and about which there is nothing to say.
    pub(crate) fn null(&mut self, id: Id<'_>) {
        // It can always be written.
        drop(self.result(id, &Ok::<_, Infallible>(())));
    }

    fn begin(&mut self) -> usize {
        if self.framer.is_none() {
            return self.bytes.len();
        }
        // What a handler sent before it returned leaves before its reply.
        if self.peer.link().is_some_and(|link| link.queued() > 0) {
            self.take_queued();
        }
        let start = self.bytes.len();
        if let Some(framer) = &self.framer {
            framer.begin(&mut self.bytes);
        }
        start
    }

    fn finish(&mut self, start: usize, id: Id<'_>) {
        let Some(framer) = &self.framer else { return };
        let put = match framer.finish(&mut self.bytes, start) {
            Ok(()) => true,
            Err(error) => {
                self.bytes.truncate(start);
                let refusal = put_refusal(&**framer, &mut self.bytes, self.version, id, &error);
                refusal.log(&error);
                refusal.is_told()
            }
        };
        self.messages += u64::from(put);
    }
}

/// What a panic was given.
pub(super) type Panic = Box<dyn Any + Send>;
