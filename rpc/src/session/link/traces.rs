//! What is logged of the requests that the peer sends.

use super::Link;
use crate::{
    jsonrpc::{ErrorObject, Id, Request},
    session::trace::{Trace, log_refused},
};

impl Link {
    /// Begins the trace of a request.
    #[inline]
    pub(crate) fn trace(&self, request: &Request<'_>) -> Trace {
        Trace::begin(request, self.id, &self.peer)
    }

    /// Logs that a message was refused which is no request, or was not read.
    pub(crate) fn log_refused(&self, id: Option<Id<'_>>, error: &ErrorObject) {
        log_refused(id, error, Some(self.id), &self.peer);
    }
}
