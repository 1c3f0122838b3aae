//! From bytes to frames: reads, finds frames, drops those that are over the limit, and finds the end of the stream.

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
    service::{Pace, Replies},
    session::CloseReason,
};

/// How many bytes of replies are written together while there is more to do.
const WRITE_PART: usize = 16 << 10;

impl Driver {
    /// Reads once and deals with every whole frame. Pending where there is nothing to read, or requests wait for a place.
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
        // What was taken up again may have something to send, or have ended the session.
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

    /// `again` is true where the first of the messages had to wait, and is known.
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
        // What had to wait in the inbox is not heard again.
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
                // Much is answered in parts, so that the peer has something to do meanwhile.
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
        if now - started > Pace::SLOW {
            self.dispatch.routes.suspect();
        }
        outcome
    }

    /// The message that stands at the end of the stream, and lacks nothing but the mark that would
    /// follow. Half of an object or an array is none, so that nothing is handled that was cut.
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

    /// Back-pressure: stop reading while the outgoing bytes or a `Wait` subscription are full. While a call waits for its reply,
    /// reading goes on, and requests are refused; a peer that keeps asking then and does not read is given up.
    pub(super) fn has_back_pressure(&self) -> Result<bool, CloseReason> {
        let (unsent, limit) = (self.unsent(), self.shared.limits.outgoing_bytes());
        if unsent < limit && !self.shared.has_full_channels() {
            return Ok(false);
        }
        if !self.shared.calls_wait() {
            return Ok(true);
        }
        // A large message of this side's own is no fault of the peer's.
        match unsent >= limit && self.refusal_bytes >= limit {
            true => Err(CloseReason::OutgoingFull { unsent, limit }),
            false => Ok(false),
        }
    }

    /// How many bytes wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.write_buffer.unwritten().len() + self.shared.queued()
    }

    /// The header of a frame has said that it is over the limit. The frame begins `behind` it.
    #[cold]
    fn oversized_announced(&mut self, size: usize, limit: usize, behind: &[u8]) -> Flow {
        self.oversized = Some(Box::new(Oversized { declared: Some(size), ..Oversized::default() }));
        if is_far_over(size, limit) {
            // What has come of it may tell what it is.
            self.skim(&behind[..behind.len().min(size)], size, limit);
            return self.close_for_oversized(size, limit);
        }
        let error = FrameError::TooLarge { size, limit };
        let flow = self.charge_for_frame(&error);
        if flow == Flow::Closing {
            // The peer was told that the session ends.
            self.oversized = None;
        }
        flow
    }

    /// A part of a frame that is being dropped.
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

    /// All of a frame was dropped: `part` is what is left of it.
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

    /// A framer has decoded a frame that is over the limit.
    #[cold]
    fn oversized_decoded(&mut self, frame: &[u8]) -> Flow {
        let (size, limit) = (frame.len(), self.shared.limits.frame_size());
        self.oversized = Some(Box::new(Oversized { is_decoded: true, ..Oversized::default() }));
        self.frame_dropped(frame, &FrameError::TooLarge { size, limit })
    }

    /// A frame was dropped that began before `now`, or now. Its time runs on where not all of it has come.
    #[cold]
    fn dropped_frame_ended(&mut self, now: Instant) {
        match self.framer.owes_more() {
            true => self.timers.idle.frame_continues(now),
            false => self.timers.idle.frame_ended(),
        }
    }

    /// What is being dropped does not come to its end: it is answered where it may be a request. Whether it was just now.
    #[cold]
    pub(super) fn abandon_oversized(&mut self) -> bool {
        let Some(oversized) = &self.oversized else { return false };
        let received = oversized.skim.size();
        let is_answered = self.answer_oversized(received, self.shared.limits.frame_size(), Rest::Unread);
        self.oversized = None;
        is_answered
    }

    /// Where it is the reply to a call of this side, that call need not wait for its timeout.
    fn skim(&mut self, part: &[u8], size: usize, limit: usize) {
        let (shared, replies) = (&self.shared, &mut self.replies);
        self.oversized.get_or_insert_default().skim.read(part, |call: CallId| {
            if shared.waits_for(call) {
                replies.push(Some(call), Reply::too_large(size, limit));
            }
        });
    }

    /// Answers a frame, of which `size` bytes are known, as soon as it is clear whether it is answered, and under which id. Whether it
    /// was just now.
    fn answer_oversized(&mut self, size: usize, limit: usize, rest: Rest) -> bool {
        let Some(mut oversized) = self.oversized.take_if(|oversized| !oversized.is_settled) else {
            return false;
        };
        let verdict = oversized.skim.verdict(self.version, rest);
        let is_settled = verdict != Verdict::Unknown;
        let id = match verdict {
            // There is no JSON-RPC in messages of the application's own.
            _ if self.message_handler.is_some() => None,
            Verdict::Error(id) => Some(id),
            // Between the marks of an application's framer there may be something else than what they say.
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

    /// What is far over the limit is not waited for: the session ends.
    fn close_for_oversized(&mut self, size: usize, limit: usize) -> Flow {
        self.answer_oversized(size, limit, Rest::Unread);
        self.oversized = None;
        // The calls that it was found to answer end with an error of their own.
        self.deliver();
        let error = FrameError::TooLarge { size, limit };
        self.shared.start_close(CloseReason::Frame(error.clone()));
        self.charge_for_frame(&error);
        Flow::Closing
    }

    fn end_of_stream(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.check_opening_at_end()?;
        if self.is_protocol_known && self.inbox.len() > 0 {
            let unread = self.inbox.unread();
            self.process_frames(cx, unread, false)?;
            if self.backlog != Backlog::Empty {
                // The last message waits where it is, and the end behind it.
                return Ok(());
            }
        }
        if self.control.is_some() {
            // The protocol has an end of its own: where it has not come, the connection is broken.
            return Err(self.peer_close_reason());
        }
        // Requests that came before are still answered: many peers close their side after the last one.
        self.shared.start_close(self.peer_close_reason());
        Ok(())
    }

    /// Ready when the peer is found to be gone, while nothing is taken from it: then nothing it has asked for is of any use.
    pub(super) fn poll_peer_gone(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.io.reports_hang_up() {
            match self.io.poll_hang_up(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(self.peer_close_reason()),
                Poll::Ready(Err(error)) => return Poll::Ready(self.read_error_reason(error)),
                Poll::Pending if self.control.is_none() => return Poll::Pending,
                // Control frames may stand behind what waits.
                Poll::Pending => {}
            }
        }
        loop {
            if self.control.is_some() {
                let has_ended = self.framer.look_ahead(self.inbox.rest()) || self.inbox.has_ended();
                // Items that wait for a subscriber of this side are not lost to it.
                if has_ended && !self.shared.has_full_channels() {
                    return Poll::Ready(self.peer_close_reason());
                }
            }
            match ready!(self.inbox.poll_read_ahead(cx, &mut self.io)) {
                // A subscriber of this side takes its time: that is no reply that the peer waits for.
                Ok(()) if self.inbox.has_ended() && self.shared.has_full_channels() => {}
                Ok(()) if self.inbox.has_ended() => self.timers.stream_ended(&self.shared.limits),
                Ok(()) if self.backlog == Backlog::Empty => self.backlog = Backlog::ReadAhead,
                Ok(()) => {}
                Err(error) => return Poll::Ready(self.read_error_reason(error)),
            }
        }
    }
}
