//! Gives parameters to a tuple's `Deserialize`, each from where it stands, or as missing.

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use super::{
    given::Given,
    or_default,
    problem::{Problem, without_position},
};
use crate::jsonrpc::ParamInfo;

/// Reads what was given into a tuple.
pub(super) fn read<P: DeserializeOwned>(given: &Given<'_>) -> Result<P, Problem> {
    P::deserialize(Reader { given, next: 0 })
}

/// Hands the values to a tuple's `Deserialize`, one by one.
struct Reader<'g, 'a> {
    given: &'g Given<'a>,
    next: usize,
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
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

impl<'de> SeqAccess<'de> for Reader<'_, 'de> {
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
                return seed.deserialize(Rest { given: self.given, next: 0 }).map(Some);
            }
            return seed.deserialize(Missing).map(Some).map_err(|_| self.given.missing(index));
        };
        read_one(value, seed, index, param).map(Some)
    }
}

/// Reads one value, which is number `index` of those that were given.
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

/// Hands over what is left, as a list.
struct Rest<'g, 'a> {
    given: &'g Given<'a>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Rest<'_, 'de> {
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

impl<'de> Deserializer<'de> for Rest<'_, 'de> {
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

/// A parameter that was not given: fine for an `Option` and where there is a default, an error for everything else.
pub(super) struct Missing;

impl<'de> Deserializer<'de> for Missing {
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
        if name == or_default::NAME { visitor.visit_unit() } else { self.deserialize_any(visitor) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
