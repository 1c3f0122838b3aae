//! The messages that wait to be taken by the loop: one buffer, framed as they are appended.

use crate::framing::AnyFramer;

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

    /// Appends one message, written by `write`.
    pub(crate) fn message(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.framer.begin(&mut self.bytes);
        write(&mut self.bytes);
        self.framer.finish(&mut self.bytes, start);
        self.messages += 1;
    }

    /// Appends one message, unless `write` fails.
    pub(crate) fn try_message<R, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, E> {
        let start = self.bytes.len();
        self.framer.begin(&mut self.bytes);
        let written = write(&mut self.bytes);
        match written {
            Ok(_) => {
                self.framer.finish(&mut self.bytes, start);
                self.messages += 1;
            }
            Err(_) => self.bytes.truncate(start),
        }
        written
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
