//! The versions of the language: how each reads and writes a message.

mod members;
mod scan;
pub(crate) mod v2;

use serde::Serialize;

use super::{ErrorCode, ErrorObject, Id, Malformed, Message, one_line};

/// Reads one message of the version in force.
///
/// The expected envelope is scanned for; whatever looks unusual is read in full. What the scan lets pass without looking (the
/// inside of params, what stands behind a result) is checked by whoever decodes it: see [`read_in_full`].
pub(crate) fn read(frame: &[u8]) -> Message<'_> {
    match std::str::from_utf8(frame) {
        Ok(text) => scan::scan(text).unwrap_or_else(|| v2::read(text)),
        Err(error) => unreadable(format!("not UTF-8: {error}")),
    }
}

/// Reads one message without shortcuts: what a request that was [`read`], and could not be served, is judged by.
pub(crate) fn read_in_full(frame: &[u8]) -> Message<'_> {
    match std::str::from_utf8(frame) {
        Ok(text) => v2::read(text),
        Err(error) => unreadable(format!("not UTF-8: {error}")),
    }
}

fn unreadable<'a>(why: String) -> Message<'a> {
    let error = ErrorObject::new(ErrorCode::PARSE_ERROR, format!("parse error: {why}"));
    Message::Malformed(Malformed { id: Id::NULL, error, answer: true })
}

/// Appends `value` as JSON to memory, which cannot fail for the types used here.
pub(crate) fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let written = one_line::write(out, value);
    debug_assert!(written.is_ok(), "a text, a number or an error object was not written");
}

pub(crate) fn put_u64(out: &mut Vec<u8>, n: u64) {
    put(out, &n);
}
