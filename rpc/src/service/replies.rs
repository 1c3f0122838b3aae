//! Where replies are written: straight into the bytes that are sent.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    framing::AnyFramer,
    jsonrpc::{ErrorCode, ErrorObject, Id, RpcError, one_line, version::v2},
    session::Link,
};

/// The outgoing bytes of the loop of one session. Only the loop touches them: writing a reply here takes no lock.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Framed messages.
    bytes: Vec<u8>,
    /// How much of them has left.
    written: usize,
    framer: Box<dyn AnyFramer>,
    link: Arc<Link>,
}

/// What has left is cut off when it is more than this, and more than half.
const MUCH: usize = 64 << 10;

impl Replies {
    pub(crate) fn new(framer: Box<dyn AnyFramer>, link: Arc<Link>) -> Self {
        Self { bytes: Vec::new(), written: 0, framer, link }
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// What has not left yet.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// The next `bytes` bytes have left.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
        } else if self.written > MUCH && self.written > self.bytes.len() / 2 {
            self.forget_written();
        }
    }

    fn forget_written(&mut self) {
        self.bytes.drain(..self.written);
        self.written = 0;
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
        self.link.take_queued(&mut self.bytes);
    }

    /// Appends an error.
    pub(crate) fn error(&mut self, id: Id<'_>, error: &ErrorObject) {
        let start = self.begin();
        v2::put_error(&mut self.bytes, id, error);
        self.framer.finish(&mut self.bytes, start);
    }

    /// Appends what a handler has returned. A panic in the value's `Serialize` leaves nothing behind, and comes back.
    pub(super) fn result<T: Serialize, E: RpcError>(
        &mut self,
        id: Id<'_>,
        result: Result<T, E>,
    ) -> Result<(), Panic> {
        let limit = self.link.limits.reply_size;
        let start = self.begin();
        let bytes = &mut self.bytes;
        let written = catch_unwind(AssertUnwindSafe(|| put_result(bytes, id, result, limit)));
        match written {
            Ok(()) => self.framer.finish(&mut self.bytes, start),
            Err(_) => self.bytes.truncate(start),
        }
        written
    }

    fn begin(&mut self) -> usize {
        // What a handler sent before it returned leaves before its reply.
        if self.link.queued() > 0 {
            self.take_queued();
        }
        let start = self.bytes.len();
        self.framer.begin(&mut self.bytes);
        start
    }
}

/// What a panic was given.
pub(super) type Panic = Box<dyn Any + Send>;

/// Appends the reply to the request `id`. What cannot be sent becomes an error: the request is answered in any case.
pub(super) fn put_result<T: Serialize, E: RpcError>(
    out: &mut Vec<u8>,
    id: Id<'_>,
    result: Result<T, E>,
    limit: usize,
) {
    let message = out.len();
    let (size, failed) = match result {
        Ok(value) => {
            v2::begin_result(out, id);
            let start = out.len();
            let written = one_line::write(out, &value);
            let size = out.len() - start;
            v2::end_result(out);
            (size, written.err())
        }
        Err(error) => {
            v2::put_error(out, id, &error.to_error_object());
            (out.len() - message, None)
        }
    };
    if failed.is_some() || size > limit {
        out.truncate(message);
        v2::put_error(out, id, &unsendable(failed, size, limit));
    }
}

#[cold]
fn unsendable(failed: Option<serde_json::Error>, size: usize, limit: usize) -> ErrorObject {
    match failed {
        // Why a value of the handler's cannot be written is its author's affair, not the peer's.
        Some(error) => {
            tracing::error!(rpc.system.name = "jsonrpc", %error, "a result cannot be written as JSON");
            ErrorObject::internal()
        }
        None => ErrorObject::new(
            ErrorCode::INTERNAL_ERROR,
            format!("the result is too large: it has {size} bytes, and the limit is {limit}"),
        ),
    }
}
