//! Messages of the application's own, which take the place of requests where a session carries them.

use std::borrow::Cow;

use super::{Driver, receive::Flow};
use crate::{
    jsonrpc::{UncheckedParams, UncheckedRequest},
    service::{MESSAGE, Outcome, TakesMessages},
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
        if self.waits_for_turn(&REQUEST, frame, None) {
            return Flow::Continue;
        }
        self.start_message(handler, frame, self.link.trace(&REQUEST))
    }

    pub(super) fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8], trace: Trace) -> Flow {
        let outcome = match trace.in_scope(|| handler.take(frame, &self.link)) {
            Ok(outcome) => outcome,
            Err(error) => {
                trace.forget();
                return self.charge_for(&error);
            }
        };
        if let (Outcome::Pending(rest), trace) = outcome.traced(trace) {
            self.start_task(&REQUEST, None, frame.len(), rest, trace);
        }
        Flow::Continue
    }
}
