//! JSON-RPC 1.0, strict: <https://www.jsonrpc.org/specification_v1>.

use serde_json::value::RawValue;

use super::{
    lenient,
    members::Members,
    read::{Rules, check_twice, shortened},
};
use crate::jsonrpc::{Id, Outcome, RawParams};

pub(super) enum V1 {}

impl Rules for V1 {
    const BATCHES: bool = false;

    fn check(members: &Members<'_>) -> Result<(), String> {
        check_twice(members)?;
        members.id.map_or(
            Err("`id` is missing: JSON-RPC 1.0 wants one, null for a notification".to_owned()),
            |_| Ok(()),
        )
    }

    fn request_id<'a>(members: &Members<'a>) -> Option<Id<'a>> {
        members.id().filter(|id| *id != Id::NULL)
    }

    fn params<'a>(members: &Members<'a>) -> Result<RawParams<'a>, String> {
        let params = members.params.map_or("null", RawValue::get);
        match params.as_bytes() {
            [b'[', ..] | b"null" => Ok(RawParams::from_json(params)),
            // "None", as some clients write it.
            [b'{', inside @ .., b'}'] if inside.trim_ascii().is_empty() => Ok(RawParams::NONE),
            [b'{', ..] => Err("`params` must be an array: JSON-RPC 1.0 has no named parameters".to_owned()),
            _ => Err(format!("`params` must be an array, not {}", shortened(params))),
        }
    }

    fn outcome<'a>(members: &Members<'a>) -> Outcome<'a> {
        match (members.result.map(RawValue::get), members.error.filter(|error| error.get() != "null")) {
            // An error needs no result beside it to be understood.
            (None | Some("null"), Some(error)) => Outcome::Error(lenient::error(error)),
            (Some(result), None) if members.error.is_some() => Outcome::Result(result),
            (Some(_), Some(_)) => Outcome::Malformed("one of `result` and `error` must be null".to_owned()),
            _ => Outcome::Malformed("it must have both `result` and `error`".to_owned()),
        }
    }
}
