//! From bytes to messages: reads, finds frames, and hands replies to their calls.

use std::{
    ops::Range,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::{Driver, Left, inbox::Unread, turn::FRAMES};
use crate::{
    framing::Framed,
    jsonrpc::{
        Connection, ErrorCode, Events, Lend, RefusedCall, Reply, ReplyError, Step, chain, clean_io,
        shown::brief, version::Version,
    },
    service::Pace,
    session::{CloseReason, InFlight},
};

/// How many bytes of replies are written together while there is more to do.
const PART: usize = 16 << 10;

/// How the loop goes on after a message, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It was dealt with.
    Continue,
    /// It has to wait where it is.
    Blocked,
    /// It was one too many: the session is closing.
    Closing,
}

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

    /// Deals with one message.
    fn receive(&mut self, frame: &[u8], again: bool) -> Flow {
        if !again {
            self.show_received(frame);
        }
        if let Some(handler) = &self.messages {
            let handler = Arc::clone(handler);
            if self.is_not_text(frame) {
                return Flow::Closing;
            }
            return self.receive_message(&*handler, frame);
        }
        if let Some(version) = self.version.decided_by(frame) {
            self.decided(version);
        }
        if let Some(paused) = self.paused.take() {
            return self.process(frame, Events::resume(self.version, frame, *paused));
        }
        match self.version.scan(frame) {
            Some(scanned) => self.process_step(frame, Step::of_scanned(scanned)),
            None => self.process(frame, Events::of(self.version, self.version.read_in_full(frame))),
        }
    }

    /// Deals with the events of a message.
    pub(super) fn process(&mut self, frame: &[u8], mut events: Events<'_, InFlight>) -> Flow {
        let mut flow = Flow::Continue;
        while let Some(step) = events.step(self) {
            match self.process_step(frame, step) {
                Flow::Continue => {}
                Flow::Blocked => {
                    self.paused = events.pause().map(Box::new);
                    return Flow::Blocked;
                }
                Flow::Closing => {
                    flow = Flow::Closing;
                    events.skip_members();
                }
            }
        }
        flow
    }

    #[inline]
    pub(super) fn process_step(&mut self, frame: &[u8], step: Step<'_, InFlight>) -> Flow {
        match step {
            Step::Scanned(request) => return self.receive_scanned(frame, request),
            Step::Request(request) => return self.receive_request(frame, request, None),
            Step::Member(request, member, text) => {
                return self.receive_request(text.as_bytes(), request, Some(member));
            }
            Step::Answer(call, reply) => self.answers.push(call, reply),
            Step::Malformed(malformed, member) => {
                if member.is_none() && self.is_not_text(frame) {
                    return Flow::Closing;
                }
                return self.malformed(&malformed, member);
            }
            Step::Refusal(reply) => self.take_refusal(reply),
            Step::Unmatched(reply) => self.take_unmatched(reply),
            Step::Ended(call, reply) => call.complete(reply),
            Step::BatchEnd(batch) => self.link.end_batch(batch),
        }
        Flow::Continue
    }

    /// Whether the frame claims to be text, and is not UTF-8: then the session ends.
    fn is_not_text(&mut self, frame: &[u8]) -> bool {
        let Some(error) = self.framer.not_text(frame) else { return false };
        self.link.abort(CloseReason::Frame(error));
        true
    }

    #[cold]
    fn decided(&mut self, version: Version) {
        self.version = version;
        if self.link.decided(version) {
            tracing::warn!(
                rpc.system.name = "jsonrpc",
                session = self.link.id,
                "the peer speaks JSON-RPC 1.0, which has no named parameters: calls that are dropped are not taken back"
            );
        }
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

    /// A message of ours was refused, and the peer does not say which: that is a batch, or the only
    /// call in flight.
    #[cold]
    pub(super) fn take_refusal(&mut self, reply: Reply) {
        if self.refuses_session(&reply) {
            self.answers.push(None, reply);
            return;
        }
        let refuses_connection = self.refuses_connection(&reply);
        match self.lend(|protocol| protocol.refused(&reply, InFlight::has_caller)) {
            RefusedCall::Batch(calls) => calls.into_iter().for_each(|call| call.complete(reply.clone())),
            RefusedCall::Call(call) => self.answers.push(Some(call), reply.answering_no_id()),
            // The end comes next, and ends the calls that wait.
            RefusedCall::Unknown if refuses_connection => self.answers.push(None, reply),
            RefusedCall::Unknown => self.take_unmatched(reply),
        }
    }

    /// Whether the peer says that this side has cost too much. It closes the session next, after the replies that it still has.
    fn refuses_session(&mut self, reply: &Reply) -> bool {
        if !reply.refuses_session() {
            return false;
        }
        let Err(ReplyError::Error(error)) = reply.clone().into_result() else { return false };
        if self.refused.is_none() {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id, error = %brief(&error),
                "this side has cost the peer too much: the peer closes the session"
            );
            self.refused = Some(Box::new(error));
        }
        true
    }

    /// Whether the peer has no place for this side: its first word is an error, and it is busy, or was not asked anything. It closes the
    /// session next, if that is what it means.
    fn refuses_connection(&mut self, reply: &Reply) -> bool {
        if self.link.counters.messages_received() > 0 || self.refused.is_some() {
            return false;
        }
        let Err(ReplyError::Error(error)) = reply.clone().into_result() else { return false };
        if error.code() != ErrorCode::SERVER_BUSY && self.has_sent() {
            return false;
        }
        tracing::warn!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id, error = %brief(&error),
            "the first word of the peer is a refusal: where it closes the session next, calls end with this"
        );
        self.refused = Some(Box::new(error));
        true
    }

    /// A message of ours was refused, and no one can tell which. Where calls wait, it may be one of them.
    #[cold]
    pub(super) fn take_unmatched(&mut self, reply: Reply) {
        if self.link.calls_wait()
            && let Err(error) = reply.clone().into_result()
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id, error = %brief(chain(&error)),
                "the peer has refused a message of ours and does not say which: a call that it was may wait for its timeout"
            );
        }
        self.answers.push(None, reply);
    }

    /// Hands the replies of one read to their calls.
    pub(super) fn hand_over(&mut self) {
        if self.answers.len() == 0 {
            return;
        }
        self.handed_over += self.answers.len();
        self.last_handed_over = self.answers.len();
        // One of them may begin a subscription.
        self.last_hit.forget();
        let unasked = self.link.deliver(&mut self.answers);
        if unasked > 0 {
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                session = self.link.id,
                unasked,
                "replies to no call of ours"
            );
            self.charge_for_errors(unasked as u64);
        }
    }
}

/// The machine looks at calls after the replies before have reached theirs.
impl Lend<InFlight> for Driver {
    fn lend<R>(&mut self, look: impl FnOnce(&mut Connection<InFlight>) -> R) -> R {
        self.hand_over();
        self.link.protocol(look)
    }
}
