//! Messages of the application's own, which take the place of requests where a session carries them.

use std::borrow::Cow;

use super::{Driver, receive::Taken};
use crate::{
    jsonrpc::{RawParams, Request},
    service::{MESSAGE, Outcome, TakesMessages},
    session::Trace,
};

/// What a message counts as.
const REQUEST: Request<'static> =
    Request { id: None, method: Cow::Borrowed(MESSAGE), params: RawParams::NONE };

impl Driver {
    pub(super) fn receive_message(&mut self, handler: &dyn TakesMessages, frame: &[u8]) -> Taken {
        if !self.has_place(frame.len(), None) {
            return Taken::Held;
        }
        if self.waits_for_turn(&REQUEST, frame, None) {
            return Taken::Yes;
        }
        self.start_message(handler, frame, self.link.trace(&REQUEST))
    }

    pub(super) fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8], trace: Trace) -> Taken {
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
        Taken::Yes
    }
}
