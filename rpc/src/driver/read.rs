//! From bytes to frames: reads, applies back-pressure, discards oversized frames, and handles the
//! end of the stream.

use std::{
    ops::Range,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::{
    inbox::{Oversized, Unread},
    session_loop::{Backlog, Driver, Flow, MAX_FRAMES},
};
use crate::{
    framing::{FrameError, Framed, is_far_over},
    jsonrpc::{CallId, ErrorObject, Id, Reply, Rest, Verdict, clean_io},
    service::{InlinePolicy, Replies},
    session::CloseReason,
};

/// Size of buffered replies, in bytes, at which they are written although more frames are left to
/// process.
const WRITE_PART: usize = 16 << 10;

/// Frames.
impl Driver {
    /// Reads once and processes every whole frame. Pending when nothing was received, or while a
    /// request waits for a permit.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let backlog = std::mem::replace(&mut self.backlog, Backlog::Empty);
        match backlog {
            Backlog::Empty => {}
            Backlog::ReadAhead if self.has_back_pressure()? => self.backlog = Backlog::ReadAhead,
            Backlog::ReadAhead | Backlog::Yielded if !self.is_protocol_known => {
                let unread = self.inbox.unread();
                self.process_opening(cx, unread)?;
            }
            Backlog::ReadAhead | Backlog::Blocked | Backlog::Yielded => {
                let unread = self.inbox.unread();
                self.process_frames(cx, unread, backlog == Backlog::Blocked)?;
            }
        }
        // The resumed frames may have queued replies, or ended the session: let the loop write
        // before it reads.
        let was_resumed = backlog != Backlog::Empty && self.backlog == Backlog::Empty;
        if self.backlog == Backlog::Yielded || was_resumed {
            return Poll::Ready(Ok(()));
        }
        if matches!(self.backlog, Backlog::Blocked | Backlog::ReadAhead) || self.has_back_pressure()? {
            return self.poll_peer_gone(cx).map(Err);
        }
        if self.inbox.has_ended() {
            return Poll::Ready(self.end_of_stream(cx));
        }
        match ready!(self.inbox.poll_read(cx, &mut self.io)) {
            Ok(Some(unread)) if self.is_protocol_known => Poll::Ready(self.process_frames(cx, unread, false)),
            Ok(Some(unread)) => Poll::Ready(self.process_opening(cx, unread)),
            Ok(None) => Poll::Ready(self.end_of_stream(cx)),
            Err(error) => Poll::Ready(Err(self.read_error_reason(error))),
        }
    }

    /// Processes the frames in `unread`. `is_retry` is set if the first one was blocked before, and
    /// so is logged and counted already.
    pub(super) fn process_frames(
        &mut self,
        cx: &mut Context<'_>,
        mut unread: Unread,
        mut is_retry: bool,
    ) -> Result<(), CloseReason> {
        let started = Instant::now();
        self.turn.began.get_or_insert(started);
        let mut frames = 0;
        let (mut messages, bytes) = (0, self.inbox.take_last_read() as u64);
        let idle_since = self.timers.idle.last_activity();
        // Bytes left over from an earlier read are no new activity.
        if bytes > 0 {
            self.timers.idle.bytes_received(started);
        }
        self.uncharged_bytes += bytes;
        let outcome = loop {
            if unread.is_empty() {
                break Ok(());
            }
            if frames == MAX_FRAMES {
                self.backlog = Backlog::Yielded;
                break Ok(());
            }
            frames += 1;
            let flow = match self.framer.next(unread.bytes_mut()) {
                Ok(Framed::Frame { frame, consumed }) => {
                    self.timers.idle.frame_ended();
                    let flow = self.receive_frame(&unread.bytes()[frame], std::mem::take(&mut is_retry));
                    if flow != Flow::Blocked {
                        unread.consume(consumed);
                        messages += 1;
                    }
                    flow
                }
                Ok(Framed::Decoded { frame, consumed })
                    if !is_retry && frame.len() > self.shared.limits.frame_size() =>
                {
                    self.timers.idle.frame_ended();
                    self.framer.taken();
                    unread.consume(consumed);
                    self.oversized_decoded(&frame)
                }
                Ok(Framed::Decoded { frame, consumed }) => {
                    self.timers.idle.frame_ended();
                    let flow = self.receive_frame(&frame, std::mem::take(&mut is_retry));
                    if flow != Flow::Blocked {
                        self.framer.taken();
                        unread.consume(consumed);
                        messages += 1;
                    }
                    flow
                }
                Ok(Framed::Incomplete { consumed: 0 }) => match self.last_frame(unread.bytes()) {
                    Some(frame) => {
                        self.timers.idle.frame_ended();
                        let flow = self.receive_frame(&unread.bytes()[frame], std::mem::take(&mut is_retry));
                        if flow != Flow::Blocked {
                            unread.consume(unread.bytes().len());
                            messages += 1;
                        }
                        flow
                    }
                    None => {
                        self.timers.idle.frame_continues(started);
                        break Ok(());
                    }
                },
                Ok(Framed::Between { consumed: 0 }) => {
                    self.timers.idle.frame_ended();
                    break Ok(());
                }
                Ok(Framed::Between { consumed }) => {
                    self.timers.idle.frame_ended();
                    unread.consume(consumed);
                    if self.has_peer_closed() {
                        break Err(self.peer_close_reason());
                    }
                    Flow::Continue
                }
                Ok(Framed::Incomplete { consumed }) => {
                    self.timers.idle.frame_continues(started);
                    unread.consume(consumed);
                    if self.has_peer_closed() {
                        break Err(self.peer_close_reason());
                    }
                    Flow::Continue
                }
                Ok(Framed::Dropping { consumed, is_last }) => {
                    match is_last {
                        true => self.dropped_frame_ended(started),
                        false => self.timers.idle.frame_continues(started),
                    }
                    let flow = self.skim_oversized(&unread.bytes()[..consumed], is_last);
                    unread.consume(consumed);
                    flow
                }
                Ok(Framed::Oversized { size, limit, consumed }) => {
                    self.timers.idle.frame_continues(started);
                    unread.consume(consumed);
                    self.oversized_announced(size, limit, unread.bytes())
                }
                Ok(Framed::Dropped { error, consumed }) => {
                    self.dropped_frame_ended(started);
                    let flow = self.frame_dropped(&unread.bytes()[..consumed], &error);
                    unread.consume(consumed);
                    flow
                }
                Err(error) => break Err(CloseReason::Frame(error)),
            };
            match flow {
                // Write in parts, so that the peer can work on the first replies meanwhile.
                Flow::Continue if self.write_buffer.unwritten().len() >= WRITE_PART => {
                    if let Poll::Ready(Err(error)) = self.poll_write_buffer(cx) {
                        break Err(self.peer_reason_or(CloseReason::Io(Arc::new(clean_io(error)))));
                    }
                }
                Flow::Continue if self.replies.are_a_group() => {
                    self.backlog = Backlog::Yielded;
                    break Ok(());
                }
                Flow::Continue => {}
                Flow::Blocked => {
                    self.framer.put_back();
                    self.backlog = Backlog::Blocked;
                    break Ok(());
                }
                Flow::Closing => break Ok(()),
            }
        };
        self.inbox.keep(unread);
        self.turn.frames += frames;
        self.shared.counters.received(messages, bytes, started);
        self.deliver();
        self.timers.idle.messages_received(messages);
        if messages == 0 && self.control.is_some() && self.backlog == Backlog::Empty {
            self.timers.idle.only_control_received(idle_since);
        }
        let now = Instant::now();
        self.read_at = Some(now);
        if now - started > InlinePolicy::SLOW {
            self.dispatch.routes.suspect();
        }
        outcome
    }

    /// A last message at the end of the stream that lacks only its delimiter. An incomplete object
    /// or array does not count, so that no truncated message is processed.
    fn last_frame(&self, unread: &[u8]) -> Option<Range<usize>> {
        if !self.inbox.has_ended() || self.message_handler.is_some() {
            return None;
        }
        let frame = self.framer.last(unread)?;
        let message = unread[frame.clone()].trim_ascii_start();
        let is_whole =
            matches!(message, [b'{' | b'[', ..]) && serde_json::from_slice::<IgnoredAny>(message).is_ok();
        is_whole.then_some(frame)
    }
}

/// Back-pressure.
impl Driver {
    /// Back-pressure: stop reading while the write buffer or a `Wait` subscription is full. While a
    /// call of this side is in flight, reading continues and requests are refused; a peer that then
    /// keeps sending requests without reading the replies ends the session.
    pub(super) fn has_back_pressure(&self) -> Result<bool, CloseReason> {
        let (unsent, limit) = (self.unsent(), self.shared.limits.outgoing_bytes());
        if unsent < limit && !self.shared.has_full_channels() {
            return Ok(false);
        }
        if !self.shared.calls_wait() {
            return Ok(true);
        }
        // Count the refusals alone: a large message of this side is not the peer's fault.
        match unsent >= limit && self.refusal_bytes >= limit {
            true => Err(CloseReason::OutgoingFull { unsent, limit }),
            false => Ok(false),
        }
    }

    /// Number of bytes that wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.write_buffer.unwritten().len() + self.shared.queued()
    }
}

/// Oversized frames. Their bytes are discarded as they arrive; the call that a frame replies to fails,
/// and a request is answered with an error.
impl Driver {
    /// The header declares an oversized frame, whose bytes start at `behind`.
    #[cold]
    fn oversized_announced(&mut self, size: usize, limit: usize, behind: &[u8]) -> Flow {
        self.oversized = Some(Box::new(Oversized { declared: Some(size), ..Oversized::default() }));
        if is_far_over(size, limit) {
            // The bytes received so far may tell which call or request it belongs to.
            self.skim(&behind[..behind.len().min(size)], size, limit);
            return self.close_for_oversized(size, limit);
        }
        let error = FrameError::TooLarge { size, limit };
        let flow = self.charge_for_frame(&error);
        if flow == Flow::Closing {
            // The charge has closed the session, and told the peer: the frame needs no answer.
            self.oversized = None;
        }
        flow
    }

    /// Skims one part of an oversized frame, and discards it.
    #[cold]
    fn skim_oversized(&mut self, part: &[u8], is_last: bool) -> Flow {
        let limit = self.shared.limits.frame_size();
        let oversized = self.oversized.get_or_insert_default();
        let (declared, received) = (oversized.declared, oversized.skim.size() + part.len());
        self.skim(part, declared.unwrap_or(received), limit);
        if is_last {
            self.answer_oversized(received, limit, Rest::Nothing);
            self.oversized = None;
        } else if declared.is_none() && is_far_over(received, limit) {
            return self.close_for_oversized(received, limit);
        } else {
            self.answer_oversized(received, limit, Rest::Comes);
        }
        Flow::Continue
    }

    /// A frame was dropped whole. `part` is the end of it, as far as it was not skimmed before.
    #[cold]
    fn frame_dropped(&mut self, part: &[u8], error: &FrameError) -> Flow {
        if let FrameError::TooLarge { size, limit } = *error {
            self.skim(part, size, limit);
            self.answer_oversized(size, limit, Rest::Nothing);
            if is_far_over(size, limit) {
                return self.close_for_oversized(size, limit);
            }
            self.oversized = None;
        }
        self.charge_for_frame(error)
    }

    /// The framer has decoded a message that is over the limit.
    #[cold]
    fn oversized_decoded(&mut self, frame: &[u8]) -> Flow {
        let (size, limit) = (frame.len(), self.shared.limits.frame_size());
        self.oversized = Some(Box::new(Oversized { is_decoded: true, ..Oversized::default() }));
        self.frame_dropped(frame, &FrameError::TooLarge { size, limit })
    }

    /// A dropped frame has ended. Its timeout keeps running if the framer still expects bytes of
    /// it.
    #[cold]
    fn dropped_frame_ended(&mut self, now: Instant) {
        match self.framer.owes_more() {
            true => self.timers.idle.frame_continues(now),
            false => self.timers.idle.frame_ended(),
        }
    }

    /// Gives up on an oversized frame that will not be completed. It is answered if it may be a
    /// request; returns whether that was done now.
    #[cold]
    pub(super) fn abandon_oversized(&mut self) -> bool {
        let Some(oversized) = &self.oversized else { return false };
        let received = oversized.skim.size();
        let is_answered = self.answer_oversized(received, self.shared.limits.frame_size(), Rest::Unread);
        self.oversized = None;
        is_answered
    }

    /// Looks for ids in a part of an oversized frame. If it replies to one of this side's, that call
    /// fails at once and need not wait for its timeout.
    fn skim(&mut self, part: &[u8], size: usize, limit: usize) {
        let (shared, replies) = (&self.shared, &mut self.replies);
        self.oversized.get_or_insert_default().skim.read(part, |call: CallId| {
            if shared.waits_for(call) {
                replies.push(Some(call), Reply::too_large(size, limit));
            }
        });
    }

    /// Answers an oversized frame, of which `size` bytes are known, as soon as it is clear whether
    /// an answer is due and under which id. Returns whether it was answered now.
    fn answer_oversized(&mut self, size: usize, limit: usize, rest: Rest) -> bool {
        let Some(mut oversized) = self.oversized.take_if(|oversized| !oversized.is_settled) else {
            return false;
        };
        let verdict = oversized.skim.verdict(self.version, rest);
        let is_settled = verdict != Verdict::Unknown;
        let id = match verdict {
            // Messages of the application have no JSON-RPC errors.
            _ if self.message_handler.is_some() => None,
            Verdict::Error(id) => Some(id),
            // With an application's framer, bytes between delimiters need not be a message; only a
            // decoded one is known to be.
            Verdict::Unreadable if self.framer.is_own() || oversized.is_decoded => Some(Id::NULL),
            Verdict::Unknown | Verdict::Silence | Verdict::Unreadable => None,
        };
        if let Some(id) = id {
            let is_whole = oversized.declared.is_some() || rest == Rest::Nothing;
            let error = ErrorObject::too_large(oversized.declared.unwrap_or(size), is_whole, limit);
            self.shared.log_refused(Some(id), &error);
            self.count_refusal(id, &error);
            let version = oversized.skim.answered_in(self.version);
            Replies::new(&mut self.write_buffer, version, &self.shared).error(id, &error);
        }
        let is_answered = id.is_some();
        oversized.is_settled = is_settled;
        self.oversized = Some(oversized);
        is_answered
    }

    /// Closes the session instead of waiting for the end of a frame far over the limit.
    fn close_for_oversized(&mut self, size: usize, limit: usize) -> Flow {
        self.answer_oversized(size, limit, Rest::Unread);
        self.oversized = None;
        // The calls that the frame replies to fail with their own error, before the close ends
        // them.
        self.deliver();
        let error = FrameError::TooLarge { size, limit };
        self.shared.start_close(CloseReason::Frame(error.clone()));
        self.charge_for_frame(&error);
        Flow::Closing
    }
}

/// The end of the stream.
impl Driver {
    fn end_of_stream(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.check_opening_at_end()?;
        if self.is_protocol_known && self.inbox.len() > 0 {
            let unread = self.inbox.unread();
            self.process_frames(cx, unread, false)?;
            if self.backlog != Backlog::Empty {
                // The last message waits for a permit, and the end of the stream behind it.
                return Ok(());
            }
        }
        if self.control.is_some() {
            // This transport has a close frame. A stream that ends without one is broken.
            return Err(self.peer_close_reason());
        }
        // Requests received before are still answered: many peers shut down their sending direction
        // after the last one.
        self.shared.start_close(self.peer_close_reason());
        Ok(())
    }

    /// Ready when the peer is gone while no input is processed. Nobody would read the replies then.
    pub(super) fn poll_peer_gone(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.io.reports_hang_up() {
            match self.io.poll_hang_up(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(self.peer_close_reason()),
                Poll::Ready(Err(error)) => return Poll::Ready(self.read_error_reason(error)),
                Poll::Pending if self.control.is_none() => return Poll::Pending,
                // A close frame may follow the input that waits.
                Poll::Pending => {}
            }
        }
        loop {
            if self.control.is_some() {
                let has_ended = self.framer.look_ahead(self.inbox.rest()) || self.inbox.has_ended();
                // Items that wait for a slow subscriber of this side are delivered first.
                if has_ended && !self.shared.has_full_channels() {
                    return Poll::Ready(self.peer_close_reason());
                }
            }
            match ready!(self.inbox.poll_read_ahead(cx, &mut self.io)) {
                // A slow subscriber of this side, not a reply that is due, holds the session open:
                // no close timeout.
                Ok(()) if self.inbox.has_ended() && self.shared.has_full_channels() => {}
                Ok(()) if self.inbox.has_ended() => self.timers.stream_ended(&self.shared.limits),
                Ok(()) if self.backlog == Backlog::Empty => self.backlog = Backlog::ReadAhead,
                Ok(()) => {}
                Err(error) => return Poll::Ready(self.read_error_reason(error)),
            }
        }
    }
}
