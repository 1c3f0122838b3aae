//! Frames that are over the limit, and dropped as they arrive. One that answers a call of ours ends it.

use super::{Driver, receive::Taken};
use crate::{
    framing::FrameError,
    jsonrpc::{Reply, shown::brief},
};

impl Driver {
    /// A part of a frame that is being dropped. Where it is the reply to a call of ours, that call need not wait for its timeout.
    #[cold]
    pub(super) fn pass_over(&mut self, part: &[u8], is_last: bool) {
        let skim = self.dropping.get_or_insert_default();
        let (link, answers) = (&self.link, &mut self.answers);
        let (size, limit) = (skim.size() + part.len(), link.limits.frame_size());
        skim.read(part, |call| {
            if link.waits_for(call) {
                answers.push(Some(call), Reply::too_large(size, limit));
            }
        });
        if is_last {
            self.dropping = None;
        }
    }

    /// The frame is reported: this was the last part of it, or all of it is still to come.
    #[cold]
    pub(super) fn frame_dropped(&mut self, part: &[u8], error: &FrameError) -> Taken {
        if matches!(error, FrameError::TooLarge { .. }) {
            self.pass_over(part, true);
        }
        tracing::debug!(rpc.system.name = "jsonrpc", session = self.link.id, error = %brief(error), "a frame was dropped");
        self.charge_for_dropped(error)
    }
}
