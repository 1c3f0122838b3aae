//! What a close frame says: section 7.

use super::{Violation, header::CONTROL_PAYLOAD};

/// Stands for a close frame that says nothing. It is never sent.
const NO_CODE: u16 = 1005;

/// A status code and what it is explained with, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Close {
    /// From the payload of a close frame, without its mask.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload {
                [] => Ok(Self { code: NO_CODE, reason: String::new() }),
                _ => Err(Violation::protocol("a close frame has one byte of payload, and a code has two")),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Violation::protocol(format!(
                "a close frame has the code {code}, which may not be sent"
            )));
        }
        match std::str::from_utf8(reason) {
            Ok(reason) => Ok(Self { code, reason: reason.to_owned() }),
            Err(error) => Err(Violation::reason_of_close(error)),
        }
    }

    /// The payload that says the same. A reason that does not fit is cut.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if self.code != NO_CODE {
            payload.extend_from_slice(&self.code.to_be_bytes());
            let room = CONTROL_PAYLOAD - payload.len();
            let end = self.reason.len().min(room);
            let end = (0..=end).rev().find(|&end| self.reason.is_char_boundary(end)).unwrap_or(0);
            payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        }
        payload
    }
}

/// Section 7.4, and the codes that are registered since (1012 to 1014).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(code: u16, reason: &str) -> Close {
        Close { code, reason: reason.to_owned() }
    }

    #[test]
    fn what_is_said_is_understood() {
        let cases: [(&[u8], Close); 4] = [
            (b"", close(NO_CODE, "")),
            (b"\x03\xe8", close(1000, "")),
            (b"\x03\xe9gone", close(1001, "gone")),
            (b"\x13\x87\xc3\xa4", close(4999, "ä")),
        ];
        for (payload, close) in cases {
            assert_eq!(Close::parse(payload), Ok(close.clone()));
            assert_eq!(close.payload(), payload);
        }
    }

    #[test]
    fn what_may_not_be_said_breaks_a_rule() {
        let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
        for payload in codes.map(|code: u16| code.to_be_bytes().to_vec()).into_iter().chain([vec![3]]) {
            let violation = Close::parse(&payload).expect_err("a rule is broken");
            assert_eq!(violation.code, 1002, "{payload:?}");
        }
        assert_eq!(Close::parse(b"\x03\xe8\xff").expect_err("it is no text").code, 1007);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let payload = close(1000, &"ä".repeat(100)).payload();
        assert_eq!(payload.len(), 124);
        assert_eq!(Close::parse(&payload), Ok(close(1000, &"ä".repeat(61))));
    }
}
