//! Requests that the peer takes back.

use super::Driver;
use crate::jsonrpc::{self, Cancellation, shown::brief};

impl Driver {
    /// How the peer takes a request back with this one, if it does.
    fn cancellation_by(&self, request: &jsonrpc::Request<'_>) -> Option<&Cancellation> {
        let known = self.cancellations.iter().find(|known| known.method() == request.method);
        known.filter(|_| request.id.is_none())
    }

    pub(super) fn is_cancellation(&self, request: &jsonrpc::Request<'_>) -> bool {
        self.cancellation_by(request).is_some()
    }

    /// Whether the request is a notification by which the peer takes another one back; then that is done. It needs no place among those
    /// that are worked on: it makes one.
    pub(super) fn takes_cancellation(&mut self, request: &jsonrpc::Request<'_>) -> bool {
        let Some(cancellation) = self.cancellation_by(request) else { return false };
        // One that names no request, an unknown one, or one that was answered meanwhile, is no fault of the peer's.
        if let Some(id) = cancellation.id(request.params) {
            let answers = cancellation.answers();
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                jsonrpc.request.id = %brief(id),
                session = self.link.id,
                "the peer cancels a request"
            );
            let known = id.known();
            // What the loop still holds is earlier than what the link appends.
            if !self.link.cancel_request(&known, answers)
                && let Some((own, member)) = self.queue.remove(&known, self.version)
            {
                self.link.counters.waiting(self.queue.len());
                own.with(|id| self.link.cancelled_before(member, id, answers));
            }
        }
        true
    }
}
