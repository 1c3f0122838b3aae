//! The messages that wait to be taken by the loop: one buffer, framed as they are appended.
//!
//! Where the framer is the user's, none of its code runs in here, under the session's lock. What a
//! handle sends is framed before it is appended; what the session itself appends is framed by the
//! loop, when it takes it.

use std::{convert::Infallible, ops::Range};

use super::{
    chunks::Position,
    frames::{Unsent, put_framed, put_refusal},
};
use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{Id, RequestId, shown::brief, version::Version},
    session::shared::Effects,
};

#[derive(Debug)]
pub(crate) struct Outbox {
    /// Whole messages, in the order in which they were sent.
    bytes: Vec<u8>,
    messages: u64,
    /// How many loads the loop has taken.
    loads: u32,
    /// `None` where it is the user's.
    framer: Option<Box<dyn AnyFramer>>,
    /// Which of the bytes are not framed yet.
    unframed: Vec<Unframed>,
}

/// A message that is not framed yet.
#[derive(Debug)]
struct Unframed {
    message: Range<usize>,
    kind: Kind,
}

/// What follows where a message does not fit into a frame.
#[derive(Debug)]
enum Kind {
    /// The request is answered with an error.
    Reply(RequestId),
    /// It is left out, and the log says so.
    Item,
    Notice,
}

/// Messages that the loop frames.
#[derive(Debug)]
pub(crate) struct ToFrame {
    bytes: Vec<u8>,
    unframed: Vec<Unframed>,
}

impl Outbox {
    pub(crate) fn new(framer: &dyn AnyFramer) -> Self {
        let framer = framer.is_own().then(|| framer.cloned());
        Self { bytes: Vec::new(), messages: 0, loads: 0, framer, unframed: Vec::new() }
    }

    /// Appends one message, unless `write` fails or it does not fit into a frame. Where the framer
    /// is the user's, that is found out later.
    pub(crate) fn notice<R, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, Unsent<R, E>> {
        self.put(write, || Kind::Notice)
    }

    #[inline]
    fn put<R, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
        kind: impl FnOnce() -> Kind,
    ) -> Result<R, Unsent<R, E>> {
        let Some(framer) = &self.framer else {
            let start = self.bytes.len();
            let written = write(&mut self.bytes);
            match written {
                Ok(_) => self.unframed.push(Unframed { message: start..self.bytes.len(), kind: kind() }),
                Err(_) => self.bytes.truncate(start),
            }
            return written.map_err(Unsent::Unwritten);
        };
        let put = put_framed(&**framer, &mut self.bytes, write);
        self.messages += u64::from(put.is_ok());
        put
    }

    /// Appends a message that was framed already.
    pub(crate) fn framed(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.messages += 1;
    }

    /// Appends the reply to the request `id`. One that does not fit into a frame becomes an error.
    pub(crate) fn reply(
        &mut self,
        version: Version,
        id: Id<'_>,
        effects: &mut Effects,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let put = self.put(infallible(write), || Kind::Reply(id.to_owned()));
        if let (Err(error), Some(framer)) = (does_not_fit(put), &self.framer) {
            let refusal = put_refusal(&**framer, &mut self.bytes, version, id, &error);
            self.messages += u64::from(refusal.is_told());
            effects.later(move || refusal.log(&error));
        }
    }

    /// Appends an item of a subscription. One that does not fit into a frame is left out: no call
    /// waits for it.
    pub(crate) fn item(&mut self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let put = self.put(infallible(write), || Kind::Item);
        if let Err(error) = does_not_fit(put) {
            effects.later(move || log_item(&error));
        }
    }

    /// Where a message stands that is appended next.
    pub(in crate::session) fn position(&self) -> Position {
        // What is framed later becomes longer: of that no more is known than its load.
        let offset = self.framer.as_ref().and_then(|_| u32::try_from(self.bytes.len()).ok());
        Position { load: self.loads, offset: offset.unwrap_or(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Moves everything to the end of `buffer`, which costs nothing where that is empty, and gives
    /// the number of messages; or gives what is to be framed first.
    pub(crate) fn take_into(&mut self, buffer: &mut Vec<u8>) -> (u64, Option<ToFrame>) {
        let messages = std::mem::take(&mut self.messages);
        self.loads = self.loads.wrapping_add(1);
        if !self.unframed.is_empty() {
            let (bytes, unframed) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.unframed));
            return (messages, Some(ToFrame { bytes, unframed }));
        }
        if buffer.is_empty() {
            std::mem::swap(buffer, &mut self.bytes);
        } else {
            buffer.append(&mut self.bytes);
        }
        (messages, None)
    }

    pub(crate) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

impl ToFrame {
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends everything to `buffer`, framed. Gives the number of messages that were not yet.
    pub(crate) fn frame(self, framer: &dyn AnyFramer, version: Version, buffer: &mut Vec<u8>) -> u64 {
        let (mut messages, mut at) = (0, 0);
        for Unframed { message, kind } in self.unframed {
            buffer.extend_from_slice(&self.bytes[at..message.start]);
            at = message.end;
            let put =
                put_framed(framer, buffer, infallible(|out| out.extend_from_slice(&self.bytes[message])));
            messages += u64::from(match (does_not_fit(put), kind) {
                (Ok(()), _) => true,
                (Err(error), Kind::Reply(id)) => {
                    let refusal = id.with(|id| put_refusal(framer, buffer, version, id, &error));
                    refusal.log(&error);
                    refusal.is_told()
                }
                (Err(error), Kind::Item) => {
                    log_item(&error);
                    false
                }
                (Err(error), Kind::Notice) => {
                    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a message does not fit into a frame");
                    false
                }
            });
        }
        buffer.extend_from_slice(&self.bytes[at..]);
        messages
    }
}

fn infallible(write: impl FnOnce(&mut Vec<u8>)) -> impl FnOnce(&mut Vec<u8>) -> Result<(), Infallible> {
    |out| {
        write(out);
        Ok(())
    }
}

fn does_not_fit(put: Result<(), Unsent<(), Infallible>>) -> Result<(), FrameError> {
    put.map_err(|unsent| match unsent {
        Unsent::Unframed((), error) => error,
        Unsent::Unwritten(never) => match never {},
    })
}

#[cold]
fn log_item(error: &FrameError) {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(error), "an item of a subscription was left out");
}
