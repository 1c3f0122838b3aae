//! Parameters: written from a tuple, and read into one, by position or by name.
//!
//! A tuple's own serde implementation does the work. What a method's table says (names) is put around it by a
//! serializer and a deserializer of ours, so nothing is generated for each method.

mod encode;
mod reader;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{ErrorObject, MethodInfo, ParamInfo, RawParams, UncheckedParams, UnknownParams, shown::brief};
use reader::{Given, MissingParam, Problem, read, without_position};

pub(crate) use super::message::invalid;
pub use encode::WithRest;
pub(crate) use encode::{NamedParams, write_params};
pub use reader::OrDefault;
pub(super) use reader::OrderedMembers;

/// Reads the parameters of a call to `method`.
///
/// The expected case, an array of the right length, is read straight from the text. Everything else goes the long way,
/// by name, with a rest, or with a message that says which parameter was wrong and how.
pub(crate) fn decode<P: DeserializeOwned>(
    method: &MethodInfo,
    params: UncheckedParams<'_>,
) -> Result<P, ErrorObject> {
    let last = method.params().last();
    if let Some(text) = params.as_text()
        && text.starts_with('[')
        && last.is_some_and(ParamInfo::is_single)
        && let Ok(values) = serde_json::from_str(text)
    {
        return Ok(values);
    }
    let decoded = match last {
        // Both read the text to its end.
        Some(last) if last.is_whole() => whole(params.known_as_json()),
        _ => Given::read(params.known_as_json(), method.params(), method.unknown_params())
            .and_then(|given| read(&given)),
    };
    decoded.map_err(|why| {
        if let Problem::Unknown { name, .. } = &why {
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                rpc.method = method.name(),
                param = %brief(name),
                "a parameter is unknown: `allow_unknown` on the method or its trait lets it pass"
            );
        }
        invalid(method.name(), &why)
    })
}

/// Reads the `data` of an error into the fields that it was written from. Those that are missing
/// are read as null: peers leave members out that are null.
pub(crate) fn from_fields<P: DeserializeOwned>(data: &str, fields: &[ParamInfo]) -> Option<P> {
    let mut given = Given::read(RawParams::from_json(data), fields, UnknownParams::Refuse).ok()?;
    let null: &RawValue = serde_json::from_str("null").ok()?;
    given.values.iter_mut().for_each(|value| *value = value.or(Some(null)));
    read(&given).ok()
}

/// Reads an array or an object as one value. Where nothing was given, that may be a missing value, `null`, or an empty object or
/// array: the type decides.
fn whole<P: DeserializeOwned>(params: RawParams<'_>) -> Result<P, Problem> {
    let nothing = || {
        let empty = || ["null", "{}", "[]"].iter().find_map(|text| serde_json::from_str(text).ok());
        P::deserialize(MissingParam).ok().or_else(empty)
    };
    let Some(text) = params.as_json() else {
        return nothing().ok_or_else(|| Problem::Text("they are missing".to_owned()));
    };
    serde_json::from_str(text).or_else(|error| {
        params.are_none().then(nothing).flatten().ok_or_else(|| Problem::Text(without_position(&error)))
    })
}

/// Members that have passed, in the order in which they came.
pub(crate) type PassedParams = Arc<[(Box<str>, Box<RawValue>)]>;

/// The members among `params` that pass though `method` does not name them; `None`, and nothing is allocated, where there are none.
pub(crate) fn passed(method: &MethodInfo, params: UncheckedParams<'_>) -> Option<PassedParams> {
    if method.unknown_params() == UnknownParams::Refuse || method.params().iter().any(ParamInfo::is_whole) {
        return None;
    }
    let text = params.as_text().filter(|text| text.starts_with('{'))?;
    // Where they cannot be read, no handler will run.
    let passed = serde_json::Deserializer::from_str(text).deserialize_map(PassedVisitor(method)).ok()?;
    (!passed.is_empty()).then(|| passed.into())
}

/// Keeps the members that pass.
struct PassedVisitor<'m>(&'m MethodInfo);

impl<'de> Visitor<'de> for PassedVisitor<'_> {
    type Value = Vec<(Box<str>, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut passed = Vec::new();
        while let Some(name) = map.next_key_seed(PassedName(self.0))? {
            match name {
                Some(name) => passed.push((name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(passed)
    }
}

/// Reads the name of a member, and keeps it where it passes.
struct PassedName<'m>(&'m MethodInfo);

impl<'de> DeserializeSeed<'de> for PassedName<'_> {
    type Value = Option<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for PassedName<'_> {
    type Value = Option<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let is_own = self.0.params().iter().any(|param| param.name() == name);
        Ok((!is_own && self.0.unknown_params().allows(name)).then(|| name.into()))
    }
}
