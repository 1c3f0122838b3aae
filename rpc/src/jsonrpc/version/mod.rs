//! The versions of the language: how each reads a message, and which one a peer speaks.

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

/// Which version of JSON-RPC a side speaks.
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
    /// [JSON-RPC 1.0](https://www.jsonrpc.org/specification_v1): no batches, no named parameters, every reply has a result and an error.
    V1,
    /// [JSON-RPC 2.0](https://www.jsonrpc.org/specification). What a side speaks unless told otherwise.
    #[default]
    V2,
    /// Tolerant: reads whatever can be understood, and writes 2.0.
    Loose,
    /// One of the others, depending on the peer's first message; until that has come, 2.0 is written.
    Detect,
}

/// The version in force on a link: how it reads, and how it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    reads: Protocol,
    pub(super) writes: WireVersion,
    /// Whether 1.0 is written with errors that are texts.
    pub(super) text_errors: bool,
    /// What 2.0 is written with where there are no parameters.
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

    /// Another protocol, and the rest as it is.
    pub(crate) const fn with_protocol(self, protocol: Protocol) -> Self {
        Self { reads: protocol, writes: Self::new(protocol).writes, ..self }
    }

    /// The same version, whose errors are texts where it is 1.0.
    pub(crate) const fn with_text_errors(self) -> Self {
        Self { text_errors: true, ..self }
    }

    /// The same version, with this where there are no parameters, unless it is 1.0.
    pub(crate) const fn with_empty_params(self, empty_params: EmptyParams) -> Self {
        Self { empty_params, ..self }
    }

    /// What is read: [`Protocol::Detect`] for as long as it is undecided.
    pub(crate) const fn protocol(self) -> Protocol {
        self.reads
    }

    pub(crate) const fn is_undecided(self) -> bool {
        matches!(self.reads, Protocol::Detect)
    }

    /// The version that `frame`, the peer's first message, decides; `None` where it was decided
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

    /// What an error is written in for a message that was not read in full, while nothing is decided: a message that does not say 2.0 is
    /// of a peer that reads 1.0.
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

    /// The id that an error carries which answers `id`: null, where the version has no such ids.
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

    /// Whether an item may be an array of its subscription's id and itself: where 1.0 may be read.
    pub(crate) const fn has_positional_items(self) -> bool {
        !matches!(self.reads, Protocol::V2)
    }

    /// Scans for the envelope of 2.0 that nearly every peer writes; `None` for whatever looks
    /// unusual, which is for [`read_in_full`](Self::read_in_full). What the scan lets pass without
    /// looking (the inside of params, the text behind a result) is checked where it is decoded.
    #[inline]
    pub(crate) fn scan(self, frame: &[u8]) -> Option<Scanned<'_>> {
        if self.reads == Protocol::V1 {
            return None;
        }
        let scanned = read::scan(std::str::from_utf8(frame).ok()?)?;
        (!self.may_be_lenient(&scanned)).then_some(scanned)
    }

    /// Whether behind a result that was scanned there may stand an error that only this version
    /// reads: strictly judged, the call would end with less than the peer has said.
    fn may_be_lenient(self, scanned: &Scanned<'_>) -> bool {
        match scanned {
            Scanned::Response(Response { outcome: Outcome::Unverified(result), .. }) => {
                self.reads == Protocol::Loose && result.trim_ascii_start().starts_with("null")
            }
            _ => false,
        }
    }

    /// Reads one message without shortcuts: a request that was [scanned](Self::scan), and could not
    /// be served, is judged by this.
    pub(crate) fn read_in_full(self, frame: &[u8]) -> Message<'_> {
        match std::str::from_utf8(frame) {
            Ok(text) => self.read_text(text),
            Err(error) => read::unreadable(format!("not UTF-8: {error}")),
        }
    }

    /// Reads one message, and says the same as [`read_in_full`](Self::read_in_full) in less time: where the scan recognises the
    /// envelope, only params and results are looked at. For those who cannot judge it again when decoding them fails.
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
            // A first message that decides nothing cannot be read by any version.
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

    /// Reads a response of 2.0 again that a scan took apart, and whose result began with `rest`.
    pub(crate) fn read_expected_response(message: &str) -> Message<'_> {
        read::object::<V2Rules>(message)
    }
}

/// What one object says of its version. The later one wins in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SpokenVersion {
    /// Nothing: no version would write it so.
    Unclear,
    /// It is a request without a version: what 1.0 writes, and careless speakers of 2.0.
    Unversioned,
    V1,
    V2,
}

/// The version that the message speaks; `None` where it is no JSON.
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
