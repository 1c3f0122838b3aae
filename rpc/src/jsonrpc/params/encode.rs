//! Writes parameters: whatever serializes as an array or an object, or a tuple under the names of a table.

use serde::{
    Serialize, Serializer,
    ser::{Error, Impossible, SerializeMap, SerializeTuple},
};

use super::none::is_none;
use crate::jsonrpc::{ParamInfo, one_line};

/// Appends the parameters' JSON text: `null` where there are none. With `names`, a tuple is written as an object under them, without
/// those that are optional and `None`.
///
/// # Errors
///
/// Where the value's `Serialize` fails, or what it gives is neither an array, nor an object, nor nothing. What was appended
/// by then is left for the caller to cut off.
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
        Some(names) if !names.is_empty() => one_line::write(out, &Named { names, values: params })?,
        _ => one_line::write(out, params)?,
    }
    match &out[start..] {
        [b'[' | b'{', ..] | b"null" => Ok(()),
        _ => Err(serde_json::Error::custom(
            "params must be an array or an object: wrap a single value as `(value,)`",
        )),
    }
}

/// A tuple that serializes as an object, its members named by the table.
pub(crate) struct Named<'a, P: ?Sized> {
    pub(crate) names: &'a [ParamInfo],
    pub(crate) values: &'a P,
}

impl<P: Serialize + ?Sized> Serialize for Named<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(Naming { names: self.names, serializer })
    }
}

/// Turns the one call that a tuple makes, `serialize_tuple`, into a map. (`()` makes `serialize_unit`.)
struct Naming<'a, S> {
    names: &'a [ParamInfo],
    serializer: S,
}

struct Members<'a, M> {
    names: std::slice::Iter<'a, ParamInfo>,
    map: M,
}

impl<M: SerializeMap> SerializeTuple for Members<'_, M> {
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

/// Everything else is a mistake: only a tuple of parameters is named.
impl<'a, S: Serializer> Serializer for Naming<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Members<'a, S::SerializeMap>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Members { names: self.names.iter(), map: self.serializer.serialize_map(Some(len))? })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
}
