//! What can be said of a message that is too large to be kept, as it passes by: which calls of ours it answers.

use memchr::memchr2;

use super::{CallId, Id};

/// No id of ours is longer, nor is the name of a member that matters.
const LONGEST: usize = 24;

/// Looks at a message part by part, and keeps next to nothing of it.
///
/// It is meant for replies of honest peers. What breaks the rules of JSON, or writes `id` with escapes, may go unseen.
#[derive(Debug, Default)]
pub(crate) struct Skim {
    /// How many bytes were looked at.
    size: usize,
    in_string: bool,
    escaped: bool,
    /// How many brackets are open, and how many are around the members of a message: 1, or 2 in an array.
    depth: usize,
    around: usize,
    /// The name or the value at hand, as far as it stands between those brackets. One longer than [`LONGEST`] is kept as far as that.
    text: Vec<u8>,
    member: Member,
    id: Option<CallId>,
    /// Whether there was a member that only replies have, or only requests.
    answers: bool,
    calls: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// Its name is not known yet.
    #[default]
    Unnamed,
    Id,
    Other,
}

impl Skim {
    /// How many bytes it has seen.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Looks at the next part. Gives the call that it was found to answer to `answered`.
    pub(crate) fn read(&mut self, part: &[u8], mut answered: impl FnMut(CallId)) {
        self.size += part.len();
        let mut at = 0;
        while let Some(&byte) = part.get(at) {
            if self.in_string {
                at += self.string(&part[at..]);
                continue;
            }
            at += 1;
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.keep(&[byte]);
                }
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => answered_by(self.close(byte), &mut answered),
                b':' if self.is_around() => self.named(),
                b',' if self.is_around() => self.member_ended(),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => self.keep(&[byte]),
            }
        }
    }

    /// The rest of a string, as far as it has come: gives how long that is.
    fn string(&mut self, part: &[u8]) -> usize {
        let from = usize::from(std::mem::take(&mut self.escaped));
        let found = memchr2(b'"', b'\\', part.get(from..).unwrap_or_default()).map(|found| from + found);
        let end = found.map_or(part.len(), |found| found + 1);
        match found.map(|found| part[found]) {
            Some(b'"') => self.in_string = false,
            Some(_) => self.escaped = true,
            None => {}
        }
        self.keep(&part[..end]);
        end
    }

    fn is_around(&self) -> bool {
        self.depth > 0 && self.depth == self.around
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_around() {
            let room = LONGEST - self.text.len();
            self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn open(&mut self, bracket: u8) {
        // What is nested is no id of ours.
        self.keep(&[bracket]);
        self.depth += 1;
        if self.depth == 1 {
            self.around = if bracket == b'{' { 1 } else { 2 };
        }
        if self.is_around() {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.text.clear();
        (self.member, self.id, self.answers, self.calls) = (Member::Unnamed, None, false, false);
    }

    /// Gives the call that is answered by the message that has ended, if one has.
    fn close(&mut self, bracket: u8) -> Option<CallId> {
        let mut answers = None;
        if self.is_around() && bracket == b'}' {
            self.member_ended();
            answers = self.id.take().filter(|_| self.answers && !self.calls);
        }
        self.depth = self.depth.saturating_sub(1);
        answers
    }

    fn named(&mut self) {
        self.member = match &*self.text {
            b"\"id\"" => Member::Id,
            name => {
                self.answers |= matches!(name, b"\"result\"" | b"\"error\"");
                self.calls |= name == b"\"method\"";
                Member::Other
            }
        };
        self.text.clear();
    }

    fn member_ended(&mut self) {
        if self.member == Member::Id {
            self.id =
                std::str::from_utf8(&self.text).ok().and_then(|id| CallId::answered_by(Id::from_json(id)));
        }
        self.member = Member::Unnamed;
        self.text.clear();
    }
}

fn answered_by(call: Option<CallId>, answered: &mut impl FnMut(CallId)) {
    if let Some(call) = call {
        answered(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(message: &str, step: usize) -> Vec<u64> {
        let (mut skim, mut calls) = (Skim::default(), Vec::new());
        for part in message.as_bytes().chunks(step) {
            skim.read(part, |call| calls.push(call.value()));
        }
        assert_eq!(skim.size(), message.len());
        calls
    }

    #[test]
    fn the_call_is_found_wherever_its_id_stands_and_however_the_message_is_cut() {
        let long = "x\\\"}],{".repeat(50);
        for (message, calls) in [
            (format!(r#"{{"jsonrpc":"2.0","id":7,"result":"{long}"}}"#), &[7][..]),
            (format!(r#"{{"jsonrpc": "2.0", "result": ["{long}", {{"id": 8}}], "id": 7 }}"#), &[7]),
            (format!(r#" {{"error":{{"id":8,"message":"{long}"}},"id":7,"result":null}}"#), &[7]),
            (
                r#"[{"id":1,"result":[[],{}]},{"result":{"a":{"id":9}},"id":2},3,{"id":4,"error":{}}]"#
                    .into(),
                &[1, 2, 4],
            ),
            // Requests, even with our ids; and what answers nobody.
            (format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":["{long}"]}}"#), &[]),
            (format!(r#"{{"method":"result","params":["{long}"],"id":7,"result":1}}"#), &[]),
            (r#"{"id":"7","result":1}"#.into(), &[]),
            (r#"{"id":7.0,"result":1}"#.into(), &[]),
            (r#"{"id":[7],"result":1}"#.into(), &[]),
            (r#"{"id":7000000000000000000000000000,"result":1}"#.into(), &[]),
            (r#"{"result":{"id":7,"result":1}}"#.into(), &[]),
            (r#"{"id":7}"#.into(), &[]),
            (r#"{"id":7,"result":1"#.into(), &[]),
            ("]]}}:,,\"".into(), &[]),
        ] {
            for step in [1, 2, 3, 7, message.len()] {
                assert_eq!(answered(&message, step), calls, "{message} in pieces of {step}");
            }
        }
    }

    #[test]
    fn next_to_nothing_is_kept() {
        let mut skim = Skim::default();
        skim.read(br#"{"id":"#, |_| {});
        for _ in 0..1000 {
            skim.read(&[b'1'; 64], |_| {});
            skim.read(br#""x"#, |_| {});
        }
        assert!(skim.text.capacity() <= 2 * LONGEST);
    }
}
