//! From the outgoing bytes to the transport: everything that is ready goes out in one write.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{io::AsyncWrite as _, time::Instant};
use tracing::{Level, enabled, trace};

use super::session_loop::Driver;
use crate::{
    framing::{AnyFramer, Framed},
    jsonrpc::{secret, shown::brief_to},
};

/// How much is shown of a message, in bytes.
const MAX_LOGGED: usize = 64 << 10;

impl Driver {
    /// Writes what there is. Ready when nothing is left.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write_buffer(cx))?;
            // Items of subscriptions leave when nothing else is to be sent.
            if self.shared.queued() == 0 && !self.shared.has_items() {
                return self.poll_flush(cx);
            }
            if self.coalesces(cx) {
                return Poll::Pending;
            }
            let before = self.write_buffer.messages();
            if !self.shared.take_queued(&mut self.write_buffer) {
                // It has ended meanwhile: the rest is not sent.
                return self.poll_flush(cx);
            }
            if self.shared.limits.idle_timeout().is_some() {
                self.timers.idle.messages_sent(self.write_buffer.messages() - before, Instant::now());
            }
        }
    }

    /// Writes what the loop itself holds. Ready when all of it is written.
    pub(super) fn poll_write_buffer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_buffer.unwritten().is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !self.is_protocol_known {
            self.keep_sent_prefix();
        }
        self.wire_log_sent();
        let mut bytes = 0;
        let written = loop {
            match Pin::new(&mut self.io).poll_write(cx, self.write_buffer.unwritten()) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.write_buffer.advance(written);
                    bytes += written as u64;
                    self.has_written = true;
                    if self.write_buffer.unwritten().is_empty() {
                        break Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.write_stalled();
                    break Poll::Pending;
                }
            }
        };
        if bytes > 0 {
            self.uncharged_bytes += bytes;
            // What was read just now is answered just now.
            let now = self.read_at.unwrap_or_else(Instant::now);
            self.shared.counters.sent(self.write_buffer.messages(), bytes, now);
        }
        self.shared.set_unwritten(self.write_buffer.unwritten().len());
        written
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        match &flushed {
            // The transport has taken bytes that it could not pass on.
            Poll::Pending => self.write_stalled(),
            Poll::Ready(_) => self.timers.send_deadline = None,
        }
        flushed
    }

    /// Whether to wait for more before draining what handles have sent.
    fn coalesces(&mut self, cx: &mut Context<'_>) -> bool {
        if self.has_yielded {
            self.has_yielded = false;
            return false;
        }
        // The lock is the callers': in company it is not taken for this.
        let alone = self.last_delivered <= 1 && self.shared.is_alone();
        if !alone {
            self.yield_once(cx);
        }
        !alone
    }

    /// Lets the tasks that are ready now have their turn first: everybody whom a read woke gets to add to the next write.
    ///
    /// (Tokio's `yield_now` would wait for the whole queue to empty.)
    pub(super) fn yield_once(&mut self, cx: &mut Context<'_>) {
        self.has_yielded = true;
        cx.waker().wake_by_ref();
    }

    pub(super) fn wire_log_received(&self, frame: &[u8]) {
        if enabled!(Level::TRACE) {
            let text = brief_to(MAX_LOGGED, secret::shown(frame));
            trace!(rpc.system.name = "jsonrpc", session = self.shared.id, %text, "message received");
        }
    }

    /// Shows what is about to leave, and was not shown yet.
    fn wire_log_sent(&mut self) {
        if enabled!(Level::TRACE) {
            let (framer, bytes) = self.write_buffer.take_unshown();
            each_message(framer, bytes, |message| {
                let text = brief_to(MAX_LOGGED, secret::shown(message));
                trace!(rpc.system.name = "jsonrpc", session = self.shared.id, %text, "message sent");
            });
        }
    }
}

/// Takes apart what was framed. A framer that only writes may not be able to; then all of it is one.
fn each_message(mut framer: Box<dyn AnyFramer>, bytes: &[u8], mut log: impl FnMut(&[u8])) {
    // What is sent stays as it is.
    let mut copy = bytes.to_vec();
    let mut bytes = &mut *copy;
    while !bytes.is_empty() {
        let consumed = match framer.next(bytes) {
            Ok(Framed::Frame { frame, consumed }) => {
                log(&bytes[frame]);
                consumed
            }
            Ok(Framed::Decoded { frame, consumed }) => {
                log(&frame);
                consumed
            }
            Ok(Framed::Between { consumed }) => consumed,
            Ok(
                Framed::Incomplete { consumed }
                | Framed::Oversized { consumed, .. }
                | Framed::Dropping { consumed, .. }
                | Framed::Dropped { consumed, .. },
            ) if consumed > 0 => consumed,
            _ => return log(bytes),
        };
        bytes = &mut bytes[consumed..];
    }
}
