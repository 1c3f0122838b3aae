//! Batches of the peer's: their members run under the same rules as single requests, and are answered together.

use std::sync::Arc;

use super::{Driver, Left, receive::Taken, serve::Served};
use crate::{
    framing::Framed,
    jsonrpc::{
        self, BatchId, CallId, Elements, ErrorCode, ErrorObject, Id, Malformed, Message, Reply,
        version::Version,
    },
    service::Replies,
    session::{Link, Member},
};
/// A batch whose members were not all looked at yet.
#[derive(Debug)]
pub(super) struct OpenBatch {
    id: BatchId,
    /// Where its next member stands in the text, and which one it is.
    position: usize,
    index: usize,
    /// A call of ours that it answers.
    answered: Option<CallId>,
    /// Where handlers that finish in place write their replies.
    pub(super) replies: Replies,
}

impl OpenBatch {
    /// A batch of which one member is looked at again.
    pub(super) fn of(member: Member, version: Version, link: &Arc<Link>) -> Self {
        let Member { batch: id, index } = member;
        let replies = Replies::unframed(version, Arc::clone(link));
        Self { id, position: 0, index, answered: None, replies }
    }

    pub(super) const fn member(&self) -> Member {
        Member { batch: self.id, index: self.index }
    }

    /// Adds what a handler has written in place.
    pub(super) fn add_reply(&mut self, link: &Link, id: Id<'_>) {
        let reply = self.replies.unwritten();
        link.add_to_batch(self.member(), id, reply);
        self.replies.advance(reply.len());
    }
}

impl Driver {
    pub(super) fn receive_batch(&mut self, members: &Elements<'_>) -> Taken {
        // What came before may be the reply to the only batch of ours.
        self.hand_over();
        if let Some(error) = self.link.refuses_batch(members) {
            let is_empty = !members.are_more_than(0);
            if is_empty && self.link.end_oldest_batch(&Reply::missing_in_batch()) {
                return Taken::Yes;
            }
            return self.malformed(&Malformed { id: Id::NULL, error, answer: true }, None);
        }
        let first = Member { batch: self.link.begin_batch(), index: 0 };
        self.receive_members(members, OpenBatch::of(first, self.version, &self.link))
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
        self.end_batch(&batch);
        taken
    }

    fn receive_member(&mut self, text: &str, batch: &mut OpenBatch) -> Taken {
        match self.version.read_member(text) {
            Message::Request(request) if self.takes_item(&request) => Taken::Yes,
            Message::Request(request) => match self.serve(&request, text.as_bytes(), Some(batch)) {
                Served::Yes => Taken::Yes,
                Served::NoPlace => self.no_place(&request, Some(batch)),
                Served::Refused(error) => self.refuse(&request, &error, Some(batch)),
            },
            Message::Response(response) => {
                batch.answered = batch.answered.or(CallId::answered_by(response.id));
                self.take_reply(response)
            }
            Message::Malformed(malformed) => self.malformed(&malformed, Some(batch)),
            Message::Batch(_) => Taken::Yes,
        }
    }

    fn end_batch(&mut self, batch: &OpenBatch) {
        self.link.end_batch(batch.id);
        if let Some(call) = batch.answered {
            self.hand_over();
            self.link.end_rest_of_batch(call);
        }
    }

    /// Answers the members of an open batch that are not started any more, since the session is closing.
    pub(super) fn refuse_rest_of_batch(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        self.left = Left::Nothing;
        let unread = self.inbox.unread();
        if let Ok(Framed::Frame { frame, .. }) = self.framer.next(unread.bytes()) {
            let error = ErrorObject::new(ErrorCode::SERVER_BUSY, "the session is closing");
            let members = Elements::of_frame(&unread.bytes()[frame]).skip_to(batch.position);
            for member in members {
                if let Message::Request(jsonrpc::Request { id: Some(id), .. }) =
                    self.version.read_member(member)
                {
                    self.link.add_error_to_batch(batch.member(), id, &error);
                }
                batch.index += 1;
            }
        }
        self.end_batch(&batch);
    }
}
