//! The first bytes of a stream: a peer that speaks another protocol is found out before anything of
//! it is handled.

use std::task::Context;

use tokio::time::Instant;

use super::{Driver, inbox::Unread};
use crate::{
    session::CloseReason,
    transport::{Foreign, Opening},
};

/// So many blanks are held until what follows them tells what is spoken, in bytes.
const BLANKS: usize = 1024;

impl Driver {
    /// What was read while it was not settled what the peer speaks.
    #[cold]
    pub(super) fn take_opening(&mut self, cx: &mut Context<'_>, unread: Unread) -> Result<(), CloseReason> {
        match Opening::of(unread.bytes(), false) {
            Opening::Ours => {
                self.is_judged = true;
                self.take_apart(cx, unread, false)
            }
            // Where they are no message, they are passed over.
            Opening::Blank if unread.bytes().len() >= BLANKS => self.take_apart(cx, unread, false),
            Opening::Blank => {
                self.inbox.keep(unread);
                self.count_opening();
                Ok(())
            }
            Opening::Undecided => {
                self.inbox.keep(unread);
                let now = self.count_opening();
                self.timers.silence.frame_goes_on(now);
                Ok(())
            }
            Opening::Foreign(foreign) => {
                self.inbox.keep(unread);
                self.count_opening();
                Err(self.is_foreign(foreign))
            }
        }
    }

    /// At the end of the stream nothing follows that could tell.
    pub(super) fn judge_last_words(&self) -> Result<(), CloseReason> {
        match Opening::of(self.inbox.rest(), true) {
            Opening::Foreign(foreign) if !self.is_judged => Err(self.is_foreign(foreign)),
            _ => Ok(()),
        }
    }

    /// Accounts for bytes that are not taken apart yet.
    fn count_opening(&mut self) -> Instant {
        let (now, bytes) = (Instant::now(), self.inbox.take_last_read() as u64);
        self.timers.silence.heard(now);
        self.uncharged += bytes;
        self.link.counters.received(0, bytes, now);
        now
    }

    fn is_foreign(&self, Foreign { protocol, found }: Foreign) -> CloseReason {
        tracing::info!(
            rpc.system.name = "jsonrpc", network.transport = self.link.peer.scheme(), network.peer.address = %self.link.peer,
            session = self.link.id, protocol, found,
            "a peer speaks another protocol: its session ends, and nothing of it was handled"
        );
        CloseReason::WrongProtocol { protocol, found }
    }
}
