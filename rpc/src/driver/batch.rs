//! A batch of the peer's that has to be given up in the middle.

use super::{Driver, Left, drain::closing};
use crate::{
    framing::Framed,
    jsonrpc::{Events, Malformed, Step},
};

impl Driver {
    /// Answers the members of a paused batch that are not started any more, since the session is
    /// closing.
    pub(super) fn refuse_rest_of_batch(&mut self) {
        let Some(paused) = self.paused.take() else { return };
        self.left = Left::Nothing;
        let mut unread = self.inbox.unread();
        let framed = self.framer.next(unread.bytes_mut());
        let (frame, consumed) = match &framed {
            Ok(Framed::Frame { frame, consumed }) => (unread.bytes().get(frame.clone()), *consumed),
            Ok(Framed::Decoded { frame, consumed }) => (Some(&**frame), *consumed),
            _ => (None, 0),
        };
        let error = closing();
        let mut events = Events::resume(self.version, frame.unwrap_or_default(), *paused);
        while let Some(step) = events.step(self) {
            match step {
                Step::Member(request, member, _) => {
                    let request = request.into_unchecked();
                    self.link.trace(&request).refuse(&error);
                    if let Some(id) = request.id {
                        self.link.add_error_to_batch(member, id, &error);
                    }
                }
                Step::Malformed(Malformed { id, error, answer }, Some(member)) => {
                    self.link.log_refused(Some(id), &error);
                    if answer {
                        self.link.add_error_to_batch(member, id, &error);
                    }
                }
                other => {
                    self.process_step(&[], other);
                }
            }
        }
        self.framer.taken();
        unread.consume(consumed);
        self.inbox.keep(unread);
    }
}
