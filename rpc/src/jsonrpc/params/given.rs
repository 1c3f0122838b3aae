//! What the peer gave for each parameter.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{RawParams, UnknownParams, problem::Problem};
use crate::jsonrpc::ParamInfo;

/// What the peer gave, sorted into the order of the table; `None` where a parameter is missing.
pub(super) struct Given<'a> {
    pub(super) expected: &'a [ParamInfo],
    pub(super) values: Vec<Option<&'a RawValue>>,
    /// What was given by position for the parameter that takes the rest.
    pub(super) rest: Vec<&'a RawValue>,
    by_position: bool,
}

impl<'a> Given<'a> {
    /// Sorts `params`, which are to be those of `expected`. Of others by name, those that `unknown` allows are passed over.
    pub(super) fn read(
        params: RawParams<'a>,
        expected: &'a [ParamInfo],
        unknown: UnknownParams,
    ) -> Result<Self, Problem> {
        let mut values = vec![None; expected.len()];
        let text = params.as_json().unwrap_or("[]");
        let by_position = text.starts_with('[');
        let mut rest = Vec::new();
        if by_position {
            let mut list: Vec<&RawValue> = serde_json::from_str(text).map_err(Problem::json)?;
            if expected.last().is_some_and(ParamInfo::is_rest) {
                rest = list.split_off(list.len().min(expected.len() - 1));
            }
            if list.len() > expected.len() {
                return Err(Problem::TooMany { takes: expected.len(), got: list.len() });
            }
            values.iter_mut().zip(list).for_each(|(slot, value)| *slot = Some(value));
        } else {
            let Members(members) = serde_json::from_str(text).map_err(Problem::json)?;
            // It allocates nothing while it is empty.
            let mut passed = HashSet::new();
            for (name, value) in members {
                let is_second = match expected.iter().position(|param| param.name() == name) {
                    Some(index) => values[index].replace(value).is_some(),
                    None if unknown.allows(&name) => !passed.insert(name.clone()),
                    None => return Err(Problem::unknown(&name, expected)),
                };
                if is_second {
                    return Err(Problem::twice(&name));
                }
            }
        }
        Ok(Self { expected, values, rest, by_position })
    }

    /// What to say of a value that is missing and must not be.
    pub(super) fn missing(&self, index: usize) -> Problem {
        let name = self.expected[index].name();
        if !self.by_position {
            return Problem::Text(format!("`{name}` is missing"));
        }
        let got = self.values.iter().flatten().count();
        let (takes, has_rest) = match self.expected.split_last() {
            Some((last, others)) if last.is_rest() => (others.len(), true),
            _ => (self.expected.len(), false),
        };
        Problem::TooFew { takes, has_rest, got, name }
    }
}

/// The members of an object in the order they came, repeated names included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("params as an array or an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
