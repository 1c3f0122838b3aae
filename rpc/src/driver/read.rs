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
    session_loop::{Driver, FRAMES, Flow, Left},
};
use crate::{
    framing::{FrameError, Framed, is_far_over},
    jsonrpc::{CallId, ErrorObject, Id, Reply, Rest, Verdict, clean_io, shown::brief},
    service::{Pace, Replies},
    session::CloseReason,
};

/// How many bytes of replies are written together while there is more to do.
const PART: usize = 16 << 10;

impl Driver {
    /// Reads once and deals with every whole frame. Pending where there is nothing to read, or requests wait for a place.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let left = std::mem::replace(&mut self.left, Left::Nothing);
        match left {
            Left::Nothing => {}
            Left::Ahead if self.must_not_read()? => self.left = Left::Ahead,
            Left::Ahead | Left::Further if !self.is_judged => {
                let unread = self.inbox.unread();
                self.take_opening(cx, unread)?;
            }
            Left::Ahead | Left::Request | Left::Further => {
                let unread = self.inbox.unread();
                self.take_apart(cx, unread, left == Left::Request)?;
            }
        }
        // What was taken up again may have something to send, or have ended the session.
        let was_taken = left != Left::Nothing && self.left == Left::Nothing;
        if self.left == Left::Further || was_taken {
            return Poll::Ready(Ok(()));
        }
        if matches!(self.left, Left::Request | Left::Ahead) || self.must_not_read()? {
            return self.poll_gone(cx).map(Err);
        }
        if self.inbox.has_ended() {
            return Poll::Ready(self.end_of_stream(cx));
        }
        match ready!(self.inbox.poll_read(cx, &mut self.io)) {
            Ok(Some(unread)) if self.is_judged => Poll::Ready(self.take_apart(cx, unread, false)),
            Ok(Some(unread)) => Poll::Ready(self.take_opening(cx, unread)),
            Ok(None) => Poll::Ready(self.end_of_stream(cx)),
            Err(error) => Poll::Ready(Err(self.lost(error))),
        }
    }

    /// `again` is true where the first of the messages had to wait, and is known.
    pub(super) fn take_apart(
        &mut self,
        cx: &mut Context<'_>,
        mut unread: Unread,
        mut again: bool,
    ) -> Result<(), CloseReason> {
        let started = Instant::now();
        self.turn.began.get_or_insert(started);
        let mut frames = 0;
        let (mut messages, bytes) = (0, self.inbox.take_last_read() as u64);
        let quiet_since = self.timers.silence.last();
        // What had to wait in the inbox is not heard again.
        if bytes > 0 {
            self.timers.silence.heard(started);
        }
        self.uncharged += bytes;
        let outcome = loop {
            if unread.is_empty() {
                break Ok(());
            }
            if frames == FRAMES {
                self.left = Left::Further;
                break Ok(());
            }
            frames += 1;
            let taken = match self.framer.next(unread.bytes_mut()) {
                Ok(Framed::Frame { frame, consumed }) => {
                    self.timers.silence.frame_ended();
                    let taken = self.receive(&unread.bytes()[frame], std::mem::take(&mut again));
                    if taken != Flow::Blocked {
                        unread.consume(consumed);
                        messages += 1;
                    }
                    taken
                }
                Ok(Framed::Decoded { frame, consumed })
                    if !again && frame.len() > self.link.limits.frame_size() =>
                {
                    self.timers.silence.frame_ended();
                    self.framer.taken();
                    unread.consume(consumed);
                    self.decoded_too_much(&frame)
                }
                Ok(Framed::Decoded { frame, consumed }) => {
                    self.timers.silence.frame_ended();
                    let taken = self.receive(&frame, std::mem::take(&mut again));
                    if taken != Flow::Blocked {
                        self.framer.taken();
                        unread.consume(consumed);
                        messages += 1;
                    }
                    taken
                }
                Ok(Framed::Incomplete { consumed: 0 }) => match self.last_frame(unread.bytes()) {
                    Some(frame) => {
                        self.timers.silence.frame_ended();
                        let taken = self.receive(&unread.bytes()[frame], std::mem::take(&mut again));
                        if taken != Flow::Blocked {
                            unread.consume(unread.bytes().len());
                            messages += 1;
                        }
                        taken
                    }
                    None => {
                        self.timers.silence.frame_goes_on(started);
                        break Ok(());
                    }
                },
                Ok(Framed::Between { consumed: 0 }) => {
                    self.timers.silence.frame_ended();
                    break Ok(());
                }
                Ok(Framed::Between { consumed }) => {
                    self.timers.silence.frame_ended();
                    unread.consume(consumed);
                    if self.has_closed() {
                        break Err(self.ended_by_peer());
                    }
                    Flow::Continue
                }
                Ok(Framed::Incomplete { consumed }) => {
                    self.timers.silence.frame_goes_on(started);
                    unread.consume(consumed);
                    if self.has_closed() {
                        break Err(self.ended_by_peer());
                    }
                    Flow::Continue
                }
                Ok(Framed::Dropping { consumed, is_last }) => {
                    match is_last {
                        true => self.dropped_frame_ends(started),
                        false => self.timers.silence.frame_goes_on(started),
                    }
                    let taken = self.pass_over(&unread.bytes()[..consumed], is_last);
                    unread.consume(consumed);
                    taken
                }
                Ok(Framed::Oversized { size, limit, consumed }) => {
                    self.timers.silence.frame_goes_on(started);
                    unread.consume(consumed);
                    self.frame_announced(size, limit, unread.bytes())
                }
                Ok(Framed::Dropped { error, consumed }) => {
                    self.dropped_frame_ends(started);
                    let taken = self.frame_dropped(&unread.bytes()[..consumed], &error);
                    unread.consume(consumed);
                    taken
                }
                Err(error) => break Err(CloseReason::Frame(error)),
            };
            match taken {
                // Much is answered in parts, so that the peer has something to do meanwhile.
                Flow::Continue if self.write_buffer.unwritten().len() >= PART => {
                    if let Poll::Ready(Err(error)) = self.poll_write_buffer(cx) {
                        break Err(self.by_peer(CloseReason::Io(Arc::new(clean_io(error)))));
                    }
                }
                Flow::Continue if self.answers.are_a_group() => {
                    self.left = Left::Further;
                    break Ok(());
                }
                Flow::Continue => {}
                Flow::Blocked => {
                    self.framer.put_back();
                    self.left = Left::Request;
                    break Ok(());
                }
                Flow::Closing => break Ok(()),
            }
        };
        self.inbox.keep(unread);
        self.turn.frames += frames;
        self.link.counters.received(messages, bytes, started);
        self.hand_over();
        self.timers.silence.received(messages);
        if messages == 0 && self.control.is_some() && self.left == Left::Nothing {
            self.timers.silence.heard_control_only(quiet_since);
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
        if !self.inbox.has_ended() || self.messages.is_some() {
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
    pub(super) fn must_not_read(&self) -> Result<bool, CloseReason> {
        let (unsent, limit) = (self.unsent(), self.link.limits.outgoing_bytes());
        if unsent < limit && !self.link.has_full_channels() {
            return Ok(false);
        }
        if !self.link.calls_wait() {
            return Ok(true);
        }
        // A large message of this side's own is no fault of the peer's.
        match unsent >= limit && self.refusals >= limit {
            true => Err(CloseReason::OutgoingFull { unsent, limit }),
            false => Ok(false),
        }
    }

    /// How many bytes wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.write_buffer.unwritten().len() + self.link.queued()
    }

    /// The header of a frame has said that it is over the limit. The frame begins `behind` it.
    #[cold]
    fn frame_announced(&mut self, size: usize, limit: usize, behind: &[u8]) -> Flow {
        self.dropping = Some(Box::new(Oversized { declared: Some(size), ..Oversized::default() }));
        if is_far_over(size, limit) {
            // What has come of it may tell what it is.
            self.look_at(&behind[..behind.len().min(size)], size, limit);
            return self.give_up_frame(size, limit);
        }
        let error = FrameError::TooLarge { size, limit };
        let taken = self.charge_for(&error);
        if taken == Flow::Closing {
            // The peer was told that the session ends.
            self.dropping = None;
        }
        taken
    }

    /// A part of a frame that is being dropped.
    #[cold]
    fn pass_over(&mut self, part: &[u8], is_last: bool) -> Flow {
        let limit = self.link.limits.frame_size();
        let oversized = self.dropping.get_or_insert_default();
        let (declared, come) = (oversized.declared, oversized.skim.size() + part.len());
        self.look_at(part, declared.unwrap_or(come), limit);
        if is_last {
            self.settle(come, limit, Rest::Nothing);
            self.dropping = None;
        } else if declared.is_none() && is_far_over(come, limit) {
            return self.give_up_frame(come, limit);
        } else {
            self.settle(come, limit, Rest::Comes);
        }
        Flow::Continue
    }

    /// All of a frame was dropped: `part` is what is left of it.
    #[cold]
    fn frame_dropped(&mut self, part: &[u8], error: &FrameError) -> Flow {
        if let FrameError::TooLarge { size, limit } = *error {
            self.look_at(part, size, limit);
            self.settle(size, limit, Rest::Nothing);
            if is_far_over(size, limit) {
                return self.give_up_frame(size, limit);
            }
            self.dropping = None;
        }
        self.charge_for(error)
    }

    /// A framer has decoded a frame that is over the limit.
    #[cold]
    fn decoded_too_much(&mut self, frame: &[u8]) -> Flow {
        let (size, limit) = (frame.len(), self.link.limits.frame_size());
        self.dropping = Some(Box::new(Oversized { is_decoded: true, ..Oversized::default() }));
        self.frame_dropped(frame, &FrameError::TooLarge { size, limit })
    }

    /// A frame was dropped that began before `now`, or now. Its time runs on where not all of it has come.
    #[cold]
    fn dropped_frame_ends(&mut self, now: Instant) {
        match self.framer.owes_more() {
            true => self.timers.silence.frame_goes_on(now),
            false => self.timers.silence.frame_ended(),
        }
    }

    /// What is being dropped does not come to its end: it is answered where it may be a request. Whether it was just now.
    #[cold]
    pub(super) fn cut_off(&mut self) -> bool {
        let Some(oversized) = &self.dropping else { return false };
        let come = oversized.skim.size();
        let answers = self.settle(come, self.link.limits.frame_size(), Rest::Unread);
        self.dropping = None;
        answers
    }

    /// Where it is the reply to a call of this side, that call need not wait for its timeout.
    fn look_at(&mut self, part: &[u8], size: usize, limit: usize) {
        let (link, answers) = (&self.link, &mut self.answers);
        self.dropping.get_or_insert_default().skim.read(part, |call: CallId| {
            if link.waits_for(call) {
                answers.push(Some(call), Reply::too_large(size, limit));
            }
        });
    }

    /// Answers a frame, of which `size` bytes are known, as soon as it is clear whether it is answered, and under which id. Whether it
    /// was just now.
    fn settle(&mut self, size: usize, limit: usize, rest: Rest) -> bool {
        let Some(mut oversized) = self.dropping.take_if(|oversized| !oversized.is_settled) else {
            return false;
        };
        let verdict = oversized.skim.verdict(self.version, rest);
        let is_settled = verdict != Verdict::Unknown;
        let id = match verdict {
            // There is no JSON-RPC in messages of the application's own.
            _ if self.messages.is_some() => None,
            Verdict::Error(id) => Some(id),
            // Between the marks of an application's framer there may be something else than what they say.
            Verdict::Unreadable if self.framer.is_own() || oversized.is_decoded => Some(Id::NULL),
            Verdict::Unknown | Verdict::Silence | Verdict::Unreadable => None,
        };
        if let Some(id) = id {
            let is_whole = oversized.declared.is_some() || rest == Rest::Nothing;
            let error = ErrorObject::too_large(oversized.declared.unwrap_or(size), is_whole, limit);
            self.link.log_refused(Some(id), &error);
            self.count_refusal(id, &error);
            let version = oversized.skim.answered_in(self.version);
            Replies::new(&mut self.write_buffer, version, &self.link).error(id, &error);
        }
        let answers = id.is_some();
        oversized.is_settled = is_settled;
        self.dropping = Some(oversized);
        answers
    }

    /// What is far over the limit is not waited for: the session ends.
    fn give_up_frame(&mut self, size: usize, limit: usize) -> Flow {
        self.settle(size, limit, Rest::Unread);
        self.dropping = None;
        // The calls that it was found to answer end with an error of their own.
        self.hand_over();
        let error = FrameError::TooLarge { size, limit };
        self.link.start_close(CloseReason::Frame(error.clone()));
        self.charge_for(&error);
        Flow::Closing
    }

    pub(super) fn charge_for(&mut self, error: &FrameError) -> Flow {
        tracing::debug!(rpc.system.name = "jsonrpc", session = self.link.id, error = %brief(error), "a frame was dropped");
        self.charge_for_dropped(error)
    }

    fn end_of_stream(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.judge_last_words()?;
        if self.is_judged && self.inbox.len() > 0 {
            let unread = self.inbox.unread();
            self.take_apart(cx, unread, false)?;
            if self.left != Left::Nothing {
                // The last message waits where it is, and the end behind it.
                return Ok(());
            }
        }
        if self.control.is_some() {
            // The protocol has an end of its own: where it has not come, the connection is broken.
            return Err(self.ended_by_peer());
        }
        // Requests that came before are still answered: many peers close their side after the last one.
        self.link.start_close(self.ended_by_peer());
        Ok(())
    }

    /// Ready when the peer is found to be gone, while nothing is taken from it: then nothing it has asked for is of any use.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.io.reports_hang_up() {
            match self.io.poll_hang_up(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(self.ended_by_peer()),
                Poll::Ready(Err(error)) => return Poll::Ready(self.lost(error)),
                Poll::Pending if self.control.is_none() => return Poll::Pending,
                // Control frames may stand behind what waits.
                Poll::Pending => {}
            }
        }
        loop {
            if self.control.is_some() {
                let has_ended = self.framer.look_ahead(self.inbox.rest()) || self.inbox.has_ended();
                // Items that wait for a subscriber of this side are not lost to it.
                if has_ended && !self.link.has_full_channels() {
                    return Poll::Ready(self.ended_by_peer());
                }
            }
            match ready!(self.inbox.poll_read_ahead(cx, &mut self.io)) {
                // A subscriber of this side takes its time: that is no reply that the peer waits for.
                Ok(()) if self.inbox.has_ended() && self.link.has_full_channels() => {}
                Ok(()) if self.inbox.has_ended() => self.timers.stream_ended(&self.link.limits),
                Ok(()) if self.left == Left::Nothing => self.left = Left::Ahead,
                Ok(()) => {}
                Err(error) => return Poll::Ready(self.lost(error)),
            }
        }
    }
}
