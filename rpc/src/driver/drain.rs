//! A session that this side closes: what was begun is finished, and what comes is refused.

use super::{Driver, Left, batch::OpenBatch, receive::Taken};
use crate::{
    jsonrpc::{self, ErrorCode, ErrorObject, Message, subscription::CLOSING},
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
        for (text, member, trace) in self.queue.take_kept() {
            let batch = member.map(OpenBatch::of);
            match self.version.read_in_full(&text) {
                Message::Request(request) => {
                    self.refuse_closing(&request, trace, batch.as_ref());
                    if let (Some(member), Some(_)) = (member, request.id) {
                        self.link.end_batch(member.batch);
                    }
                }
                // It looked like a request to the scan.
                other => {
                    trace.forget();
                    self.dispatch(&text, other, false);
                }
            }
        }
        self.link.counters.waiting(self.queue.len());
    }

    /// Refuses a request that comes while the session closes. A notification is passed over, as there is no
    /// answer to it.
    pub(super) fn refuse_closing(
        &mut self,
        request: &jsonrpc::Request<'_>,
        trace: Trace,
        batch: Option<&OpenBatch>,
    ) -> Taken {
        let error = closing();
        trace.refuse(&error);
        if let Some(id) = request.id {
            self.answer_error(id, &error, batch);
        }
        Taken::Yes
    }

    /// Whether the peer says by this that it is a server that shuts down. Then it is noted.
    pub(super) fn takes_closing(&self, request: &jsonrpc::Request<'_>) -> bool {
        let is_it = request.method == CLOSING && !self.routes.have(CLOSING);
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
