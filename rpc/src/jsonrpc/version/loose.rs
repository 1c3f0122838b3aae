//! What either version allows, and what peers that know neither well send all the same.

use serde_json::value::RawValue;

use super::{
    lenient,
    members::Members,
    read::{Rules, array_or_object, check_scalar_id, check_twice},
};
use crate::jsonrpc::{Id, Outcome, RawParams};

pub(super) enum Loose {}

impl Rules for Loose {
    const BATCHES: bool = true;

    fn check(members: &Members<'_>) -> Result<(), String> {
        check_twice(members)?;
        check_scalar_id(members)
    }

    fn request_id<'a>(members: &Members<'a>) -> Option<Id<'a>> {
        // An id of null is a notification in 1.0, and an id like others in 2.0.
        members.id().filter(|id| *id != Id::NULL || members.says_2_0())
    }

    fn params<'a>(members: &Members<'a>) -> Result<RawParams<'a>, String> {
        array_or_object(members)
    }

    fn outcome<'a>(members: &Members<'a>) -> Outcome<'a> {
        match (members.result.map(RawValue::get), members.error.filter(|error| error.get() != "null")) {
            (Some(result), None) => Outcome::Result(result),
            (None | Some("null"), Some(error)) => Outcome::Error(lenient::error(error)),
            (Some(_), Some(_)) => Outcome::Malformed("it has both a `result` and an `error`".to_owned()),
            (None, None) => Outcome::Malformed("it has neither a `result` nor an `error`".to_owned()),
        }
    }
}
