//! Parameters whose last one is a list of all that is left, written as one flat array.

use serde::{
    Serialize, Serializer,
    ser::{Error as _, Impossible, SerializeSeq, SerializeTuple, SerializeTupleStruct},
};

/// What generated code sends for a method with `#[rpc(rest)]`: the tuple of the parameters before, and the rest. Where there is
/// neither, it is `()`: a call without parameters.
#[derive(Debug)]
pub struct WithRest<P, R>(pub P, pub R);

impl<P: Serialize, R: Serialize> Serialize for WithRest<P, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = List::Empty(Some(serializer));
        self.0.serialize(Elements(&mut list))?;
        self.1.serialize(Elements(&mut list))?;
        list.end()
    }
}

/// A list that begins with its first element.
enum List<S: Serializer> {
    /// The serializer is gone once it has failed.
    Empty(Option<S>),
    Begun(S::SerializeSeq),
}

impl<S: Serializer> SerializeSeq for List<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        if let Self::Empty(serializer) = self
            && let Some(serializer) = serializer.take()
        {
            *self = Self::Begun(serializer.serialize_seq(None)?);
        }
        match self {
            Self::Begun(seq) => seq.serialize_element(value),
            Self::Empty(_) => Err(S::Error::custom("the list could not be begun")),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Begun(seq) => seq.end(),
            Self::Empty(Some(serializer)) => serializer.serialize_unit(),
            Self::Empty(None) => Err(S::Error::custom("the list could not be begun")),
        }
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
    }

    #[test]
    fn nothing_before_and_no_rest_are_no_parameters() {
        assert_eq!(text(WithRest((), None::<Vec<u8>>)), "null");
        assert_eq!(text(WithRest((), [0; 0])), "null");
        assert_eq!(text(WithRest((), [[0; 0]])), "[[]]");
    }

    #[test]
    fn what_is_no_list_is_no_rest() {
        for wrong in [text(WithRest((), 5)), text(WithRest((), BTreeMap::from([(1, 2)])))] {
            assert_eq!(wrong, "the rest of the parameters is a list");
        }
    }
}
