//! What an array of replies means for the batches of ours.

use super::{CallId, sent::BatchIds};
use crate::jsonrpc::Reply;

/// The batches of ours that an array from the peer has replies to. There will be no other array for them: the calls that it leaves out
/// have ended with it.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    batches: Vec<BatchIds>,
    refusal: Option<Reply>,
}

impl Answered {
    /// Whether the batch that the call belongs to is among them.
    pub(crate) fn knows(&self, call: CallId) -> bool {
        // An array nearly always answers one batch.
        self.batches.iter().any(|ids| ids.contains(&call.0))
    }

    /// A batch has a reply in the array.
    pub(crate) fn add(&mut self, batch: BatchIds) {
        self.batches.push(batch);
    }

    /// Keeps an error without an id until the array has ended: beside replies to one batch it does not refuse another. Gives back one that
    /// was kept before, which then means nothing.
    pub(crate) fn refuse(&mut self, reply: Reply) -> Option<Reply> {
        self.refusal.replace(reply)
    }

    /// The batches that were answered, and the error that refuses one where none was.
    pub(crate) fn end(self) -> (Vec<BatchIds>, Option<Reply>) {
        (self.batches, self.refusal)
    }
}
