//! From the write buffer to the transport. Everything that is ready leaves in one write.

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

/// Maximum size of a message in the wire log, in bytes. Longer ones are shortened.
const MAX_LOGGED: usize = 64 << 10;

/// Writing.
impl Driver {
    /// Writes and flushes everything that waits. Ready when nothing is left.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write_buffer(cx))?;
            // Items of subscriptions are taken only when no other message waits.
            if self.shared.queued() == 0 && !self.shared.has_items() {
                return self.poll_flush(cx);
            }
            if self.yields_to_coalesce(cx) {
                return Poll::Pending;
            }
            let before = self.write_buffer.messages();
            if !self.shared.take_queued(&mut self.write_buffer) {
                // The session has ended: messages of handles are not sent any more.
                return self.poll_flush(cx);
            }
            if self.shared.limits.idle_timeout().is_some() {
                self.timers.idle.messages_sent(self.write_buffer.messages() - before, Instant::now());
            }
        }
    }

    /// Writes the loop's own buffer. Ready when it is empty.
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
            // The time of the read serves for the replies to it, and saves a clock read.
            let now = self.read_at.unwrap_or_else(Instant::now);
            self.shared.counters.sent(self.write_buffer.messages(), bytes, now);
        }
        self.shared.set_unwritten(self.write_buffer.unwritten().len());
        written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        match &flushed {
            // The transport has buffered bytes that it cannot pass on.
            Poll::Pending => self.write_stalled(),
            Poll::Ready(_) => self.timers.send_deadline = None,
        }
        flushed
    }

    /// Whether to yield once before taking the messages of handles, so that more of them coalesce
    /// into one write.
    fn yields_to_coalesce(&mut self, cx: &mut Context<'_>) -> bool {
        if self.has_yielded {
            self.has_yielded = false;
            return false;
        }
        // `is_alone` takes the lock, which several awake callers compete for: ask only if there is
        // at most one.
        let alone = self.last_delivered <= 1 && self.shared.is_alone();
        if !alone {
            self.yield_once(cx);
        }
        !alone
    }

    /// Wakes the loop behind the tasks that are ready now, so that every caller woken by a read can
    /// add to the next write.
    ///
    /// Tokio's `yield_now` would wait until the whole run queue is empty.
    pub(super) fn yield_once(&mut self, cx: &mut Context<'_>) {
        self.has_yielded = true;
        cx.waker().wake_by_ref();
    }
}

/// The wire log: whole messages, at the level `TRACE`.
impl Driver {
    pub(super) fn wire_log_received(&self, frame: &[u8]) {
        if enabled!(Level::TRACE) {
            let text = brief_to(MAX_LOGGED, secret::shown(frame));
            trace!(rpc.system.name = "jsonrpc", session = self.shared.id, %text, "message received");
        }
    }

    /// Logs the buffered messages that were not logged yet.
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

/// Splits framed bytes into messages. A framer that only writes may fail to read its own frames;
/// then the rest counts as one message.
fn each_message(mut framer: Box<dyn AnyFramer>, bytes: &[u8], mut log: impl FnMut(&[u8])) {
    // A framer may decode in place, and the bytes to be sent must not change.
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
