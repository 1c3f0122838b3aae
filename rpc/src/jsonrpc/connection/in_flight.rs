//! The state in flight besides the calls themselves: batches in both directions, and sent messages
//! to which a later error without an id may refer.

use std::ops::{Range, RangeInclusive};

use crate::jsonrpc::{ErrorCode, ErrorObject, Id, version::Version};

/// Collects the replies to the members of one batch from the peer. They are sent as one message
/// once the last one has come.
#[derive(Debug)]
pub(crate) struct BatchReply {
    version: Version,
    /// The replies, in the order in which they came.
    text: Vec<u8>,
    /// The index of the member that each reply belongs to, and its place in `text`.
    parts: Vec<(usize, Range<usize>)>,
    /// The number of replies still expected, plus one until the end of the batch.
    expected: usize,
    /// The most bytes that the replies may have together.
    limit: usize,
}

impl BatchReply {
    pub(super) const fn new(version: Version, limit: usize) -> Self {
        Self { version, text: Vec::new(), parts: Vec::new(), expected: 1, limit }
    }

    /// Expects the reply to a member.
    pub(super) const fn expect(&mut self) {
        self.expected += 1;
    }

    /// An expected reply has come, or will not come.
    pub(super) const fn came(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.expected == 0
    }

    /// Adds the reply to the member at `index`. A reply that would exceed the limit is replaced by
    /// an error.
    pub(super) fn add(&mut self, index: usize, id: Id<'_>, reply: &[u8]) {
        let start = self.text.len();
        if start.saturating_add(reply.len()) <= self.limit {
            self.text.extend_from_slice(reply);
        } else {
            let error = too_large(start + reply.len(), self.limit);
            self.version.put_error(&mut self.text, id, &error);
        }
        self.parts.push((index, start..self.text.len()));
    }

    /// Adds an error as the reply to the member at `index`.
    pub(super) fn add_error(&mut self, index: usize, id: Id<'_>, error: &ErrorObject) {
        let start = self.text.len();
        self.version.put_error(&mut self.text, id, error);
        self.parts.push((index, start..self.text.len()));
    }

    /// The size, in bytes, of the replies so far.
    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is nothing to send: a batch of notifications is not answered.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends the reply, its parts in the order of the batch.
    pub(crate) fn write(mut self, out: &mut Vec<u8>) {
        self.parts.sort_by_key(|(index, _)| *index);
        out.reserve(self.text.len() + self.parts.len() + 2);
        let mut before = b'[';
        for (_, part) in self.parts {
            out.push(before);
            out.extend_from_slice(&self.text[part]);
            before = b',';
        }
        out.push(b']');
    }
}

#[cold]
fn too_large(size: usize, limit: usize) -> ErrorObject {
    ErrorObject::new(
        ErrorCode::INTERNAL_ERROR,
        format!(
            "the replies to the batch are too large: with this one they have {size} bytes, and the limit is {limit}"
        ),
    )
}

/// The range of ids that contains the calls of a sent batch: no other call is made while a batch is
/// written.
pub(crate) type BatchIds = RangeInclusive<u64>;

/// The sent batches in flight, oldest first.
#[derive(Debug, Default)]
pub(super) struct SentBatches(Vec<SentBatch>);

#[derive(Debug)]
struct SentBatch {
    ids: BatchIds,
    /// The number of calls of the batch that are in flight.
    left: usize,
}

impl SentBatches {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, first: u64, last: u64, calls: usize) {
        self.0.push(SentBatch { ids: first..=last, left: calls });
    }

    /// A call has ended. There are nearly always no batches, so that case is first.
    pub(super) fn ended(&mut self, call: u64) {
        if self.0.is_empty() {
            return;
        }
        if let Some(at) = self.find(call) {
            self.0[at].left -= 1;
            if self.0[at].left == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The range of ids of the batch that `call` belongs to.
    pub(super) fn ids(&self, call: u64) -> Option<BatchIds> {
        Some(self.0[self.find(call)?].ids.clone())
    }

    /// The range of ids of the oldest batch.
    pub(super) fn oldest(&self) -> Option<BatchIds> {
        self.0.first().map(|batch| batch.ids.clone())
    }

    /// Whether a batch in flight has at least this many calls.
    pub(super) fn any_has(&self, calls: usize) -> bool {
        self.0.iter().any(|batch| batch.ids.end() - batch.ids.start() + 1 >= calls as u64)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&self, call: u64) -> Option<usize> {
        let at = self.0.partition_point(|batch| *batch.ids.end() < call);
        self.0.get(at)?.ids.contains(&call).then_some(at)
    }
}

/// The most abandoned calls that are remembered.
const MAX_GIVEN_UP: usize = 64;

/// Sent messages to which an error without an id may refer, besides the calls in flight: abandoned
/// calls, whose replies may still come, and notifications, which some peers answer with an error if
/// they cannot handle them.
#[derive(Debug)]
pub(super) struct UnansweredMessages {
    given_up: Vec<u64>,
    /// Whether more calls were abandoned than are remembered: then any error may refer to one of
    /// them.
    is_full: bool,
    /// The id of the first call after the last notification; 0 if there was no notification.
    behind_notification: u64,
    /// The latest call that has a reply. Peers refuse unreadable messages in the order in which
    /// they come, so an error caused by a notification before this call has come already.
    last_answered: u64,
}

impl UnansweredMessages {
    pub(super) const fn new() -> Self {
        Self { given_up: Vec::new(), is_full: false, behind_notification: 0, last_answered: 0 }
    }

    /// The caller has abandoned a call.
    pub(super) fn gave_up(&mut self, call: u64) {
        match self.given_up.len() < MAX_GIVEN_UP {
            true => self.given_up.push(call),
            false => self.is_full = true,
        }
    }

    /// The reply to a call in flight has come.
    pub(super) const fn answered(&mut self, call: u64) {
        if call > self.last_answered {
            self.last_answered = call;
        }
    }

    /// The reply to a call that is not in flight has come.
    pub(super) fn answered_late(&mut self, call: u64) {
        if let Some(at) = self.given_up.iter().position(|&given_up| given_up == call) {
            self.given_up.swap_remove(at);
        }
    }

    /// A notification is sent after the call `last_call`.
    pub(super) const fn notified(&mut self, last_call: u64) {
        self.behind_notification = last_call + 1;
    }

    /// Whether an error without an id can only refer to a call in flight.
    pub(super) const fn is_empty(&self) -> bool {
        self.given_up.is_empty() && !self.is_full && self.last_answered >= self.behind_notification
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &'static str) -> Id<'static> {
        Id::from_json(text)
    }

    fn written(batch: BatchReply) -> String {
        let mut out = Vec::new();
        batch.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replies_stand_in_the_order_of_the_batch_whenever_they_came() {
        let mut batch = BatchReply::new(Version::V2, usize::MAX);
        for (index, reply) in [(2, "c"), (0, "a"), (1, "b")] {
            batch.add(index, Id::NULL, reply.as_bytes());
        }
        assert_eq!(written(batch), "[a,b,c]");
    }

    #[test]
    fn it_is_complete_when_everything_expected_came_and_the_batch_has_ended() {
        let mut batch = BatchReply::new(Version::V2, usize::MAX);
        batch.expect();
        batch.came();
        assert!(!batch.is_complete(), "members may follow");
        batch.came();
        assert!(batch.is_complete());
        assert!(batch.is_empty());
    }

    #[test]
    fn a_reply_that_is_too_much_becomes_an_error_and_the_others_stay() {
        let mut batch = BatchReply::new(Version::V2, 10);
        batch.add(0, id("1"), b"12345678");
        batch.add(1, id("2"), b"123");
        let text = written(batch);
        assert!(text.starts_with(r#"[12345678,{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"#), "{text}");
        assert!(text.contains("11 bytes, and the limit is 10"), "{text}");
    }

    #[test]
    fn a_call_that_was_given_up_counts_until_its_reply_comes() {
        let mut unanswered = UnansweredMessages::new();
        assert!(unanswered.is_empty());
        unanswered.gave_up(3);
        unanswered.gave_up(4);
        assert!(!unanswered.is_empty());
        // Replies to other calls have come, one of them twice.
        unanswered.answered(5);
        unanswered.answered_late(5);
        unanswered.answered_late(3);
        assert!(!unanswered.is_empty());
        unanswered.answered_late(4);
        assert!(unanswered.is_empty());
    }

    #[test]
    fn a_notification_counts_until_a_later_call_is_answered() {
        let mut unanswered = UnansweredMessages::new();
        unanswered.notified(0);
        assert!(!unanswered.is_empty());
        unanswered.answered(1);
        assert!(unanswered.is_empty());
        unanswered.notified(2);
        // This call was sent before the notification.
        unanswered.answered(2);
        assert!(!unanswered.is_empty());
        unanswered.answered(4);
        unanswered.answered(3);
        assert!(unanswered.is_empty());
    }

    #[test]
    fn more_calls_than_are_remembered_are_not_forgotten_as_such() {
        let mut unanswered = UnansweredMessages::new();
        let calls = 1..=MAX_GIVEN_UP as u64 + 1;
        calls.clone().for_each(|call| unanswered.gave_up(call));
        calls.for_each(|call| unanswered.answered_late(call));
        assert!(unanswered.given_up.is_empty());
        assert!(!unanswered.is_empty());
    }
}
