//! Messages of the application's own, which take the place of requests where a session carries them.

use std::borrow::Cow;

use super::{Driver, receive::Taken};
use crate::{
    jsonrpc::{RawParams, Request},
    service::{MESSAGE, TakesMessages, Unanswered},
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
        self.start_message(handler, frame)
    }

    pub(super) fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8]) -> Taken {
        match handler.take(frame, &self.link) {
            Ok(None) => {}
            Ok(Some(rest)) => {
                self.start_task(&REQUEST, None, frame.len(), Box::new(Unanswered(rest)));
            }
            Err(error) => return self.charge_for_dropped(&error),
        }
        tracing::debug!(rpc.system.name = "jsonrpc", size = frame.len(), session = self.link.id, "message");
        Taken::Yes
    }
}
