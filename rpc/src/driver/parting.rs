//! The end of a connection that is said something last, as where its transport closes with a frame: what is ready leaves first, then the close
//! frame, and then the stream ends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite as _,
    time::{Instant, Sleep, sleep_until},
};

use super::Driver;
use crate::{
    framing::Framed,
    limits::deadline::after,
    session::CloseReason,
    transport::{Closing, ControlFrames},
};

/// How long it may take, whatever [`Limits::close_timeout`](crate::Limits::close_timeout) says: the peer only has to say that it has heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is waited for before the stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitedEnd {
    /// The peer's close frame: this side has closed first.
    Close,
    /// Nothing: the peer has closed, and knows.
    Nothing,
    /// The end of its stream, of which nothing is understood any more. A socket that is closed with unread bytes has TCP throw away what was
    /// sent last: the peer would not learn which rule it has broken.
    Stream,
}

/// Closes with a code, and with what a person reads on the other side.
pub(super) fn say_why(control: &ControlFrames, reason: &CloseReason) {
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
        // All is done, and there is nothing to explain.
        _ => (Closing::Done, String::new()),
    };
    control.close(closing, told);
}

/// A connection that is being closed.
#[derive(Debug)]
pub(super) struct Parting {
    reason: CloseReason,
    awaited: AwaitedEnd,
    /// Whether the session had ended before. If not, an abort ends it.
    had_ended: bool,
    patience: Pin<Box<Sleep>>,
}

impl Driver {
    /// Whether the connection takes a while to end, where the session ends at once.
    pub(super) fn takes_leave(&mut self, reason: &CloseReason) -> bool {
        let awaited = match reason {
            // What a peer of another protocol was told.
            CloseReason::WrongProtocol { .. }
                if !self.has_sent() && !self.write_buffer.unwritten().is_empty() =>
            {
                AwaitedEnd::Stream
            }
            _ if self.control.is_none() => return false,
            CloseReason::PeerClosed { .. } | CloseReason::Refused(_) | CloseReason::Shutdown
                if self.has_closed() =>
            {
                AwaitedEnd::Nothing
            }
            CloseReason::Frame(_) if self.framer.is_in_step() => AwaitedEnd::Close,
            CloseReason::Frame(_) => AwaitedEnd::Stream,
            _ if self.says_why(reason) => AwaitedEnd::Nothing,
            _ => return false,
        };
        // What is ready was sent before the end.
        self.link.take_queued(&mut self.write_buffer);
        // Handlers are dropped, and calls end, before the peer has read what it is told.
        let reason = self.end_link(reason.clone(), true);
        self.part(reason, awaited);
        true
    }

    /// Whether the peer, with which nothing more is to be done, is said why in a close frame. It is not waited for.
    fn says_why(&self, reason: &CloseReason) -> bool {
        let Some(control) = self.control.as_deref().filter(|_| self.unsent() == 0) else { return false };
        let why = match reason {
            CloseReason::Silent { .. } | CloseReason::FrameTimeout { .. } => reason.clone(),
            // The session was closing, and had its time.
            CloseReason::Peer => match self.link.closing() {
                Ok(Some(first)) => first,
                _ => return false,
            },
            _ => return false,
        };
        say_why(control, &why);
        true
    }

    pub(super) fn part(&mut self, reason: CloseReason, awaited: AwaitedEnd) {
        let now = Instant::now();
        let limit = self.link.limits.close_timeout().map_or(PATIENCE, |limit| limit.min(PATIENCE));
        let patience = Box::pin(sleep_until(after(now, limit).unwrap_or(now)));
        let had_ended = self.has_ended();
        self.parting = Some(Box::new(Parting { reason, awaited, had_ended, patience }));
    }

    /// Ready when the connection is closed.
    pub(super) fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Some(mut parting) = self.parting.take() else { return Poll::Ready(CloseReason::Local) };
        let is_aborted = !parting.had_ended && self.has_ended();
        let is_over = is_aborted || parting.patience.as_mut().poll(cx).is_ready();
        // Whether the peer has noticed makes no difference any more.
        if !is_over && self.poll_farewell(cx, parting.awaited).is_pending() {
            self.parting = Some(parting);
            return Poll::Pending;
        }
        self.inbox.discard(cx, &mut self.io);
        Poll::Ready(parting.reason)
    }

    fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>, awaited: AwaitedEnd) -> Poll<io::Result<()>> {
        ready!(self.poll_write_buffer(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        match awaited {
            AwaitedEnd::Nothing => {}
            AwaitedEnd::Close => ready!(self.poll_closed(cx))?,
            AwaitedEnd::Stream => {
                ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                return self.inbox.poll_end(cx, &mut self.io);
            }
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Ready when the peer has closed. Messages that cross with the close of this side come too late.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
                    // A rule that is broken now need not be told. Where frames are still told apart, the wait goes on.
                    Err(_) if self.framer.is_in_step() => continue,
                    _ => return Poll::Ready(Ok(())),
                };
                self.framer.taken();
                unread.consume(consumed);
                if self.has_closed() {
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
