//! Batches of the peer's: their members run under the same rules as single requests, and are answered together.

use super::{Driver, Left, drain::closing, receive::Taken, serve::Served};
use crate::{
    framing::Framed,
    jsonrpc::{Answered, BatchId, CallId, Elements, Id, Malformed, Message, Reply, Response},
    session::{Member, Shared},
};

/// A batch whose members were not all looked at yet.
#[derive(Debug)]
pub(super) struct OpenBatch {
    id: BatchId,
    /// Where its next member stands in the text, and which one it is.
    position: usize,
    index: usize,
    /// The batches of this side to which it has replies.
    answered: Answered,
    /// Where a handler that finishes in place writes its reply.
    pub(super) reply: Vec<u8>,
}

impl OpenBatch {
    /// A batch of which one member is looked at again.
    pub(super) fn of(member: Member) -> Self {
        let Member { batch: id, index } = member;
        Self { id, position: 0, index, answered: Answered::default(), reply: Vec::new() }
    }

    pub(super) const fn member(&self) -> Member {
        Member { batch: self.id, index: self.index }
    }

    /// Adds the reply that a handler has written in place.
    pub(super) fn add_reply(&mut self, link: &Shared, id: Id<'_>) {
        link.add_to_batch(self.member(), id, &self.reply);
        self.reply.clear();
    }
}

impl Driver {
    pub(super) fn receive_batch(&mut self, members: &Elements<'_>) -> Taken {
        // A message before it may be the reply to the only batch of this side.
        self.hand_over();
        if let Some(malformed) = self.link.refuses_batch(members) {
            let is_empty = !members.are_more_than(0);
            if is_empty && self.link.end_oldest_batch(&Reply::missing_in_batch()) {
                return Taken::Yes;
            }
            return self.malformed(&malformed, None);
        }
        let first = Member { batch: self.link.begin_batch(), index: 0 };
        self.receive_members(members, OpenBatch::of(first))
    }

    /// Takes up a batch whose next member had to wait.
    pub(super) fn go_on_with_batch(&mut self, frame: &[u8]) -> Taken {
        match self.batch.take() {
            Some(batch) => {
                let members = Elements::of_frame(frame).skip_to(batch.position);
                self.receive_members(&members, *batch)
            }
            None => Taken::Yes,
        }
    }

    fn receive_members(&mut self, members: &Elements<'_>, mut batch: OpenBatch) -> Taken {
        let mut members = members.clone();
        let mut taken = Taken::Yes;
        while let Some(member) = members.next() {
            taken = self.receive_member(member, &mut batch);
            match taken {
                Taken::Yes => {}
                Taken::Held => {
                    self.batch = Some(Box::new(batch));
                    return taken;
                }
                Taken::Over => break,
            }
            batch.position = members.position();
            batch.index += 1;
        }
        self.end_batch(batch);
        taken
    }

    fn receive_member(&mut self, text: &str, batch: &mut OpenBatch) -> Taken {
        match self.version.read_member(text) {
            Message::Request(request) if self.holds_item(&request) => Taken::Held,
            Message::Request(request)
                if self.takes_item(&request, self.plain_item(&request))
                    || self.takes_cancellation(&request, Some(batch)) =>
            {
                Taken::Yes
            }
            Message::Request(request) => match self.serve(&request, text.as_bytes(), Some(batch)) {
                Served::Yes | Served::Last => Taken::Yes,
                Served::NoPlace => self.no_place(&request, text.as_bytes(), Some(batch)),
                Served::Refused(error, trace) => self.refuse(&request, &error, trace, Some(batch)),
            },
            Message::Response(response) => self.take_answer(response, &mut batch.answered),
            Message::Malformed(malformed) => self.malformed(&malformed, Some(batch)),
            Message::Batch(_) => Taken::Yes,
        }
    }

    /// Takes a response that came in an array.
    fn take_answer(&mut self, response: Response<'_>, answered: &mut Answered) -> Taken {
        if response.refuses_whole_message() {
            if let Some(unasked) = answered.refuse(Reply::new(response.outcome)) {
                self.take_unmatched(unasked);
            }
            return Taken::Yes;
        }
        if let Some(call) = CallId::answered_by(response.id)
            && !answered.knows(call)
            && let Some(batch) = self.link.batch_of(call)
        {
            answered.add(batch);
        }
        self.take_reply(response)
    }

    fn end_batch(&mut self, batch: OpenBatch) {
        self.link.end_batch(batch.id);
        let (answered, refusal) = batch.answered.end();
        match refusal {
            Some(reply) if answered.is_empty() => self.take_refusal(reply),
            Some(reply) => self.take_unmatched(reply),
            None => {}
        }
        if !answered.is_empty() {
            self.hand_over();
            answered.into_iter().for_each(|ids| self.link.end_rest_of_batch(ids));
        }
    }

    /// Answers the members of an open batch that are not started any more, since the session is closing.
    pub(super) fn refuse_rest_of_batch(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        self.left = Left::Nothing;
        let mut unread = self.inbox.unread();
        let framed = self.framer.next(unread.bytes_mut());
        let (frame, consumed) = match &framed {
            Ok(Framed::Frame { frame, consumed }) => (unread.bytes().get(frame.clone()), *consumed),
            Ok(Framed::Decoded { frame, consumed }) => (Some(&**frame), *consumed),
            _ => (None, 0),
        };
        if let Some(frame) = frame {
            let error = closing();
            let members = Elements::of_frame(frame).skip_to(batch.position);
            for member in members {
                match self.version.read_member(member) {
                    Message::Request(request) => {
                        self.link.trace(&request).refuse(&error);
                        if let Some(id) = request.id {
                            self.link.add_error_to_batch(batch.member(), id, &error);
                        }
                    }
                    Message::Malformed(Malformed { id, error, answer }) => {
                        self.link.log_refused(Some(id), &error);
                        if answer {
                            self.link.add_error_to_batch(batch.member(), id, &error);
                        }
                    }
                    _ => {}
                }
                batch.index += 1;
            }
        }
        self.framer.taken();
        unread.consume(consumed);
        self.inbox.keep(unread);
        self.end_batch(*batch);
    }
}
