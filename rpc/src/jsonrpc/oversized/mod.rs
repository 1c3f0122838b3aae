//! Reads a message that is too large to be kept while it passes by: which calls it answers, and
//! whether and under which id it is answered itself.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::{CallId, Id, version::Version};

/// The most bytes of a member's name or of an id that are kept. A longer name is none that matters,
/// and a longer id is not echoed.
const MAX_TEXT: usize = 4 << 10;

/// Reads a message part by part, and keeps next to nothing of it.
///
/// It finds the calls that the replies of an honest peer answer. It does not validate JSON.
#[derive(Debug, Default)]
pub(crate) struct Skim {
    /// The number of bytes read.
    size: usize,
    shape: MessageShape,
    /// Whether the object or array has ended.
    is_whole: bool,
    in_string: bool,
    escaped: bool,
    /// How many brackets are open, and how many enclose the members of a message: 1, or 2 in an
    /// array.
    depth: usize,
    around: usize,
    /// The current name or value, if it stands directly within those brackets: its first
    /// [`MAX_TEXT`] bytes.
    text: Vec<u8>,
    member: CurrentMember,
    seen: SeenMembers,
    /// Which kinds of messages an array contains, the current one included.
    requests: bool,
    responses: bool,
    notifications: bool,
}

/// The kind of value that the message is, by its first byte.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum MessageShape {
    #[default]
    Unknown,
    Object,
    Array,
    /// Neither, so it is no message.
    Other,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CurrentMember {
    /// The name is not known yet.
    #[default]
    Unnamed,
    Id,
    Version,
    Other,
}

/// The members of one message that matter here.
#[derive(Debug, Default)]
struct SeenMembers {
    id: SeenId,
    /// Whether there was a member that only replies have, and whether one that only requests have.
    answers: bool,
    calls: bool,
    says_2_0: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum SeenId {
    #[default]
    None,
    /// An id that is not echoed: too long, no scalar, or no JSON.
    Unfit,
    /// The JSON text.
    Text(String),
}

impl SeenId {
    fn of(text: &[u8]) -> Self {
        match std::str::from_utf8(text.trim_ascii_end()) {
            Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Self::Text(text.to_owned()),
            _ => Self::Unfit,
        }
    }

    /// The id in an error that answers the message.
    fn echoed(&self) -> Id<'_> {
        match self {
            Self::Text(text) => Id::from_json(text),
            Self::None | Self::Unfit => Id::NULL,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Text(text) if text == "null")
    }

    fn is_known(&self) -> bool {
        *self != Self::None
    }
}

/// The part of a message that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// More of it.
    Comes,
    /// Nothing: it is complete.
    Nothing,
    /// An unknown rest, which is not read.
    Unread,
}

/// The answer to a message that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It cannot be told yet.
    Unknown,
    /// It is not answered: it is a response or a notification.
    Silence,
    /// With an error, to the request with this id.
    Error(Id<'a>),
    /// With an error without an id: it is no readable message, or nothing more can be known about
    /// it.
    Unreadable,
}

impl Skim {
    /// The number of bytes read.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// The version of the answer, if `version` is in force.
    pub(crate) fn answered_in(&self, version: Version) -> Version {
        match self.shape {
            MessageShape::Object => version.for_unread(self.seen.says_2_0),
            MessageShape::Unknown | MessageShape::Array | MessageShape::Other => version,
        }
    }

    /// Reads the next part. Calls `answered` with each call that the message is found to answer.
    pub(crate) fn read(&mut self, part: &[u8], mut answered: impl FnMut(CallId)) {
        self.size += part.len();
        let mut at = 0;
        while let Some(&byte) = part.get(at) {
            // Bytes after the message do not belong to it.
            if self.is_whole {
                return;
            }
            if self.in_string {
                at += self.string(&part[at..]);
                continue;
            }
            if self.shape == MessageShape::Unknown {
                self.shape = begun_by(byte);
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
                // White space ends a value: `1 2` is no id, and above all not 12.
                b' ' | b'\t' | b'\r' | b'\n' if self.text.is_empty() => {}
                _ => self.keep(&[byte]),
            }
        }
    }

    /// The answer to the message, if `version` is in force.
    ///
    /// A response is never answered, whatever else it contains. A notification is known only at its
    /// end.
    pub(crate) fn verdict(&self, version: Version, rest: Rest) -> Verdict<'_> {
        match self.shape {
            MessageShape::Unknown if rest == Rest::Comes => Verdict::Unknown,
            MessageShape::Unknown | MessageShape::Other => Verdict::Unreadable,
            MessageShape::Object => self.verdict_on_object(version, rest),
            MessageShape::Array if self.responses => Verdict::Silence,
            MessageShape::Array if self.requests => Verdict::Error(Id::NULL),
            MessageShape::Array if rest == Rest::Comes => Verdict::Unknown,
            MessageShape::Array if self.notifications && self.is_whole => Verdict::Silence,
            MessageShape::Array => Verdict::Unreadable,
        }
    }

    fn verdict_on_object(&self, version: Version, rest: Rest) -> Verdict<'_> {
        let SeenMembers { id, answers, calls, says_2_0 } = &self.seen;
        if *answers {
            return Verdict::Silence;
        }
        let notifies = id.is_null() && !version.answers_null(*says_2_0);
        let error = || Verdict::Error(version.echoes(id.echoed()));
        match (*calls, id.is_known()) {
            // While the version is undecided, an answer in the wrong one could not be read.
            (true, true) if rest == Rest::Comes => {
                match !notifies && (!version.is_undecided() || *says_2_0) {
                    true => error(),
                    false => Verdict::Unknown,
                }
            }
            _ if rest == Rest::Comes => Verdict::Unknown,
            (true, true) if notifies => Verdict::Silence,
            (true, false) if rest == Rest::Nothing && self.is_whole => Verdict::Silence,
            (true, true) => error(),
            (false, true) if self.is_whole => error(),
            // It may be a response whose result was still to come.
            _ => Verdict::Unreadable,
        }
    }

    /// Reads on in a string, and returns how many bytes of `part` belong to it.
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
            let room = MAX_TEXT - self.text.len();
            self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn open(&mut self, bracket: u8) {
        // Marks the value as nested: such an id is not echoed.
        self.keep(&[bracket]);
        self.depth += 1;
        if self.depth == 1 {
            self.around = if bracket == b'{' { 1 } else { 2 };
        }
        if self.is_around() {
            self.text.clear();
            (self.member, self.seen) = (CurrentMember::Unnamed, SeenMembers::default());
        }
    }

    /// Returns the call that the message answers, if it has just ended.
    fn close(&mut self, bracket: u8) -> Option<CallId> {
        let mut answers = None;
        if self.is_around() && bracket == b'}' {
            self.member_ended();
            answers = self.answers();
            self.notifications |= self.seen.calls && !self.is_request() && !self.seen.answers;
        }
        self.depth = self.depth.saturating_sub(1);
        self.is_whole = self.depth == 0 && self.shape != MessageShape::Other;
        answers
    }

    fn answers(&self) -> Option<CallId> {
        match &self.seen.id {
            SeenId::Text(id) if self.seen.answers && !self.seen.calls => {
                CallId::answered_by(Id::from_json(id))
            }
            _ => None,
        }
    }

    fn named(&mut self) {
        let Self { text, seen, .. } = self;
        self.member = match text_of(text).as_deref() {
            Some("id") => CurrentMember::Id,
            Some("jsonrpc") => CurrentMember::Version,
            name => {
                seen.answers |= matches!(name, Some("result" | "error"));
                seen.calls |= name == Some("method");
                CurrentMember::Other
            }
        };
        self.text.clear();
        self.count();
    }

    fn member_ended(&mut self) {
        match self.member {
            CurrentMember::Id => self.seen.id = SeenId::of(&self.text),
            CurrentMember::Version => self.seen.says_2_0 = text_of(&self.text).as_deref() == Some("2.0"),
            CurrentMember::Unnamed | CurrentMember::Other => {}
        }
        self.member = CurrentMember::Unnamed;
        self.text.clear();
        self.count();
    }

    /// Adds the kind of the current message to those of the array.
    fn count(&mut self) {
        self.responses |= self.seen.answers;
        self.requests |= self.is_request();
    }

    /// Whether the current message of an array is a request that is answered.
    fn is_request(&self) -> bool {
        let SeenMembers { id, calls, says_2_0, .. } = &self.seen;
        *calls && id.is_known() && (!id.is_null() || *says_2_0)
    }
}

const fn begun_by(byte: u8) -> MessageShape {
    match byte {
        b'{' => MessageShape::Object,
        b'[' => MessageShape::Array,
        // White space, and the bytes of a byte order mark.
        b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => MessageShape::Unknown,
        _ => MessageShape::Other,
    }
}

/// The text of a JSON string, if all of it was kept.
fn text_of(json: &[u8]) -> Option<Cow<'_, str>> {
    let json = json.trim_ascii_end();
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match inside.contains(&b'\\') {
        true => serde_json::from_slice(json).ok().map(Cow::Owned),
        false => std::str::from_utf8(inside).ok().map(Cow::Borrowed),
    }
}

fn answered_by(call: Option<CallId>, answered: &mut impl FnMut(CallId)) {
    if let Some(call) = call {
        answered(call);
    }
}
