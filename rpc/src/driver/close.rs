//! The end of a session: draining, the close handshake, and the reason.

use std::{
    any::Any,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite as _,
    time::{Instant, sleep_until},
};

use super::session_loop::{AwaitedEnd, Backlog, ConnectionClose, Driver};
use crate::{
    framing::{FrameError, Framed},
    jsonrpc::{
        ErrorCode, ErrorObject, Events, Malformed, Member, Message, Step, UncheckedRequest, chain, clean_io,
        shown::brief,
    },
    limits::deadline::after,
    session::{CloseReason, Trace, panic_message},
    transport::{CloseFrame, Closing, ControlFrames, Extensions},
};

/// Status code for an end without a close frame (RFC 6455, section 7.1.5). Never sent.
const ABNORMAL: u16 = 1006;

/// Upper bound for the close handshake, whatever
/// [`Limits::close_timeout`](crate::Limits::close_timeout) says: the peer only has to acknowledge
/// the close.
const MAX_TIMEOUT: Duration = Duration::from_secs(2);

/// Graceful shutdown: finish the requests in flight, refuse the others.
impl Driver {
    /// Begins a graceful shutdown if this side closes: requests in flight finish; those that wait
    /// for a permit, and new ones, are refused. A peer that has only ended its own direction is
    /// still served.
    pub(super) fn begin_draining(&mut self, reason: &CloseReason) {
        if self.is_draining
            || self.message_handler.is_some()
            || !matches!(reason, CloseReason::Local | CloseReason::Shutdown)
        {
            return;
        }
        self.is_draining = true;
        if self.inbox.len() > 0 && self.backlog == Backlog::Empty {
            // Those bytes were received behind the message that closed the session.
            self.backlog = Backlog::ReadAhead;
        }
        for (text, member, trace) in self.dispatch.queue.take_kept() {
            match self.version.read_in_full(&text) {
                Message::Request(request) => {
                    let request = request.into_unchecked();
                    self.refuse_closing(&request, trace, member);
                    if let (Some(member), Some(_)) = (member, request.id) {
                        self.shared.end_batch(member.batch);
                    }
                }
                // The scan took it for a request, and the full reader did not.
                other => {
                    trace.forget();
                    self.process_events(&text, Events::of(self.version, other));
                }
            }
        }
        self.shared.counters.waiting(self.dispatch.queue.len());
    }

    /// Refuses a request while the session closes. A notification is skipped, as it has no reply.
    pub(super) fn refuse_closing(
        &mut self,
        request: &UncheckedRequest<'_>,
        trace: Trace,
        member: Option<Member>,
    ) {
        let error = closing();
        trace.refuse(&error);
        if let Some(id) = request.id {
            self.answer_error(id, &error, member);
        }
    }

    /// Refuses the remaining members of a paused batch, because the session is closing.
    pub(super) fn refuse_rest_of_batch(&mut self) {
        let Some(paused) = self.paused.take() else { return };
        self.backlog = Backlog::Empty;
        let mut unread = self.inbox.unread();
        let framed = self.framer.next(unread.bytes_mut());
        let (frame, consumed) = match &framed {
            Ok(Framed::Frame { frame, consumed }) => (unread.bytes().get(frame.clone()), *consumed),
            Ok(Framed::Decoded { frame, consumed }) => (Some(&**frame), *consumed),
            _ => (None, 0),
        };
        let error = closing();
        let mut events = Events::resume(self.version, frame.unwrap_or_default(), *paused);
        while let Some(step) = events.step(self) {
            match step {
                Step::Member(request, member, _) => {
                    let request = request.into_unchecked();
                    self.shared.trace(&request).refuse(&error);
                    if let Some(id) = request.id {
                        self.shared.add_error_to_batch(member, id, &error);
                    }
                }
                Step::Malformed(Malformed { id, error, answer }, Some(member)) => {
                    self.shared.log_refused(Some(id), &error);
                    if answer {
                        self.shared.add_error_to_batch(member, id, &error);
                    }
                }
                other => {
                    self.process_step(&[], other);
                }
            }
        }
        self.framer.taken();
        unread.consume(consumed);
        self.inbox.keep(unread);
    }
}

/// Closing the connection.
impl Driver {
    /// Shuts down the connection once everything is sent: with a close frame, where the transport
    /// has one.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<CloseReason> {
        if let Some(control) = &self.control {
            send_close_frame(control, &reason);
            self.start_connection_close(reason.clone(), AwaitedEnd::CloseFrame);
            return Poll::Ready(reason);
        }
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            // An error changes nothing: the session is over.
            Poll::Ready(_) => {
                self.inbox.discard(cx, &mut self.io);
                Poll::Ready(reason)
            }
            Poll::Pending => match self.poll_timers(cx) {
                Poll::Ready(Some(_)) => Poll::Ready(reason),
                Poll::Ready(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// Begins to close the connection if the end of the session needs a handshake. Returns false if
    /// the connection may be dropped at once.
    pub(super) fn starts_connection_close(&mut self, reason: &CloseReason) -> bool {
        let awaited = match reason {
            // The answer to a peer of another protocol, sent in full before the stream ends.
            CloseReason::WrongProtocol { .. }
                if !self.has_sent() && !self.write_buffer.unwritten().is_empty() =>
            {
                AwaitedEnd::EndOfStream
            }
            _ if self.control.is_none() => return false,
            CloseReason::PeerClosed { .. } | CloseReason::Refused(_) | CloseReason::Shutdown
                if self.has_peer_closed() =>
            {
                AwaitedEnd::Nothing
            }
            CloseReason::Frame(_) if self.framer.is_in_step() => AwaitedEnd::CloseFrame,
            CloseReason::Frame(_) => AwaitedEnd::EndOfStream,
            _ if self.sends_close_frame(reason) => AwaitedEnd::Nothing,
            _ => return false,
        };
        // Queued messages are written before the close.
        self.shared.take_queued(&mut self.write_buffer);
        // Handlers are aborted and calls end now, not only when the peer has read the rest.
        let reason = self.end_session(reason.clone(), true);
        self.start_connection_close(reason, awaited);
        true
    }

    /// Sends a close frame with the reason, if nothing else waits to be sent. No reply to it is
    /// awaited. Returns whether it was sent.
    fn sends_close_frame(&self, reason: &CloseReason) -> bool {
        let Some(control) = self.control.as_deref().filter(|_| self.unsent() == 0) else { return false };
        let why = match reason {
            CloseReason::Silent { .. } | CloseReason::FrameTimeout { .. } => reason.clone(),
            // The graceful close has timed out: say why it began.
            CloseReason::Peer => match self.shared.closing() {
                Ok(Some(first)) => first,
                _ => return false,
            },
            _ => return false,
        };
        send_close_frame(control, &why);
        true
    }

    fn start_connection_close(&mut self, reason: CloseReason, awaited: AwaitedEnd) {
        let now = Instant::now();
        let limit = self.shared.limits.close_timeout().map_or(MAX_TIMEOUT, |limit| limit.min(MAX_TIMEOUT));
        let timeout = Box::pin(sleep_until(after(now, limit).unwrap_or(now)));
        let had_ended = self.has_ended();
        self.connection_close = Some(Box::new(ConnectionClose { reason, awaited, had_ended, timeout }));
    }

    /// Ready when the connection is closed.
    pub(super) fn poll_connection_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Some(mut close) = self.connection_close.take() else { return Poll::Ready(CloseReason::Local) };
        let is_aborted = !close.had_ended && self.has_ended();
        let is_over = is_aborted || close.timeout.as_mut().poll(cx).is_ready();
        // An error changes nothing: the session is over.
        if !is_over && self.poll_close_handshake(cx, close.awaited).is_pending() {
            self.connection_close = Some(close);
            return Poll::Pending;
        }
        self.inbox.discard(cx, &mut self.io);
        Poll::Ready(close.reason)
    }

    fn has_ended(&self) -> bool {
        self.shared.has_ended()
    }

    fn poll_close_handshake(&mut self, cx: &mut Context<'_>, awaited: AwaitedEnd) -> Poll<io::Result<()>> {
        ready!(self.poll_write_buffer(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        match awaited {
            AwaitedEnd::Nothing => {}
            AwaitedEnd::CloseFrame => ready!(self.poll_close_frame(cx))?,
            AwaitedEnd::EndOfStream => {
                ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                return self.inbox.poll_end(cx, &mut self.io);
            }
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Ready when the close frame of the peer has come. Messages that cross with the close are
    /// discarded.
    fn poll_close_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unread = self.inbox.unread();
        loop {
            while !unread.is_empty() {
                let consumed = match self.framer.next(unread.bytes_mut()) {
                    Ok(Framed::Incomplete { consumed: 0 } | Framed::Between { consumed: 0 }) => break,
                    Ok(
                        Framed::Frame { consumed, .. }
                        | Framed::Decoded { consumed, .. }
                        | Framed::Between { consumed }
                        | Framed::Incomplete { consumed },
                    ) => consumed,
                    // Violations are no longer reported. Keep waiting while frames can still be
                    // told apart.
                    Err(_) if self.framer.is_in_step() => continue,
                    _ => return Poll::Ready(Ok(())),
                };
                self.framer.taken();
                unread.consume(consumed);
                if self.has_peer_closed() {
                    return Poll::Ready(Ok(()));
                }
            }
            self.inbox.keep(unread);
            match ready!(self.inbox.poll_read(cx, &mut self.io))? {
                Some(read) => unread = read,
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The reason for the end.
impl Driver {
    /// Whether the peer has sent a close frame.
    pub(super) fn has_peer_closed(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.closed().is_some())
    }

    /// The reason when the peer has closed the connection, or its stream has ended.
    pub(super) fn peer_close_reason(&self) -> CloseReason {
        let Some(control) = &self.control else {
            let reason = child_exit(&self.shared.extensions).unwrap_or(CloseReason::Peer);
            return self.peer_reason_or(reason);
        };
        let CloseFrame { code, reason } =
            control.closed().unwrap_or(CloseFrame { code: ABNORMAL, reason: String::new() });
        self.peer_reason_or(CloseReason::PeerClosed { code, reason })
    }

    /// The reason that the peer has given for the end, or `reason` if it gave none.
    pub(super) fn peer_reason_or(&self, reason: CloseReason) -> CloseReason {
        // A refusal of the connection is the only message that the peer sends.
        let is_meant = |error: &ErrorObject| {
            error.code() == ErrorCode::EXCESSIVE_RESOURCE_USAGE
                || self.shared.counters.messages_received() <= 1
        };
        match self.refused_with.as_deref().filter(|error| is_meant(error)) {
            Some(error) => CloseReason::Refused(error.clone()),
            None if self.shared.is_peer_closing() => CloseReason::Shutdown,
            None => reason,
        }
    }

    /// The reason for a failed read. A stream of the user may fail with a [`FrameError`].
    pub(super) fn read_error_reason(&mut self, mut error: io::Error) -> CloseReason {
        self.add_child_output(&mut error);
        if self.control.is_some() && error.kind() == io::ErrorKind::UnexpectedEof {
            return self.peer_close_reason();
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<FrameError>()) {
            Some(error) => CloseReason::Frame(error.clone()),
            None => self.peer_reason_or(CloseReason::Io(Arc::new(clean_io(error)))),
        }
    }

    /// A child process that failed may have printed the cause in place of messages.
    fn add_child_output(&mut self, error: &mut io::Error) {
        if let Some(printed) = child_output(error) {
            *printed = self.foreign_at_end().map(|words| words.found);
        }
    }
}

/// The end: of the calls and handlers, then of the loop.
impl Driver {
    /// Ends calls and aborts handlers, and logs advice for the operator. `still_leaves` is set if
    /// queued messages are still written before the connection closes.
    fn end_session(&self, reason: CloseReason, still_leaves: bool) -> CloseReason {
        let was_ended = self.shared.has_ended();
        let reason = self.shared.end(reason, &self.write_buffer, still_leaves);
        if let CloseReason::Frame(FrameError::TooLarge { size, limit }) = reason
            && !was_ended
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = self.shared.peer.scheme(), network.peer.address = %self.shared.peer,
                session = self.shared.id, size, limit,
                "a frame over the limit has ended the session: where such frames are to be taken, raise `Limits::frame_size` on this side"
            );
        }
        reason
    }

    pub(super) fn finish(&self, reason: CloseReason) {
        // Before the calls end, so that a caller that sees the end does not find the session
        // listed.
        if let Some(owner) = &self.owner {
            owner.ended(self.shared.id);
        }
        self.shared.leave_group(self.cost_of_bytes() + self.cost_of_end(&reason));
        let reason = self.end_session(reason, false);
        let statistics = self.shared.statistics();
        let process = child_name_and_id(&self.shared.extensions);
        tracing::debug!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id,
            program = process.as_ref().map(|(name, _)| display(name)), process.pid = process.as_ref().map(|&(_, id)| id),
            messages_received = statistics.messages_received, messages_sent = statistics.messages_sent,
            bytes_received = statistics.bytes_received, bytes_sent = statistics.bytes_sent,
            bytes_unsent = statistics.bytes_unsent, errors = statistics.errors, cost = statistics.cost,
            open_for = ?statistics.opened.elapsed(), reason = %brief(chain(&reason)), "session closed"
        );
        self.shared.hooks.run(|hooks| hooks.closed(&self.shared, &reason));
        // Queued requests are not started any more.
        self.shared.counters.waiting(0);
        self.shared.gone(reason);
    }

    #[cold]
    pub(super) fn finish_panicked(&self, panic: Box<dyn Any + Send>) {
        let message = panic_message(&*panic).to_owned();
        tracing::error!(
            rpc.system.name = "jsonrpc",
            session = self.shared.id,
            panic = %brief(&message),
            "the loop of a session panicked"
        );
        self.finish(CloseReason::Panicked { message });
    }
}

/// The runtime may drop the loop at any time. Calls end then, too.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.shared.is_gone() {
            self.finish(CloseReason::RuntimeStopped);
        }
    }
}

/// The error for requests that were not started before the session closed.
fn closing() -> ErrorObject {
    ErrorObject::new(ErrorCode::SERVER_BUSY, "the session is closing").not_executed()
}

/// Sends a close frame with a status code and a text for people.
fn send_close_frame(control: &ControlFrames, reason: &CloseReason) {
    let (closing, told) = match reason {
        CloseReason::Shutdown => (Closing::Away, "the server is shutting down".to_owned()),
        CloseReason::Cost { .. } => (Closing::Policy, "excessive resource usage".to_owned()),
        CloseReason::Idle { after } => (
            Closing::Done,
            format!("nothing came or went for {after:?} (`Limits::idle_timeout` of the side that closed)"),
        ),
        CloseReason::Silent { after } => {
            (Closing::Policy, format!("nothing came for {after:?}, not even the answer to a ping"))
        }
        CloseReason::FrameTimeout { after, .. } => (
            Closing::Policy,
            format!(
                "a message was begun, and not ended within {after:?} (`Limits::frame_timeout` of the side that closed)"
            ),
        ),
        // A regular end needs no explanation.
        _ => (Closing::Done, String::new()),
    };
    control.close(closing, told);
}

/// The file name and the process id of the child process, which identify it in the log.
#[cfg(feature = "stdio")]
pub(super) fn child_name_and_id(extensions: &Extensions) -> Option<(String, u32)> {
    use std::path::Path;

    use crate::{jsonrpc::shown::brief, transport::stdio::ChildProcess};

    let process = extensions.get::<ChildProcess>()?;
    let program = Path::new(process.program());
    let name = program.file_name().map_or_else(|| program.to_string_lossy(), |name| name.to_string_lossy());
    Some((brief(name).to_string(), process.id()))
}

#[cfg(not(feature = "stdio"))]
pub(super) const fn child_name_and_id(_: &Extensions) -> Option<(String, u32)> {
    None
}

/// The exit status as the close reason, if the child process has ended well. Its stream reports a
/// failure.
#[cfg(feature = "stdio")]
fn child_exit(extensions: &Extensions) -> Option<CloseReason> {
    use std::sync::Arc;

    use crate::transport::stdio::{ChildExit, ChildProcess};

    let process = extensions.get::<ChildProcess>()?;
    let status = process.exit_status()?;
    let exit = ChildExit { program: process.program().to_owned(), status, printed: None };
    Some(CloseReason::Io(Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, exit))))
}

#[cfg(not(feature = "stdio"))]
const fn child_exit(_: &Extensions) -> Option<CloseReason> {
    None
}

/// The text that a failed child process has printed, to be filled in.
#[cfg(feature = "stdio")]
fn child_output(error: &mut io::Error) -> Option<&mut Option<String>> {
    use crate::transport::stdio::ChildExit;

    let exit = error.get_mut()?.downcast_mut::<ChildExit>()?;
    Some(&mut exit.printed)
}

#[cfg(not(feature = "stdio"))]
const fn child_output(_: &mut io::Error) -> Option<&mut Option<String>> {
    None
}
