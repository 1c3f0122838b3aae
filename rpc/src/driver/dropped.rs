//! Frames that are over the limit, and dropped as they arrive: one that answers a call of this side ends it, one that is a request is
//! answered with an error, and one that is far over the limit ends the session.

use tokio::time::Instant;

use super::{Driver, receive::Flow};
use crate::{
    framing::{FrameError, is_far_over},
    jsonrpc::{CallId, ErrorObject, Id, Reply, Rest, Skim, Verdict, shown::brief},
    service::Replies,
    session::CloseReason,
};

/// A frame that is being dropped.
#[derive(Debug, Default)]
pub(super) struct Oversized {
    skim: Skim,
    /// What its header says, in bytes.
    declared: Option<usize>,
    /// Whether it is a message that a framer has decoded, and not a part of the stream.
    is_decoded: bool,
    /// Whether it was answered, or is not answered whatever follows.
    is_settled: bool,
}

impl Driver {
    /// The header of a frame has said that it is over the limit. The frame begins `behind` it.
    #[cold]
    pub(super) fn frame_announced(&mut self, size: usize, limit: usize, behind: &[u8]) -> Flow {
        self.dropping = Some(Box::new(Oversized { declared: Some(size), ..Oversized::default() }));
        if is_far_over(size, limit) {
            // What has come of it may tell what it is.
            self.look_at(&behind[..behind.len().min(size)], size, limit);
            return self.give_up_frame(size, limit);
        }
        let error = FrameError::TooLarge { size, limit };
        let taken = self.charge_for(&error);
        if taken == Flow::Closing {
            // The peer was told that the session ends.
            self.dropping = None;
        }
        taken
    }

    /// A part of a frame that is being dropped.
    #[cold]
    pub(super) fn pass_over(&mut self, part: &[u8], is_last: bool) -> Flow {
        let limit = self.link.limits.frame_size();
        let oversized = self.dropping.get_or_insert_default();
        let (declared, come) = (oversized.declared, oversized.skim.size() + part.len());
        self.look_at(part, declared.unwrap_or(come), limit);
        if is_last {
            self.settle(come, limit, Rest::Nothing);
            self.dropping = None;
        } else if declared.is_none() && is_far_over(come, limit) {
            return self.give_up_frame(come, limit);
        } else {
            self.settle(come, limit, Rest::Comes);
        }
        Flow::Continue
    }

    /// A frame was dropped that began before `now`, or now. Its time runs on where not all of it has come.
    #[cold]
    pub(super) fn dropped_frame_ends(&mut self, now: Instant) {
        match self.framer.owes_more() {
            true => self.timers.silence.frame_goes_on(now),
            false => self.timers.silence.frame_ended(),
        }
    }

    /// All of a frame was dropped: `part` is what is left of it.
    #[cold]
    pub(super) fn frame_dropped(&mut self, part: &[u8], error: &FrameError) -> Flow {
        if let FrameError::TooLarge { size, limit } = *error {
            self.look_at(part, size, limit);
            self.settle(size, limit, Rest::Nothing);
            if is_far_over(size, limit) {
                return self.give_up_frame(size, limit);
            }
            self.dropping = None;
        }
        self.charge_for(error)
    }

    /// A framer has decoded a frame that is over the limit.
    #[cold]
    pub(super) fn decoded_too_much(&mut self, frame: &[u8]) -> Flow {
        let (size, limit) = (frame.len(), self.link.limits.frame_size());
        self.dropping = Some(Box::new(Oversized { is_decoded: true, ..Oversized::default() }));
        self.frame_dropped(frame, &FrameError::TooLarge { size, limit })
    }

    /// What is being dropped does not come to its end: it is answered where it may be a request. Whether it was just now.
    #[cold]
    pub(super) fn cut_off(&mut self) -> bool {
        let Some(oversized) = &self.dropping else { return false };
        let come = oversized.skim.size();
        let answers = self.settle(come, self.link.limits.frame_size(), Rest::Unread);
        self.dropping = None;
        answers
    }

    pub(super) fn charge_for(&mut self, error: &FrameError) -> Flow {
        tracing::debug!(rpc.system.name = "jsonrpc", session = self.link.id, error = %brief(error), "a frame was dropped");
        self.charge_for_dropped(error)
    }

    /// Where it is the reply to a call of this side, that call need not wait for its timeout.
    fn look_at(&mut self, part: &[u8], size: usize, limit: usize) {
        let (link, answers) = (&self.link, &mut self.answers);
        self.dropping.get_or_insert_default().skim.read(part, |call: CallId| {
            if link.waits_for(call) {
                answers.push(Some(call), Reply::too_large(size, limit));
            }
        });
    }

    /// Answers a frame, of which `size` bytes are known, as soon as it is clear whether it is answered, and under which id. Whether it
    /// was just now.
    fn settle(&mut self, size: usize, limit: usize, rest: Rest) -> bool {
        let Some(mut oversized) = self.dropping.take_if(|oversized| !oversized.is_settled) else {
            return false;
        };
        let verdict = oversized.skim.verdict(self.version, rest);
        let is_settled = verdict != Verdict::Unknown;
        let id = match verdict {
            // There is no JSON-RPC in messages of the application's own.
            _ if self.messages.is_some() => None,
            Verdict::Error(id) => Some(id),
            // Between the marks of an application's framer there may be something else than what they say.
            Verdict::Unreadable if self.framer.is_own() || oversized.is_decoded => Some(Id::NULL),
            Verdict::Unknown | Verdict::Silence | Verdict::Unreadable => None,
        };
        if let Some(id) = id {
            let is_whole = oversized.declared.is_some() || rest == Rest::Nothing;
            let error = ErrorObject::too_large(oversized.declared.unwrap_or(size), is_whole, limit);
            self.link.log_refused(Some(id), &error);
            self.count_refusal(id, &error);
            let version = oversized.skim.answered_in(self.version);
            Replies::new(&mut self.write_buffer, version, &self.link).error(id, &error);
        }
        let answers = id.is_some();
        oversized.is_settled = is_settled;
        self.dropping = Some(oversized);
        answers
    }

    /// What is far over the limit is not waited for: the session ends.
    fn give_up_frame(&mut self, size: usize, limit: usize) -> Flow {
        self.settle(size, limit, Rest::Unread);
        self.dropping = None;
        // The calls that it was found to answer end with an error of their own.
        self.hand_over();
        let error = FrameError::TooLarge { size, limit };
        self.link.start_close(CloseReason::Frame(error.clone()));
        self.charge_for(&error);
        Flow::Closing
    }
}
