//! Members of the parameters that a method does not name.

use std::{fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::UncheckedParams;
use crate::jsonrpc::{MethodInfo, ParamInfo};

/// What a server does with members of the parameters that a method does not name, as the Model Context Protocol's `_meta` and
/// `workDoneToken` of language servers.
///
/// It is about parameters by name: by position, elements beyond the last parameter are always refused. Parameters that one of
/// the method's own takes whole (`#[rpc(whole)]`) are judged by its type alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownParams {
    /// The request is answered with -32602, which names the member.
    #[default]
    Refuse,
    /// All pass.
    Allow,
    /// Those of these names pass, and others are refused.
    AllowNamed(&'static [&'static str]),
}

impl UnknownParams {
    /// Whether a member of this name passes.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Refuse => false,
            Self::Allow => true,
            Self::AllowNamed(names) => names.contains(&name),
        }
    }
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
    let passed = serde_json::Deserializer::from_str(text).deserialize_map(Passing(method)).ok()?;
    (!passed.is_empty()).then(|| passed.into())
}

/// Keeps the members that pass.
struct Passing<'m>(&'m MethodInfo);

impl<'de> Visitor<'de> for Passing<'_> {
    type Value = Vec<(Box<str>, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut passed = Vec::new();
        while let Some(name) = map.next_key_seed(NameOf(self.0))? {
            match name {
                Some(name) => passed.push((name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(passed)
    }
}

/// Reads the name of a member, and keeps it where it passes.
struct NameOf<'m>(&'m MethodInfo);

impl<'de> DeserializeSeed<'de> for NameOf<'_> {
    type Value = Option<Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf<'_> {
    type Value = Option<Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let is_own = self.0.params().iter().any(|param| param.name() == name);
        Ok((!is_own && self.0.unknown_params().allows(name)).then(|| name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AB: &[ParamInfo] = &[ParamInfo::new("a"), ParamInfo::new("b")];

    fn names(unknown: UnknownParams, params: &str) -> Option<Vec<String>> {
        let method = MethodInfo::request("m").with_params(AB).with_unknown_params(unknown);
        let passed = passed(&method, UncheckedParams::from_text(params))?;
        Some(passed.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn what_passes_is_kept_in_order_and_what_is_the_methods_own_is_not() {
        let params = r#"{"_meta":{"x": 1},"a":1,"z":[2],"b":3}"#;
        let both = Some(vec![r#"_meta={"x": 1}"#.to_owned(), "z=[2]".to_owned()]);
        assert_eq!(names(UnknownParams::Allow, params), both);
        assert_eq!(names(UnknownParams::AllowNamed(&["z"]), params), Some(vec!["z=[2]".to_owned()]));
        assert_eq!(names(UnknownParams::Refuse, params), None);
        assert_eq!(names(UnknownParams::Allow, r#"{"\u005fmeta":1}"#), Some(vec!["_meta=1".to_owned()]));
    }

    #[test]
    fn there_may_be_none() {
        for params in [r#"{"a":1,"b":2}"#, "{}", "[1,2]", "null", r#"{"z":"#] {
            assert_eq!(names(UnknownParams::Allow, params), None, "{params}");
        }
        let whole = MethodInfo::request("m")
            .with_params(const { &[ParamInfo::new("all").whole()] })
            .with_unknown_params(UnknownParams::Allow);
        assert!(passed(&whole, UncheckedParams::from_text(r#"{"z":1}"#)).is_none());
    }
}
