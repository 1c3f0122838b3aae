//! Messages of the application's own, which take the place of requests where a session carries them.

use std::borrow::Cow;

use super::{Driver, receive::Flow};
use crate::{
    jsonrpc::{UncheckedParams, UncheckedRequest},
    service::{MESSAGE, Outcome, ReplySink as _, TakesMessages},
    session::Trace,
};

/// What a message counts as.
const REQUEST: UncheckedRequest<'static> =
    UncheckedRequest { id: None, method: Cow::Borrowed(MESSAGE), params: UncheckedParams::NONE };

impl Driver {
    pub(super) fn receive_message(&mut self, handler: &dyn TakesMessages, frame: &[u8]) -> Flow {
        if !self.has_permit(frame.len(), None) {
            return Flow::Blocked;
        }
        let Some(trace) = self.admit(&REQUEST, frame, None) else { return Flow::Continue };
        self.start_message(handler, frame, trace)
    }

    pub(super) fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8], trace: Trace) -> Flow {
        let outcome = match trace.in_scope(|| handler.take(frame, &self.link)) {
            Ok(outcome) => outcome,
            Err(error) => {
                trace.forget();
                return self.charge_for(&error);
            }
        };
        if let (Outcome::Pending(work), trace) = outcome.traced(trace) {
            let timeout = self.link.limits.request_timeout();
            let (dispatch, mut sink) = self.dispatcher();
            let running = dispatch.running(&REQUEST, (frame.len(), None), timeout, false, trace);
            sink.work(running, work);
        }
        Flow::Continue
    }
}
