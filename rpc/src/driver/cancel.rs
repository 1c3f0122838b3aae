//! Requests that the peer takes back.

use super::Driver;
use crate::jsonrpc;

impl Driver {
    /// Whether the request is a notification by which the peer takes another one back; then that is done. It needs no place among those
    /// that are worked on: it makes one.
    pub(super) fn takes_cancellation(&mut self, request: &jsonrpc::Request<'_>) -> bool {
        if request.id.is_some() {
            return false;
        }
        let Some(cancellation) = self.cancellations.iter().find(|known| known.method() == request.method)
        else {
            return false;
        };
        // One that names no request, an unknown one, or one that was answered meanwhile, is no fault of the peer's.
        if let Some(id) = cancellation.id(request.params) {
            let answers = cancellation.answers();
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                jsonrpc.request.id = %id,
                session = self.link.id,
                "the peer cancels a request"
            );
            // What the loop still holds is earlier than what the link appends.
            if !self.link.cancel_request(id, answers)
                && let Some(member) = self.queue.remove(id, self.version)
            {
                self.link.counters.waiting(self.queue.len());
                self.link.cancelled_before(member, id, answers);
            }
        }
        true
    }
}
