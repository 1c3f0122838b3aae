//! Requests that the peer takes back.

use super::Driver;
use crate::{
    jsonrpc::{CancelBy, Cancellation, Id, Member, Request, shown::brief},
    service::{Removed, Routes},
    session::Ending,
    transport::Takes,
};

/// How the peer may take requests back.
#[derive(Debug)]
pub(super) struct Cancellations {
    /// As was chosen, and as the styles of the methods say it: by notifications.
    known: Vec<Cancellation>,
    own: Own,
}

/// What is made of [`Cancellation::RPC`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Heeded,
    /// The peer was told in the handshake that it is known here; but it was chosen otherwise.
    Ignored,
    /// It is a method like any other.
    Unknown,
}

impl Cancellations {
    pub(super) fn new(configured: &CancelBy, routes: &Routes, peer: Takes) -> Self {
        let chosen = match configured {
            CancelBy::Chosen(cancellation) => Some((**cancellation).clone()),
            CancelBy::Negotiated | CancelBy::Nothing => None,
        };
        let is_own = chosen.as_ref().is_none_or(|chosen| *chosen == Cancellation::RPC);
        let own = match configured {
            // A service goes before, here as everywhere.
            _ if routes.have(Cancellation::RPC.method()) => Own::Unknown,
            CancelBy::Negotiated | CancelBy::Chosen(_) if is_own => Own::Heeded,
            _ if peer.cancel => Own::Ignored,
            _ => Own::Unknown,
        };
        Self { known: chosen.into_iter().chain(routes.cancellations()).collect(), own }
    }
}

impl Driver {
    /// Whether the request may be what takes another one back: nearly none is.
    #[inline]
    pub(super) fn asks_to_cancel(&self, method: &str) -> bool {
        method == "rpc.cancel" && self.cancellations.own != Own::Unknown
    }

    /// Whether a notification does.
    #[inline]
    pub(super) fn is_cancellation(&self, method: &str) -> bool {
        self.asks_to_cancel(method) || self.cancellations.known.iter().any(|known| known.method() == method)
    }

    /// Whether the peer takes another request back by this one; then that is done. It needs no permit:
    /// it gives one back.
    pub(super) fn takes_cancellation(&mut self, request: &Request<'_>, member: Option<Member>) -> bool {
        let own;
        let cancellation = if self.asks_to_cancel(&request.method) {
            if self.cancellations.own == Own::Ignored {
                return request.id.is_none();
            }
            self.link.peer_cancels();
            own = Cancellation::RPC;
            &own
        } else {
            let mut known = self.cancellations.known.iter();
            match known.find(|known| request.id.is_none() && known.method() == request.method) {
                Some(known) => known,
                None => return false,
            }
        };
        // One that names no request, an unknown one, or one that was answered meanwhile, is no fault of the peer's.
        if let Some(id) = cancellation.id(request.params) {
            let answers = cancellation.answers();
            self.cancel(id, answers);
        }
        match (request.id, member) {
            (None, _) => {}
            (Some(id), None) => self.replies().null(id),
            (Some(id), Some(member)) => {
                let (_, mut sink) = self.dispatcher();
                sink.member().null(id);
                sink.add_member_reply(member, id);
            }
        }
        true
    }

    fn cancel(&mut self, id: Id<'_>, answers: bool) {
        let known = id.known();
        // What the loop still holds is earlier than what the shared state appends.
        if self.link.cancel_request(&known, answers) {
            return;
        }
        match self.dispatch.queue.remove(&known, self.version) {
            Some(Removed { id, member, trace }) => {
                self.link.counters.waiting(self.dispatch.queue.len());
                trace.end(Ending::Cancelled);
                id.with(|id| self.link.cancelled_before(member, id, answers));
            }
            None => tracing::debug!(
                rpc.system.name = "jsonrpc",
                jsonrpc.request.id = %brief(id),
                session = self.link.id,
                "the peer cancels a request that is not at work"
            ),
        }
    }
}
