//! Parameters: serialized from a tuple, and deserialized into one, by position or by name.
//!
//! The serde implementation of the tuple does the work. A serializer and a deserializer around it
//! add what the table of the method says (names, defaults), so no code is generated for each
//! method.

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

/// Deserializes the parameters of a call to `method`.
///
/// The common case, an array of the right length, is read straight from the text. Everything else
/// takes the slow path: by name, with a rest, or with an error that names the parameter and its
/// mistake.
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
        // Both branches check the text to its end, as `known_as_json` requires.
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

/// Deserializes the `data` of an error into the fields of an error type. Missing fields are read as
/// null: peers leave out members that are null.
pub(crate) fn from_fields<P: DeserializeOwned>(data: &str, fields: &[ParamInfo]) -> Option<P> {
    let mut given = Given::read(RawParams::from_json(data), fields, UnknownParams::Refuse).ok()?;
    let null: &RawValue = serde_json::from_str("null").ok()?;
    given.values.iter_mut().for_each(|value| *value = value.or(Some(null)));
    read(&given).ok()
}

/// Deserializes an array or an object as one value. Without parameters, the type decides between a
/// missing value, `null`, and an empty object or array.
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

/// Members that were allowed, in the order in which they came.
pub(crate) type PassedParams = Arc<[(Box<str>, Box<RawValue>)]>;

/// The members of `params` that are allowed though `method` does not name them; `None`, without an
/// allocation, if there are none.
pub(crate) fn passed(method: &MethodInfo, params: UncheckedParams<'_>) -> Option<PassedParams> {
    if method.unknown_params() == UnknownParams::Refuse || method.params().iter().any(ParamInfo::is_whole) {
        return None;
    }
    let text = params.as_text().filter(|text| text.starts_with('{'))?;
    // If the parameters cannot be read, no handler runs.
    let passed = serde_json::Deserializer::from_str(text).deserialize_map(PassedVisitor(method)).ok()?;
    (!passed.is_empty()).then(|| passed.into())
}

/// Collects the allowed members.
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

/// Deserializes the name of a member; `None` if it is not collected.
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
