//! A parameter that may be missing because its type has a default.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// What generated code decodes in place of a `T` with `#[rpc(default)]`.
#[derive(Debug)]
pub struct OrDefault<T>(pub T);

/// The name by which the reader of missing parameters knows that it may give nothing.
pub(super) const NAME: &str = "rpc::OrDefault";

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for OrDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Value(PhantomData))
    }
}

struct Value<T>(PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for Value<T> {
    type Value = OrDefault<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        T::deserialize(value).map(OrDefault)
    }

    /// It is missing.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(OrDefault(T::default()))
    }
}
