//! Writes JSON on one line.
//!
//! Everything that is sent is written through here, so no message ever holds a line break, and a framing that ends messages with
//! one need not look for others.

use std::io;

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

/// Appends `value` as JSON on one line.
///
/// # Errors
///
/// Where the value's `Serialize` fails. What was appended by then is left for the caller to cut off.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, OneLine))
}

/// The compact form, where JSON that is passed through as it came (`RawValue`) may be laid out over several lines.
struct OneLine;

impl Formatter for OneLine {
    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        // Most are on one line already.
        if memchr::memchr2(b'\n', b'\r', fragment.as_bytes()).is_none() {
            return out.write_all(fragment.as_bytes());
        }
        // Inside a value a line break can only be white space, since strings escape theirs: a blank says the same.
        let mut lines = fragment.split(['\n', '\r']);
        out.write_all(lines.next().unwrap_or_default().as_bytes())?;
        for line in lines {
            out.write_all(b" ")?;
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn json_that_is_passed_through_goes_out_on_one_line() {
        let raw = RawValue::from_string("{\n  \"a\": [1,\r\n2]\n}".to_owned()).unwrap();
        let mut out = b">".to_vec();
        write(&mut out, &("x\ny", raw)).unwrap();
        assert_eq!(out, br#">["x\ny",{   "a": [1,  2] }]"#);
    }
}
