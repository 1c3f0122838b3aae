//! What can be said of a message that is too large to be kept, as it passes by: which calls of ours it answers, and whether it is
//! answered, and under which id.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::{CallId, Id, version::Version};

/// Names of members and ids are kept up to this size, in bytes: those of more are none that matter, or are not echoed.
const MAX_TEXT: usize = 4 << 10;

/// Looks at a message part by part, and keeps next to nothing of it.
///
/// Calls of ours are found in replies of honest peers: what breaks the rules of JSON may go unseen.
#[derive(Debug, Default)]
pub(crate) struct Skim {
    /// How many bytes were looked at.
    size: usize,
    shape: MessageShape,
    /// Whether the object or array has ended.
    is_whole: bool,
    in_string: bool,
    escaped: bool,
    /// How many brackets are open, and how many are around the members of a message: 1, or 2 in an array.
    depth: usize,
    around: usize,
    /// The name or the value at hand, as far as it stands between those brackets. One longer than [`MAX_TEXT`] is kept as far as that.
    text: Vec<u8>,
    member: CurrentMember,
    seen: SeenMembers,
    /// What the messages of an array were, those that have not ended included.
    requests: bool,
    responses: bool,
    notifications: bool,
}

/// What a message begins with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum MessageShape {
    #[default]
    Unknown,
    Object,
    Array,
    /// It is no message.
    Other,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CurrentMember {
    /// Its name is not known yet.
    #[default]
    Unnamed,
    Id,
    Version,
    Other,
}

/// The members of one message, as far as they matter.
#[derive(Debug, Default)]
struct SeenMembers {
    id: SeenId,
    /// Whether there was a member that only replies have, or only requests.
    answers: bool,
    calls: bool,
    says_2_0: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum SeenId {
    #[default]
    None,
    /// One that is not echoed: too long, no scalar, no JSON.
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

    /// What an error for it carries.
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

/// How much of a message there will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// More of it comes.
    Comes,
    /// That was all of it.
    Nothing,
    /// What there is more of it is not looked at.
    Unread,
}

/// What a message is answered with that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It may be anything yet.
    Unknown,
    /// Nothing: it is a response, or a notification.
    Silence,
    /// An error, to the request with this id.
    Error(Id<'a>),
    /// An error with the id null: it is no message that could be read, or no more can be known of it.
    Unreadable,
}

impl Skim {
    /// How many bytes it has seen.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// What it is answered in, where `version` is spoken.
    pub(crate) fn answered_in(&self, version: Version) -> Version {
        match self.shape {
            MessageShape::Object => version.for_unread(self.seen.says_2_0),
            MessageShape::Unknown | MessageShape::Array | MessageShape::Other => version,
        }
    }

    /// Looks at the next part. Gives the call that it was found to answer to `answered`.
    pub(crate) fn read(&mut self, part: &[u8], mut answered: impl FnMut(CallId)) {
        self.size += part.len();
        let mut at = 0;
        while let Some(&byte) = part.get(at) {
            // What stands behind a message is no part of it.
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
                // `1 2` is no id, and above all not 12.
                b' ' | b'\t' | b'\r' | b'\n' if self.text.is_empty() => {}
                _ => self.keep(&[byte]),
            }
        }
    }

    /// What the message is answered with where `version` is spoken.
    ///
    /// A response is never answered, whatever else is in it; a notification is known at its end.
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
            // Where the version may still be told, an answer in another one would not be read.
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
            // It may be a response whose result would have come.
            _ => Verdict::Unreadable,
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
            let room = MAX_TEXT - self.text.len();
            self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn open(&mut self, bracket: u8) {
        // What is nested is no id that is echoed.
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

    /// Gives the call that is answered by the message that has ended, if one has.
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

    /// What is known of the message at hand is known of the array that it is in.
    fn count(&mut self) {
        self.responses |= self.seen.answers;
        self.requests |= self.is_request();
    }

    /// Whether the message at hand, of an array, is a request that is answered.
    fn is_request(&self) -> bool {
        let SeenMembers { id, calls, says_2_0, .. } = &self.seen;
        *calls && id.is_known() && (!id.is_null() || *says_2_0)
    }
}

const fn begun_by(byte: u8) -> MessageShape {
    match byte {
        b'{' => MessageShape::Object,
        b'[' => MessageShape::Array,
        // Blanks, and a byte order mark.
        b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => MessageShape::Unknown,
        _ => MessageShape::Other,
    }
}

/// The text of a JSON string, where all of it was kept.
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
