//! Takes a JSON object apart into the members that messages have, whatever their order.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::read::string;
use crate::jsonrpc::Id;

/// The members of a message, unread. Members with other names are passed over.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    pub(super) jsonrpc: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<&'a RawValue>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    /// A member that stands there twice. Parsers differ in which of the two they believe, so no version accepts it.
    pub(super) twice: Option<&'static str>,
}

impl<'a> Members<'a> {
    pub(super) fn id(&self) -> Option<Id<'a>> {
        self.id.map(|raw| Id::from_json(raw.get()))
    }

    /// Whether it is an answer, whatever is wrong with it.
    pub(super) fn is_response(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// What `jsonrpc` says, if it is a text.
    pub(super) fn version(&self) -> Option<Cow<'a, str>> {
        string(self.jsonrpc?.get())
    }

    pub(super) fn says_2_0(&self) -> bool {
        self.version().as_deref() == Some("2.0")
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            let (name, member) = match &*name {
                "jsonrpc" => ("jsonrpc", &mut members.jsonrpc),
                "id" => ("id", &mut members.id),
                "method" => ("method", &mut members.method),
                "params" => ("params", &mut members.params),
                "result" => ("result", &mut members.result),
                "error" => ("error", &mut members.error),
                _ => continue,
            };
            if member.replace(value).is_some() {
                members.twice = Some(name);
            }
        }
        Ok(members)
    }
}
