//! Parameters whose last one is a list of all that is left, written as one flat array.

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeSeq, SerializeTuple, SerializeTupleStruct},
};

/// What generated code sends for a method with `#[rpc(rest)]`: the tuple of the parameters before, and the rest.
#[derive(Debug)]
pub struct WithRest<P, R>(pub P, pub R);

impl<P: Serialize, R: Serialize> Serialize for WithRest<P, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        self.0.serialize(Elements(&mut seq))?;
        self.1.serialize(Elements(&mut seq))?;
        seq.end()
    }
}

/// Adds the elements of a list to another one.
struct Elements<'a, S>(&'a mut S);

impl<S: SerializeSeq> Serializer for Elements<'_, S> {
    type Ok = ();
    type Error = S::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), S::Error>;
    type SerializeMap = Impossible<(), S::Error>;
    type SerializeStruct = Impossible<(), S::Error>;
    type SerializeStructVariant = Impossible<(), S::Error>;

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, S::Error> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, S::Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, S::Error> {
        Ok(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), S::Error> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), S::Error> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), S::Error> {
        Ok(())
    }

    refuse! {
        S::Error, "the rest of the parameters is a list";
        scalars
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), S::Error> {
        self.serialize_unit_variant(name, index, variant)
    }
}

macro_rules! add_elements {
    ($($list:ident::$element:ident)*) => {$(
        impl<S: SerializeSeq> $list for Elements<'_, S> {
            type Ok = ();
            type Error = S::Error;

            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.serialize_element(value)
            }

            fn end(self) -> Result<(), S::Error> {
                Ok(())
            }
        }
    )*};
}
add_elements!(SerializeSeq::serialize_element SerializeTuple::serialize_element SerializeTupleStruct::serialize_field);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text(params: impl Serialize) -> String {
        serde_json::to_string(&params).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_rest_follows_in_the_same_list() {
        assert_eq!(text(WithRest((1, "x"), vec![2, 3])), r#"[1,"x",2,3]"#);
        assert_eq!(text(WithRest((), [true])), "[true]");
        assert_eq!(text(WithRest((1,), &[] as &[u8])), "[1]");
        assert_eq!(text(WithRest((), BTreeSet::from([2, 1]))), "[1,2]");
        assert_eq!(text(WithRest((), None::<Vec<u8>>)), "[]");
    }

    #[test]
    fn what_is_no_list_is_no_rest() {
        for wrong in [text(WithRest((), 5)), text(WithRest((), BTreeMap::from([(1, 2)])))] {
            assert_eq!(wrong, "the rest of the parameters is a list");
        }
    }
}
