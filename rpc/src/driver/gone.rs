//! The end of what the peer sends: it has closed, or is gone.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{Driver, Left, process};
use crate::{
    framing::FrameError,
    jsonrpc::{ErrorCode, ErrorObject, clean_io},
    session::CloseReason,
    transport::CloseFrame,
};

/// Stands for an end without a close frame (RFC 6455, section 7.1.5). It is never sent.
const ABNORMAL: u16 = 1006;

impl Driver {
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

    pub(super) fn end_of_stream(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
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

    /// Whether the peer has closed, where the transport has a frame for that.
    pub(super) fn has_closed(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.closed().is_some())
    }

    /// The peer has closed the connection, or it has come to its end.
    pub(super) fn ended_by_peer(&self) -> CloseReason {
        let Some(control) = &self.control else {
            let reason = process::ended(&self.link.extensions).unwrap_or(CloseReason::Peer);
            return self.by_peer(reason);
        };
        let CloseFrame { code, reason } =
            control.closed().unwrap_or(CloseFrame { code: ABNORMAL, reason: String::new() });
        self.by_peer(CloseReason::PeerClosed { code, reason })
    }

    /// Why the peer has ended the session: `reason`, unless it has said why.
    pub(super) fn by_peer(&self, reason: CloseReason) -> CloseReason {
        // A refusal of the connection is its first word, and its last one.
        let is_meant = |error: &ErrorObject| {
            error.code() == ErrorCode::EXCESSIVE_RESOURCE_USAGE || self.link.counters.messages_received() <= 1
        };
        match self.refused.as_deref().filter(|error| is_meant(error)) {
            Some(error) => CloseReason::Refused(error.clone()),
            None if self.link.is_peer_closing() => CloseReason::Shutdown,
            None => reason,
        }
    }

    /// What a failure to read comes from. A stream of the user's may know of frames.
    pub(super) fn lost(&mut self, mut error: io::Error) -> CloseReason {
        self.add_last_words(&mut error);
        if self.control.is_some() && error.kind() == io::ErrorKind::UnexpectedEof {
            return self.ended_by_peer();
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<FrameError>()) {
            Some(error) => CloseReason::Frame(error.clone()),
            None => self.by_peer(CloseReason::Io(Arc::new(clean_io(error)))),
        }
    }

    /// A process that has failed may have said why, in place of messages.
    fn add_last_words(&mut self, error: &mut io::Error) {
        if let Some(printed) = process::printed(error) {
            *printed = self.last_words().map(|words| words.found);
        }
    }
}
