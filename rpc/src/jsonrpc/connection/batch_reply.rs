//! The reply to a batch of the peer's, while it comes together.

use std::ops::Range;

use crate::jsonrpc::{ErrorCode, ErrorObject, Id, version::Version};

/// Collects the replies to the members of one batch, which go out as one message when the last one is there.
#[derive(Debug)]
pub(crate) struct BatchReply {
    version: Version,
    /// The replies, in the order in which they came.
    text: Vec<u8>,
    /// Which member each belongs to, and where it stands.
    parts: Vec<(usize, Range<usize>)>,
    /// What is still to come: replies, and the end of the batch itself.
    expected: usize,
    /// How many bytes the replies may have together.
    limit: usize,
}

impl BatchReply {
    pub(super) const fn new(version: Version, limit: usize) -> Self {
        Self { version, text: Vec::new(), parts: Vec::new(), expected: 1, limit }
    }

    /// A reply to a member will follow.
    pub(super) const fn expect(&mut self) {
        self.expected += 1;
    }

    /// What was expected has come, or will not come.
    pub(super) const fn came(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.expected == 0
    }

    /// Adds the reply to the member at `index`. One that is too much for the limit becomes an error.
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

    /// How many bytes the replies have that are there already.
    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is nothing to send: a batch of notifications is not answered.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends the reply, in the order of the batch.
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
}
