//! A session that this side closes: what was begun is finished, and what comes is refused.

use super::{Driver, Left};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Events, Member, Message, UncheckedRequest, subscription::CLOSING},
    session::{CloseReason, Trace},
};

/// What a request is answered that was not begun when the session closed.
pub(super) fn closing() -> ErrorObject {
    ErrorObject::new(ErrorCode::SERVER_BUSY, "the session is closing").not_executed()
}

impl Driver {
    /// The session closes for `reason`. Where that is this side's own, requests that were not begun are
    /// refused: those that wait for a permit now, and others when they come. A peer that has only
    /// closed its own direction is still served.
    pub(super) fn drain(&mut self, reason: &CloseReason) {
        if self.drains
            || self.messages.is_some()
            || !matches!(reason, CloseReason::Local | CloseReason::Shutdown)
        {
            return;
        }
        self.drains = true;
        if self.inbox.len() > 0 && self.left == Left::Nothing {
            // It was read behind what has closed the session.
            self.left = Left::Ahead;
        }
        for (text, member, trace) in self.dispatch.queue.take_kept() {
            match self.version.read_in_full(&text) {
                Message::Request(request) => {
                    let request = request.into_unchecked();
                    self.refuse_closing(&request, trace, member);
                    if let (Some(member), Some(_)) = (member, request.id) {
                        self.link.end_batch(member.batch);
                    }
                }
                // It looked like a request to the scan.
                other => {
                    trace.forget();
                    self.process(&text, Events::of(self.version, other));
                }
            }
        }
        self.link.counters.waiting(self.dispatch.queue.len());
    }

    /// Refuses a request that comes while the session closes. A notification is passed over, as there is no
    /// answer to it.
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

    /// Whether the peer says by this that it is a server that shuts down. Then it is noted.
    pub(super) fn takes_closing(&self, method: &str) -> bool {
        let is_it = method == CLOSING && !self.dispatch.routes.have(CLOSING);
        if is_it {
            tracing::debug!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id,
                "the peer shuts down"
            );
            self.link.peer_closes();
        }
        is_it
    }
}
