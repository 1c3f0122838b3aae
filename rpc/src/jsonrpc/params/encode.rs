//! Serializes parameters: any value that serializes as an array or an object, a tuple under the
//! names of a table, or a tuple followed by a list.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{Error, Impossible, SerializeMap, SerializeSeq, SerializeTuple, SerializeTupleStruct},
};

use crate::jsonrpc::{ParamInfo, json_text};

/// The methods of a serializer for the kinds of values that it refuses:
/// `refuse! { Error, "message"; scalars method(types) -> type; .. }`
macro_rules! refuse {
    ($error:ty, $message:literal; scalars $($rest:tt)*) => {
        refuse! {
            $error, $message;
            serialize_bool(bool) -> Self::Ok;
            serialize_i8(i8) -> Self::Ok;
            serialize_i16(i16) -> Self::Ok;
            serialize_i32(i32) -> Self::Ok;
            serialize_i64(i64) -> Self::Ok;
            serialize_u8(u8) -> Self::Ok;
            serialize_u16(u16) -> Self::Ok;
            serialize_u32(u32) -> Self::Ok;
            serialize_u64(u64) -> Self::Ok;
            serialize_f32(f32) -> Self::Ok;
            serialize_f64(f64) -> Self::Ok;
            serialize_char(char) -> Self::Ok;
            serialize_str(&str) -> Self::Ok;
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_unit_struct(&'static str) -> Self::Ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> Self::Ok;
            $($rest)*
        }
    };
    ($error:ty, $message:literal; $($method:ident($($arg:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $arg),*) -> Result<$ok, $error> {
            Err(serde::ser::Error::custom($message))
        }
    )*};
}

/// Appends the JSON text of the parameters: `null` if there are none. With `names`, a tuple is
/// written as an object under them, without those that are optional and `None`.
///
/// # Errors
///
/// If the `Serialize` of the value fails, or its JSON is neither an array, nor an object, nor null.
/// The caller has to cut off what was appended by then.
#[inline]
pub(crate) fn write_params<P>(
    out: &mut Vec<u8>,
    params: &P,
    names: Option<&[ParamInfo]>,
) -> serde_json::Result<()>
where
    P: Serialize + ?Sized,
{
    let start = out.len();
    match names {
        Some(names) if !names.is_empty() => json_text::write(out, &NamedParams { names, values: params })?,
        _ => json_text::write(out, params)?,
    }
    match &out[start..] {
        [b'[' | b'{', ..] | b"null" => Ok(()),
        _ => Err(serde_json::Error::custom(
            "params must be an array or an object: wrap a single value as `(value,)`",
        )),
    }
}

/// A tuple that serializes as an object, with its members named by the table.
pub(crate) struct NamedParams<'a, P: ?Sized> {
    pub(crate) names: &'a [ParamInfo],
    pub(crate) values: &'a P,
}

impl<P: Serialize + ?Sized> Serialize for NamedParams<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(NamedTupleSerializer { names: self.names, serializer })
    }
}

/// Turns the one call that a tuple makes, `serialize_tuple`, into a map. (`()` makes
/// `serialize_unit`.)
struct NamedTupleSerializer<'a, S> {
    names: &'a [ParamInfo],
    serializer: S,
}

struct NamedMembers<'a, M> {
    names: std::slice::Iter<'a, ParamInfo>,
    map: M,
}

impl<M: SerializeMap> SerializeTuple for NamedMembers<'_, M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), M::Error> {
        let param =
            self.names.next().ok_or_else(|| M::Error::custom("more parameters than the table has names"))?;
        if param.is_optional() && is_none(value) {
            return Ok(());
        }
        self.map.serialize_entry(param.name(), value)
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

/// Any other kind of value is refused: only a tuple has a name for each element.
impl<'a, S: Serializer> Serializer for NamedTupleSerializer<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = NamedMembers<'a, S::SerializeMap>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(NamedMembers { names: self.names.iter(), map: self.serializer.serialize_map(Some(len))? })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.serializer.serialize_map(Some(0))?.end()
    }

    refuse! {
        S::Error, "parameters by name are given as a tuple";
        scalars
        serialize_none() -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
        self.serialize_none()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        self.serialize_none()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        self.serialize_none()
    }
}

/// Whether `value` serializes as a `None`. The content of a `Some` is not looked at: `Some(None)`
/// and `Some(())` are values.
fn is_none(value: &(impl Serialize + ?Sized)) -> bool {
    value.serialize(OnlyNone).is_ok()
}

/// Accepts a `None`, and fails for everything else.
struct OnlyNone;

impl Serializer for OnlyNone {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Impossible<(), fmt::Error>;
    type SerializeTuple = Impossible<(), fmt::Error>;
    type SerializeTupleStruct = Impossible<(), fmt::Error>;
    type SerializeTupleVariant = Impossible<(), fmt::Error>;
    type SerializeMap = Impossible<(), fmt::Error>;
    type SerializeStruct = Impossible<(), fmt::Error>;
    type SerializeStructVariant = Impossible<(), fmt::Error>;

    fn serialize_none(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    refuse! {
        fmt::Error, "";
        scalars
        serialize_unit() -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }
}

/// The parameters that generated code sends for a method with `#[rpc(rest)]`: a tuple, followed by
/// the elements of a list. If both are empty, it is `()`: a call without parameters.
#[derive(Debug)]
pub struct WithRest<P, R>(pub P, pub R);

impl<P: Serialize, R: Serialize> Serialize for WithRest<P, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = FlatList::Empty(Some(serializer));
        self.0.serialize(ElementSerializer(&mut list))?;
        self.1.serialize(ElementSerializer(&mut list))?;
        list.end()
    }
}

/// An array that is begun by its first element.
enum FlatList<S: Serializer> {
    /// `None` if the serializer has failed.
    Empty(Option<S>),
    Begun(S::SerializeSeq),
}

impl<S: Serializer> SerializeSeq for FlatList<S> {
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

/// Adds the elements of a list to the array.
struct ElementSerializer<'a, S>(&'a mut S);

impl<S: SerializeSeq> Serializer for ElementSerializer<'_, S> {
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
        impl<S: SerializeSeq> $list for ElementSerializer<'_, S> {
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

    fn text(params: impl Serialize, names: Option<&[ParamInfo]>) -> String {
        let mut out = Vec::new();
        match write_params(&mut out, &params, names) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_tuple_is_an_array_by_position_and_an_object_by_name() {
        const AB: &[ParamInfo] = &[ParamInfo::new("a"), ParamInfo::new("b")];
        assert_eq!(text((1, "x"), None), r#"[1,"x"]"#);
        assert_eq!(text((1, "x"), Some(AB)), r#"{"a":1,"b":"x"}"#);
    }

    #[test]
    fn by_name_what_is_optional_and_none_is_left_out() {
        const AB: &[ParamInfo] = &[ParamInfo::new("a").optional(), ParamInfo::new("b")];
        const BOTH: &[ParamInfo] = &[ParamInfo::new("a").optional(), ParamInfo::new("b").optional()];
        let none = None::<u8>;
        assert_eq!(text((none, none), Some(AB)), r#"{"b":null}"#);
        assert_eq!(text((none, Some(1)), Some(BOTH)), r#"{"b":1}"#);
        assert_eq!(text((Some(1), none), Some(BOTH)), r#"{"a":1}"#);
        assert_eq!(text((none, none), Some(BOTH)), "{}");
        assert_eq!(text((Some(none), Some(())), Some(BOTH)), r#"{"a":null,"b":null}"#);
        assert_eq!(text((none, none), None), "[null,null]");
    }

    #[test]
    fn none_are_null_and_an_empty_list_is_a_list() {
        assert_eq!(text((), None), "null");
        assert_eq!(text((), Some(&[])), "null");
        assert_eq!(text(None::<(u8,)>, None), "null");
        assert_eq!(text([0; 0], None), "[]");
        assert_eq!(text(BTreeMap::<&str, u8>::new(), None), "{}");
    }

    #[test]
    fn untyped_callers_may_give_a_list_or_a_map_but_no_scalar() {
        assert_eq!(text(vec![1, 2], None), "[1,2]");
        assert_eq!(text(BTreeMap::from([("k", 1)]), None), r#"{"k":1}"#);
        for error in [text(5, None), text("s", None), text(true, None)] {
            assert!(error.contains("array or an object"), "{error}");
        }
    }

    fn flat(params: impl Serialize) -> String {
        serde_json::to_string(&params).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_rest_follows_in_the_same_list() {
        assert_eq!(flat(WithRest((1, "x"), vec![2, 3])), r#"[1,"x",2,3]"#);
        assert_eq!(flat(WithRest((), [true])), "[true]");
        assert_eq!(flat(WithRest((1,), &[] as &[u8])), "[1]");
        assert_eq!(flat(WithRest((), BTreeSet::from([2, 1]))), "[1,2]");
    }

    #[test]
    fn nothing_before_and_no_rest_are_no_parameters() {
        assert_eq!(flat(WithRest((), None::<Vec<u8>>)), "null");
        assert_eq!(flat(WithRest((), [0; 0])), "null");
        assert_eq!(flat(WithRest((), [[0; 0]])), "[[]]");
    }

    #[test]
    fn what_is_no_list_is_no_rest() {
        for wrong in [flat(WithRest((), 5)), flat(WithRest((), BTreeMap::from([(1, 2)])))] {
            assert_eq!(wrong, "the rest of the parameters is a list");
        }
    }
}
