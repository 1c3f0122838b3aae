//! Which version a peer speaks, by its first message. The rules are aiorpcX's, and one of our own.

use serde_json::value::RawValue;

use super::{Protocol, Version, Writes, elements::Elements, members::Members};
use crate::jsonrpc::white_space;

/// What one object says of its version. The later one wins in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spoken {
    /// Nothing: no version would write it so.
    Unclear,
    /// It is a request without a version: what 1.0 writes, and careless speakers of 2.0.
    Unversioned,
    V1,
    V2,
}

/// The version that the message speaks; `None` where it is no JSON.
pub(super) fn detect(text: &str) -> Option<Version> {
    let text = white_space::trim(text.strip_prefix('\u{feff}').unwrap_or(text));
    let whole: &RawValue = serde_json::from_str(text).ok()?;
    let spoken = match text.as_bytes() {
        [b'[', ..] => Elements::new(whole.get()).map(spoken_by).max().unwrap_or(Spoken::Unclear),
        _ => spoken_by(whole.get()),
    };
    Some(match spoken {
        Spoken::V2 => Version::new(Protocol::V2),
        Spoken::V1 => Version::new(Protocol::V1),
        Spoken::Unclear => Version::new(Protocol::Loose),
        // Clients of 1.0 refuse anything but 1.0, and those of 2.0 say that they speak it.
        Spoken::Unversioned => Version { writes: Writes::V1, ..Version::new(Protocol::Loose) },
    })
}

fn spoken_by(message: &str) -> Spoken {
    let Ok(members) = serde_json::from_str::<Members<'_>>(message) else { return Spoken::Unclear };
    match members.version().as_deref() {
        Some("2.0") => Spoken::V2,
        Some("1.0") => Spoken::V1,
        _ if members.result.is_some() && members.error.is_some() => Spoken::V1,
        None if members.method.is_some() && members.jsonrpc.is_none() => Spoken::Unversioned,
        _ => Spoken::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_and_writes(text: &str) -> (Protocol, Writes) {
        let version = detect(text).unwrap_or_else(|| panic!("nothing was detected: {text}"));
        (version.reads, version.writes)
    }

    #[test]
    fn the_first_message_decides() {
        use Protocol::{Loose, V1, V2};
        for (text, reads, writes) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, V2, Writes::V2),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m","params":[]}"#, V1, Writes::V1),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":null}"#, V2, Writes::V2),
            (r#"{"id":1,"result":1,"error":null}"#, V1, Writes::V1),
            (r#"{"id":1,"method":"m","params":[]}"#, Loose, Writes::V1),
            (r#"{"id":1,"result":1}"#, Loose, Writes::V2),
            (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, Loose, Writes::V2),
            (r#" {"jsonrpc":"2\u002e0"} "#, V2, Writes::V2),
            ("5", Loose, Writes::V2),
            ("null", Loose, Writes::V2),
            ("[]", Loose, Writes::V2),
        ] {
            assert_eq!(reads_and_writes(text), (reads, writes), "{text}");
        }
    }

    #[test]
    fn in_a_batch_strict_2_0_wins_over_1_0_over_loose() {
        use Protocol::{Loose, V1, V2};
        let (v2, v1, loose) = (
            r#"{"jsonrpc":"2.0","method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":null,"method":"m","params":[]}"#,
            r#"{"id":1,"method":"m"}"#,
        );
        for (members, reads) in
            [(vec![loose, v1, v2], V2), (vec![v1, loose], V1), (vec![loose, "5"], Loose), (vec!["[]"], Loose)]
        {
            assert_eq!(reads_and_writes(&format!("[{}]", members.join(", "))).0, reads, "{members:?}");
        }
    }

    #[test]
    fn what_is_no_json_decides_nothing() {
        for text in ["", "{", "[1,", "NaN", "{} {}"] {
            assert_eq!(detect(text), None, "{text}");
        }
    }
}
