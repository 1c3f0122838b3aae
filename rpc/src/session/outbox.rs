//! The messages that wait to be taken by the loop: one buffer, framed as they are appended.

use std::convert::Infallible;

use super::framed::{Unsent, put_framed, put_refusal};
use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{Id, version::Version},
};

#[derive(Debug)]
pub(crate) struct Outbox {
    /// Whole messages, framed, in the order in which they were sent.
    bytes: Vec<u8>,
    messages: u64,
    framer: Box<dyn AnyFramer>,
}

impl Outbox {
    pub(crate) const fn new(framer: Box<dyn AnyFramer>) -> Self {
        Self { bytes: Vec::new(), messages: 0, framer }
    }

    /// Appends one message, written by `write`, unless it does not fit into a frame.
    fn message(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), FrameError> {
        let put = self.try_message(|out| {
            write(out);
            Ok::<_, Infallible>(())
        });
        match put {
            Ok(()) => Ok(()),
            Err(Unsent::Unframed((), error)) => Err(error),
            Err(Unsent::Unwritten(never)) => match never {},
        }
    }

    /// Appends one message, unless `write` fails or it does not fit into a frame.
    pub(crate) fn try_message<R, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, Unsent<R, E>> {
        let put = put_framed(&*self.framer, &mut self.bytes, write);
        self.messages += u64::from(put.is_ok());
        put
    }

    /// Appends the reply to the request `id`. One that does not fit into a frame becomes an error.
    pub(crate) fn reply(&mut self, version: Version, id: Id<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        if let Err(error) = self.message(write) {
            let put = put_refusal(&*self.framer, &mut self.bytes, version, id, &error);
            self.messages += u64::from(put);
        }
    }

    /// Appends an item of a subscription. One that does not fit into a frame is left out: nobody waits for it who could be told.
    pub(crate) fn item(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Err(error) = self.message(write) {
            tracing::error!(rpc.system.name = "jsonrpc", %error, "an item of a subscription was left out");
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Moves everything to the end of `buffer`, which costs nothing where that is empty. Gives the number of messages.
    pub(crate) fn take_into(&mut self, buffer: &mut Vec<u8>) -> u64 {
        if buffer.is_empty() {
            std::mem::swap(buffer, &mut self.bytes);
        } else {
            buffer.append(&mut self.bytes);
        }
        std::mem::take(&mut self.messages)
    }

    pub(crate) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}
