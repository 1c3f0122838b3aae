//! Deserializes parameters into a tuple, each from where it stands, or as missing.

use std::{borrow::Cow, collections::HashSet, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use crate::jsonrpc::{ParamInfo, RawParams, UnknownParams};

/// The parameters of a request, sorted into the order of the table; `None` for a missing one.
pub(super) struct Given<'a> {
    pub(super) expected: &'a [ParamInfo],
    pub(super) values: Vec<Option<&'a RawValue>>,
    /// The values by position for the parameter that takes the rest.
    pub(super) rest: Vec<&'a RawValue>,
    by_position: bool,
}

impl<'a> Given<'a> {
    /// Sorts `params` by the table `expected`. Members that are not in it are skipped if `unknown`
    /// allows them.
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
            let OrderedMembers(members) = serde_json::from_str(text).map_err(Problem::json)?;
            // An empty set allocates nothing.
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

    /// The error for a missing value.
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

/// The members of an object in the order in which they came, duplicates included.
pub(in crate::jsonrpc) struct OrderedMembers<'a>(pub(in crate::jsonrpc) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for OrderedMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedMembersVisitor;
        impl<'de> Visitor<'de> for OrderedMembersVisitor {
            type Value = OrderedMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("params as an array or an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(entry);
                }
                Ok(OrderedMembers(members))
            }
        }
        deserializer.deserialize_map(OrderedMembersVisitor)
    }
}

/// Deserializes sorted parameters into a tuple.
pub(super) fn read<P: DeserializeOwned>(given: &Given<'_>) -> Result<P, Problem> {
    P::deserialize(ParamsReader { given, next: 0 })
}

/// Gives the values to the `Deserialize` of a tuple, one by one.
struct ParamsReader<'g, 'a> {
    given: &'g Given<'a>,
    next: usize,
}

impl<'de> Deserializer<'de> for ParamsReader<'_, 'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for ParamsReader<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let index = self.next;
        let (Some(value), Some(param)) = (self.given.values.get(index), self.given.expected.get(index))
        else {
            return Ok(None);
        };
        self.next += 1;
        let Some(value) = value else {
            if param.is_rest() {
                return seed.deserialize(RestReader { given: self.given, next: 0 }).map(Some);
            }
            return seed.deserialize(MissingParam).map(Some).map_err(|_| self.given.missing(index));
        };
        read_one(value, seed, index, param).map(Some)
    }
}

/// Deserializes the value at `index`.
fn read_one<'de, T: DeserializeSeed<'de>>(
    value: &'de RawValue,
    seed: T,
    index: usize,
    param: &ParamInfo,
) -> Result<T::Value, Problem> {
    let mut text = serde_json::Deserializer::from_str(value.get());
    let wrong = |error: serde_json::Error| Problem::Wrong {
        index,
        name: param.name(),
        why: without_position(&error),
    };
    seed.deserialize(&mut text).map_err(wrong)
}

/// Gives the remaining values, as a list.
struct RestReader<'g, 'a> {
    given: &'g Given<'a>,
    next: usize,
}

impl<'de> SeqAccess<'de> for RestReader<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let (Some(value), Some(param)) = (self.given.rest.get(self.next), self.given.expected.last()) else {
            return Ok(None);
        };
        let index = self.given.expected.len() - 1 + self.next;
        self.next += 1;
        read_one(value, seed, index, param).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.given.rest.len() - self.next)
    }
}

impl<'de> Deserializer<'de> for RestReader<'_, 'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A missing parameter: accepted by an `Option` and a type with a default, an error for every other
/// type.
pub(super) struct MissingParam;

impl<'de> Deserializer<'de> for MissingParam {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Text(String::new()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name == OR_DEFAULT { visitor.visit_unit() } else { self.deserialize_any(visitor) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The type that generated code decodes for a `T` with `#[rpc(default)]`.
#[derive(Debug)]
pub struct OrDefault<T>(pub T);

/// The name by which [`MissingParam`] recognises an [`OrDefault`].
const OR_DEFAULT: &str = "rpc::OrDefault";

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for OrDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(OR_DEFAULT, OrDefaultVisitor(PhantomData))
    }
}

struct OrDefaultVisitor<T>(PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for OrDefaultVisitor<T> {
    type Value = OrDefault<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        T::deserialize(value).map(OrDefault)
    }

    /// The parameter is missing.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(OrDefault(T::default()))
    }
}

/// An error in parameters. Its text follows «invalid params for `add`: ».
#[derive(Debug)]
pub(super) enum Problem {
    TooMany { takes: usize, got: usize },
    TooFew { takes: usize, has_rest: bool, got: usize, name: &'static str },
    Wrong { index: usize, name: &'static str, why: String },
    Unknown { name: String, takes: String },
    Text(String),
}

impl Problem {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Text(error.to_string())
    }

    pub(super) fn unknown(name: &str, expected: &[ParamInfo]) -> Self {
        let known: Vec<String> = expected.iter().map(|param| format!("`{}`", param.name())).collect();
        let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Self::Unknown { name: start_of(name), takes }
    }

    pub(super) fn twice(name: &str) -> Self {
        Self::Text(format!("`{}` is given twice", start_of(name)))
    }
}

/// The beginning of an untrusted name: a huge one is not repeated whole.
fn start_of(name: &str) -> String {
    name.chars().take(100).collect()
}

/// The text of an error without its position: within one parameter, it would be taken for one
/// within the message.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn parameters(n: usize) -> String {
    match n {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        n => format!("{n} parameters"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { takes, got } => write!(f, "too many: it takes {}, got {got}", parameters(*takes)),
            Self::TooFew { takes, has_rest, got, name } => {
                let least = if *has_rest { "at least " } else { "" };
                let takes = parameters(*takes);
                write!(f, "too few: it takes {least}{takes}, got {got}; `{name}` is missing")
            }
            Self::Wrong { index, name, why } => write!(f, "parameter {} (`{name}`): {why}", index + 1),
            Self::Unknown { name, takes } => write!(f, "unknown parameter `{name}`: it takes {takes}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Text(why.to_string())
    }
}
