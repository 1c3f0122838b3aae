//! Where replies are written: straight into the bytes that are sent.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    framing::AnyFramer,
    jsonrpc::{ErrorCode, ErrorObject, Id, RpcError, one_line, version::v2},
    session::Link,
};

/// The outgoing bytes of the loop of one session. Only the loop touches them: writing a reply here takes no lock.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Framed messages, of which the loop has written a part.
    pub(crate) bytes: Vec<u8>,
    /// How much of them is written.
    pub(crate) written: usize,
    framer: Box<dyn AnyFramer>,
    link: Arc<Link>,
}

impl Replies {
    pub(crate) fn new(framer: Box<dyn AnyFramer>, link: Arc<Link>) -> Self {
        Self { bytes: Vec::new(), written: 0, framer, link }
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// How many bytes are not written yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Appends one message.
    pub(crate) fn message(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // What a handler sent before it returned leaves before its reply.
        if self.link.has_queued() {
            self.take_queued();
        }
        let start = self.bytes.len();
        self.framer.begin(&mut self.bytes);
        write(&mut self.bytes);
        self.framer.finish(&mut self.bytes, start);
    }

    /// Takes over what the handles of the session have sent.
    pub(crate) fn take_queued(&mut self) {
        self.link.take_queued(&mut self.bytes, self.written);
    }

    pub(crate) fn error(&mut self, id: Id<'_>, error: &ErrorObject) {
        self.message(|out| v2::put_error(out, id, error));
    }

    pub(super) fn result<T: Serialize, E: RpcError>(&mut self, id: Id<'_>, result: Result<T, E>) {
        let limit = self.link.limits.reply_size;
        self.message(|out| put_result(out, id, result, limit));
    }
}

/// Appends the reply to the request `id`. What cannot be sent becomes an error: the request is answered in any case.
pub(super) fn put_result<T: Serialize, E: RpcError>(
    out: &mut Vec<u8>,
    id: Id<'_>,
    result: Result<T, E>,
    limit: usize,
) {
    let value = match result {
        Ok(value) => value,
        Err(error) => return v2::put_error(out, id, &error.to_error_object()),
    };
    let message = out.len();
    v2::begin_result(out, id);
    let start = out.len();
    let written = one_line::write(out, &value);
    let size = out.len() - start;
    match written {
        Ok(()) if size <= limit => v2::end_result(out),
        written => {
            out.truncate(message);
            v2::put_error(out, id, &unsendable(written.err(), size, limit));
        }
    }
}

#[cold]
fn unsendable(error: Option<serde_json::Error>, size: usize, limit: usize) -> ErrorObject {
    match error {
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
