//! The first bytes of a stream. A peer that speaks another protocol, or JSON-RPC in another
//! framing, is detected before any message is processed, and answered in its own protocol where
//! that is known.

use std::task::Context;

use tokio::time::Instant;

use super::{
    inbox::{OpeningState, Unread},
    session_loop::{Backlog, Driver, MAX_FRAMES, Owner},
};
use crate::{
    framing::{AnyFramer, Beginning, Framed, Framing},
    jsonrpc::{ErrorCode, ErrorObject, Id, Message},
    session::{CloseReason, put_framed},
    transport::{ECHO, Expected, Extensions, Foreign, Opening, log_foreign},
};

/// Maximum number of leading blanks, in bytes, held back until the bytes behind them show the
/// protocol.
const MAX_BLANKS: usize = 1024;

/// Number of sent bytes kept to recognise an echo.
const SENT_PREFIX: usize = 256;

/// Detection.
impl Driver {
    /// Processes bytes received before the protocol of the peer is known.
    #[cold]
    pub(super) fn process_opening(
        &mut self,
        cx: &mut Context<'_>,
        mut unread: Unread,
    ) -> Result<(), CloseReason> {
        let mut lines = 0;
        loop {
            match Opening::of(unread.bytes(), false) {
                Opening::Ours => {}
                // Too many to hold back: the framer skips them.
                Opening::Blank if unread.bytes().len() >= MAX_BLANKS => {
                    return self.process_frames(cx, unread, false);
                }
                Opening::Blank => {
                    self.inbox.keep(unread);
                    self.count_opening();
                    return Ok(());
                }
                Opening::Undecided => return self.wait_for_more(unread),
                Opening::Foreign(foreign) => return self.end_foreign(unread, foreign),
            }
            match self.judge_framing(unread.bytes(), false) {
                Beginning::Undecided => return self.wait_for_more(unread),
                Beginning::Other(framing) => {
                    let foreign = Foreign::of(framing.protocol(), unread.bytes());
                    return self.end_foreign(unread, foreign);
                }
                Beginning::Nothing if self.may_skip_text() => {
                    let bytes = unread.bytes();
                    let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
                    self.skip_text(&bytes[..line]);
                    unread.consume(line);
                    lines += 1;
                    if unread.is_empty() || lines == MAX_FRAMES {
                        if !unread.is_empty() {
                            self.backlog = Backlog::Yielded;
                        }
                        self.turn.frames += lines;
                        self.inbox.keep(unread);
                        self.count_opening();
                        return Ok(());
                    }
                }
                Beginning::Nothing if self.expects_replies() => {
                    let foreign = Foreign::unknown(unread.bytes());
                    return self.end_foreign(unread, foreign);
                }
                Beginning::Fitting if self.is_echo(unread.bytes()) => {
                    let foreign = Foreign::of(ECHO, unread.bytes());
                    return self.end_foreign(unread, foreign);
                }
                Beginning::Fitting | Beginning::Nothing => {
                    self.is_protocol_known = true;
                    self.opening = OpeningState::default();
                    return self.process_frames(cx, unread, false);
                }
            }
        }
    }

    /// Decides about the bytes received when the stream ends, as no more will follow.
    pub(super) fn check_opening_at_end(&mut self) -> Result<(), CloseReason> {
        match self.foreign_at_end() {
            Some(foreign) => Err(self.refuse_foreign(foreign)),
            None => Ok(()),
        }
    }

    /// The protocol that the stream contained instead, if it ended before any message.
    pub(super) fn foreign_at_end(&mut self) -> Option<Foreign> {
        if self.is_protocol_known {
            return None;
        }
        let rest = self.inbox.rest();
        if let Some(foreign) = self.opening.skipped_text.take() {
            return Some(*foreign);
        }
        match Opening::of(rest, true) {
            Opening::Foreign(foreign) => Some(foreign),
            Opening::Blank => None,
            Opening::Ours | Opening::Undecided => match self.judge_framing(rest, true) {
                Beginning::Other(framing) => Some(Foreign::of(framing.protocol(), rest)),
                Beginning::Nothing if self.expects_replies() => Some(Foreign::unknown(rest)),
                _ => None,
            },
        }
    }

    /// Keeps the first bytes that are sent before anything is received.
    #[cold]
    pub(super) fn keep_sent_prefix(&mut self) {
        if self.opening.sent_prefix.is_empty() {
            let bytes = self.write_buffer.unwritten();
            self.opening.sent_prefix = bytes[..bytes.len().min(SENT_PREFIX)].to_vec();
        }
    }

    /// Judges bytes by the framing of this side. Nothing is known about the streams of an
    /// application's framer, so anything fits it.
    fn judge_framing(&self, bytes: &[u8], is_all: bool) -> Beginning {
        let judge = |framing: Framing| framing.judge(bytes, self.shared.limits.frame_size(), is_all);
        self.framer.framing().map_or(Beginning::Fitting, judge)
    }

    fn wait_for_more(&mut self, unread: Unread) -> Result<(), CloseReason> {
        self.inbox.keep(unread);
        let now = self.count_opening();
        self.timers.idle.frame_continues(now);
        Ok(())
    }

    fn end_foreign(&mut self, unread: Unread, foreign: Foreign) -> Result<(), CloseReason> {
        self.inbox.keep(unread);
        self.count_opening();
        Err(self.refuse_foreign(foreign))
    }

    /// Whether this side is the caller. Bytes that are no message are no reply, so the session
    /// ends. A called side answers them with an error, as JSON-RPC requires.
    fn expects_replies(&self) -> bool {
        !self.shared.serves || self.shared.calls_wait()
    }

    /// Whether the peer is a child process, which may print text to its standard output before the
    /// first message. Many programs and wrappers do.
    fn may_skip_text(&self) -> bool {
        is_process(&self.shared.extensions) && self.framer.framing() == Some(Framing::Lines)
    }

    fn skip_text(&mut self, line: &[u8]) {
        let foreign = Foreign::unknown(line);
        tracing::debug!(
            rpc.system.name = "jsonrpc",
            session = self.shared.id,
            found = %foreign.found,
            "a line that is no message was passed over"
        );
        self.opening.skipped_text.get_or_insert_with(|| Box::new(foreign));
    }

    /// Whether the peer echoes what it was sent: a request that this side does not serve. Its error
    /// reply would be echoed too, and end the call.
    fn is_echo(&self, bytes: &[u8]) -> bool {
        let sent = &self.opening.sent_prefix;
        if sent.is_empty() || !bytes.starts_with(sent) {
            return false;
        }
        let mut bytes = bytes.to_vec();
        let mut framer = self.framer.cloned();
        framer.set_limit(usize::MAX);
        let Ok(Framed::Frame { frame, .. }) = framer.next(&mut bytes) else { return false };
        let is_unknown = |message: &Message<'_>| match message {
            Message::Request(request) => request.id.is_some() && !self.dispatch.routes.have(&request.method),
            _ => false,
        };
        match self.version.read_in_full(&bytes[frame]) {
            Message::Batch(mut members) => {
                members.next().is_some_and(|member| is_unknown(&self.version.read_member(member)))
            }
            message => is_unknown(&message),
        }
    }

    /// Counts bytes that are received and not processed yet.
    fn count_opening(&mut self) -> Instant {
        let (now, bytes) = (Instant::now(), self.inbox.take_last_read() as u64);
        self.timers.idle.bytes_received(now);
        self.uncharged_bytes += bytes;
        self.shared.counters.received(0, bytes, now);
        now
    }

    fn refuse_foreign(&mut self, foreign: Foreign) -> CloseReason {
        if foreign.asks() && !self.has_sent() {
            self.answer_foreign(&foreign);
        }
        let rate = self.owner.as_deref().map(Owner::strangers);
        let of = (&self.shared.peer, Some(self.shared.id));
        log_foreign((Expected::Messages, &foreign), of, rate, "its session ends");
        let Foreign { protocol, found } = foreign;
        CloseReason::WrongProtocol { protocol, found }
    }
}

/// The answer to a peer that speaks another protocol.
impl Driver {
    /// Whether the peer was sent a message, or one waits to be sent.
    pub(super) fn has_sent(&self) -> bool {
        self.write_buffer.messages() > 0 || self.shared.queued() > 0
    }

    /// Tells the peer which protocol is spoken here: a client of HTTP by a response, one of another
    /// framing by a JSON-RPC error in that framing. A client of TLS is sent an error in plain text,
    /// which shows that there is no TLS.
    #[cold]
    fn answer_foreign(&mut self, foreign: &Foreign) {
        let peer = &self.shared.peer;
        let slashes = if peer.as_net().is_some() { "//" } else { "" };
        let place = format!("{}:{slashes}", peer.scheme());
        let own = self.framer.framing();
        let spoken = own.map_or("JSON-RPC", Framing::protocol);
        let answer = match Framing::called(foreign.protocol) {
            _ if foreign.protocol == "HTTP" => {
                bad_request(&format!("{spoken} is spoken here, and no HTTP: connect to {place}"))
            }
            Some(framing) => {
                let Foreign { protocol, found } = foreign;
                let framer = own.map_or("the framing of this side", Framing::in_code);
                let told = |found: &str| {
                    format!(
                        "{spoken} is spoken here, and {protocol} has come, beginning with `{found}`: use `{framer}`"
                    )
                };
                let answer = self.framed_error(&*framing.framer(), told(found));
                // Some framings have a small maximum size.
                let short = || self.framed_error(&*framing.framer(), told(&found[..found.len().min(12)]));
                if answer.is_empty() { short() } else { answer }
            }
            None => {
                let told = format!(
                    "{} has come, and is not spoken here: connect to {place}, without it",
                    foreign.protocol
                );
                self.framed_error(&*self.framer.cloned(), told)
            }
        };
        self.write_buffer.last_word(&answer);
    }

    fn framed_error(&self, framer: &dyn AnyFramer, told: String) -> Vec<u8> {
        let error = ErrorObject::new(ErrorCode::PARSE_ERROR, told);
        let mut answer = Vec::new();
        // An answer that does not fit into a frame is omitted.
        let _put = put_framed(framer, &mut answer, |out| {
            self.version.put_error(out, Id::NULL, &error);
        });
        answer
    }
}

fn bad_request(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
    .into_bytes()
}

#[cfg(feature = "stdio")]
fn is_process(extensions: &Extensions) -> bool {
    extensions.get::<crate::transport::stdio::ChildProcess>().is_some()
}

#[cfg(not(feature = "stdio"))]
const fn is_process(_: &Extensions) -> bool {
    false
}
