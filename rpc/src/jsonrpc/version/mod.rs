//! The versions of JSON-RPC: how each reads a message, and which one a peer speaks.

mod read;
mod rules;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

use super::{
    EmptyParams, Id, Message, Outcome, Response,
    json_text::{Elements, trim},
    message::Scanned,
};
use read::Envelope;
use rules::{LooseRules, V1Rules, V2Rules};

/// The version of JSON-RPC that a side speaks.
///
/// | | accepts | sends |
/// |---|---|---|
/// | [`V1`](Self::V1) | 1.0, strictly | 1.0 |
/// | [`V2`](Self::V2) | 2.0, strictly | 2.0 |
/// | [`Loose`](Self::Loose) | what either version allows | 2.0 |
/// | [`Detect`](Self::Detect) | what the peer's first message speaks | the same |
///
/// [`guide::versions`](crate::guide::versions) has the rules of each, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// [JSON-RPC 1.0](https://www.jsonrpc.org/specification_v1): no batches, no named parameters,
    /// every reply has both a result and an error.
    V1,
    /// [JSON-RPC 2.0](https://www.jsonrpc.org/specification), the default.
    #[default]
    V2,
    /// Tolerant: reads everything that can be understood, and writes 2.0.
    Loose,
    /// One of the others, by the first message of the peer; until it has come, 2.0 is written.
    Detect,
}

/// The version in force on a connection: how messages are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    reads: Protocol,
    pub(super) writes: WireVersion,
    /// Whether errors in 1.0 are written as strings.
    pub(super) text_errors: bool,
    /// The `params` of a call without parameters in 2.0.
    pub(super) empty_params: EmptyParams,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireVersion {
    V1,
    V2,
}

impl Version {
    pub(crate) const V2: Self = Self::new(Protocol::V2);

    pub(crate) const fn new(protocol: Protocol) -> Self {
        let writes = match protocol {
            Protocol::V1 => WireVersion::V1,
            Protocol::V2 | Protocol::Loose | Protocol::Detect => WireVersion::V2,
        };
        Self { reads: protocol, writes, text_errors: false, empty_params: EmptyParams::Absent }
    }

    /// The same settings with another protocol.
    pub(crate) const fn with_protocol(self, protocol: Protocol) -> Self {
        Self { reads: protocol, writes: Self::new(protocol).writes, ..self }
    }

    /// The same version, which writes errors as strings if it is 1.0.
    pub(crate) const fn with_text_errors(self) -> Self {
        Self { text_errors: true, ..self }
    }

    /// The same version, which writes this for a call without parameters, unless it is 1.0.
    pub(crate) const fn with_empty_params(self, empty_params: EmptyParams) -> Self {
        Self { empty_params, ..self }
    }

    /// The protocol that is read: [`Protocol::Detect`] until it is decided.
    pub(crate) const fn protocol(self) -> Protocol {
        self.reads
    }

    pub(crate) const fn is_undecided(self) -> bool {
        matches!(self.reads, Protocol::Detect)
    }

    /// The version that `frame`, the first message of the peer, decides; `None` if it was decided
    /// before, or the message cannot be read.
    #[inline]
    pub(crate) fn decided_by(self, frame: &[u8]) -> Option<Self> {
        if self.is_undecided() { self.detect(frame) } else { None }
    }

    #[cold]
    fn detect(self, frame: &[u8]) -> Option<Self> {
        let detected = detect(std::str::from_utf8(frame).ok()?)?;
        Some(Self { reads: detected.reads, writes: detected.writes, ..self })
    }

    /// The version of an error that answers a message which was not read in full. While undecided,
    /// a peer whose message does not say 2.0 is assumed to read 1.0.
    pub(crate) const fn for_unread(self, says_2_0: bool) -> Self {
        match self.reads {
            Protocol::Detect if !says_2_0 => Self { writes: WireVersion::V1, ..self },
            _ => self,
        }
    }

    /// Whether a request with the id null is answered: in 1.0 it is a notification.
    pub(crate) const fn answers_null(self, says_2_0: bool) -> bool {
        match self.reads {
            Protocol::V1 => false,
            Protocol::V2 => true,
            Protocol::Loose | Protocol::Detect => says_2_0,
        }
    }

    /// The id of an error that answers `id`: null, if the version does not allow such ids.
    pub(crate) fn echoes(self, id: Id<'_>) -> Id<'_> {
        match self.reads == Protocol::V1 || id.is_scalar() {
            true => id,
            false => Id::NULL,
        }
    }

    pub(crate) const fn has_batches(self) -> bool {
        matches!(self.writes, WireVersion::V2)
    }

    pub(crate) const fn has_named_params(self) -> bool {
        matches!(self.writes, WireVersion::V2)
    }

    /// Whether an item may be an array of the subscription's id and a value: if 1.0 may be read.
    pub(crate) const fn has_positional_items(self) -> bool {
        !matches!(self.reads, Protocol::V2)
    }

    /// Scans for the 2.0 envelope that nearly every peer writes; `None` for any other layout, which
    /// [`read_in_full`](Self::read_in_full) handles. Decoding checks what the scan does not look at
    /// (the inside of params, the text after a result).
    #[inline]
    pub(crate) fn scan(self, frame: &[u8]) -> Option<Scanned<'_>> {
        if self.reads == Protocol::V1 {
            return None;
        }
        let scanned = read::scan(std::str::from_utf8(frame).ok()?)?;
        (!self.may_be_lenient(&scanned)).then_some(scanned)
    }

    /// Whether a scanned result may be followed by an error that only the tolerant version reads:
    /// the strict rules would end the call with less than the peer has said.
    fn may_be_lenient(self, scanned: &Scanned<'_>) -> bool {
        match scanned {
            Scanned::Response(Response { outcome: Outcome::Unverified(result), .. }) => {
                self.reads == Protocol::Loose && result.trim_ascii_start().starts_with("null")
            }
            _ => false,
        }
    }

    /// Reads one message without the scan. A [scanned](Self::scan) request that could not be served
    /// is judged by this.
    pub(crate) fn read_in_full(self, frame: &[u8]) -> Message<'_> {
        match std::str::from_utf8(frame) {
            Ok(text) => self.read_text(text),
            Err(error) => read::unreadable(format!("not UTF-8: {error}")),
        }
    }

    /// Reads one message with the outcome of [`read_in_full`](Self::read_in_full) in less time: if
    /// the scan recognises the envelope, only params and results are checked. For callers that
    /// cannot read the message again when decoding fails.
    pub(crate) fn read_checked(self, frame: &[u8]) -> Message<'_> {
        match std::str::from_utf8(frame) {
            Ok(text) if self.reads != Protocol::V1 => {
                read::scan(text).and_then(read::checked).unwrap_or_else(|| self.read_text(text))
            }
            _ => self.read_in_full(frame),
        }
    }

    fn read_text(self, text: &str) -> Message<'_> {
        match self.reads {
            Protocol::V1 => read::message::<V1Rules>(text),
            // A first message that decides nothing is malformed in every version.
            Protocol::V2 | Protocol::Detect => read::message::<V2Rules>(text),
            Protocol::Loose => read::message::<LooseRules>(text),
        }
    }

    /// Reads one member of a batch, which is one JSON value.
    pub(crate) fn read_member(self, text: &str) -> Message<'_> {
        match self.reads {
            Protocol::V1 => read::object::<V1Rules>(text),
            Protocol::V2 | Protocol::Detect => read::object::<V2Rules>(text),
            Protocol::Loose => read::object::<LooseRules>(text),
        }
    }

    /// Reads a 2.0 response that was scanned, and is restored from its result.
    pub(crate) fn read_expected_response(message: &str) -> Message<'_> {
        read::object::<V2Rules>(message)
    }
}

/// The version that one object speaks. In a batch, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SpokenVersion {
    /// No version would write the object.
    Unclear,
    /// A request without a version, as 1.0 and careless peers of 2.0 write it.
    Unversioned,
    V1,
    V2,
}

/// The version that the message speaks; `None` if it is no JSON.
fn detect(text: &str) -> Option<Version> {
    let text = trim(text.strip_prefix('\u{feff}').unwrap_or(text));
    let whole: &RawValue = serde_json::from_str(text).ok()?;
    let spoken = match text.as_bytes() {
        [b'[', ..] => Elements::new(whole.get()).map(spoken_by).max().unwrap_or(SpokenVersion::Unclear),
        _ => spoken_by(whole.get()),
    };
    Some(match spoken {
        SpokenVersion::V2 => Version::new(Protocol::V2),
        SpokenVersion::V1 => Version::new(Protocol::V1),
        SpokenVersion::Unclear => Version::new(Protocol::Loose),
        // Clients of 1.0 refuse anything but 1.0, and those of 2.0 say that they speak it.
        SpokenVersion::Unversioned => Version { writes: WireVersion::V1, ..Version::new(Protocol::Loose) },
    })
}

fn spoken_by(message: &str) -> SpokenVersion {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(message) else { return SpokenVersion::Unclear };
    match envelope.version().as_deref() {
        Some("2.0") => SpokenVersion::V2,
        Some("1.0") => SpokenVersion::V1,
        _ if envelope.result.is_some() && envelope.error.is_some() => SpokenVersion::V1,
        None if envelope.method.is_some() && envelope.jsonrpc.is_none() => SpokenVersion::Unversioned,
        _ => SpokenVersion::Unclear,
    }
}
