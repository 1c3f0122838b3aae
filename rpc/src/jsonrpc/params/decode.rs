//! Reads parameters into the tuple that a method takes, and says what is wrong where they do not fit.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use super::RawParams;
use crate::jsonrpc::{ErrorObject, MethodInfo, ParamInfo};

/// Reads the parameters of a call to `method`.
///
/// The expected case, an array of the right length, is read straight from the text. Everything else goes the long way,
/// by name or with a message that says which parameter was wrong and how.
pub(crate) fn decode<P: DeserializeOwned>(
    method: &MethodInfo,
    params: RawParams<'_>,
) -> Result<P, ErrorObject> {
    if let Some(text) = params.as_json()
        && text.starts_with('[')
        && !method.params().is_empty()
        && let Ok(values) = serde_json::from_str(text)
    {
        return Ok(values);
    }
    given(params, method.params())
        .and_then(|given| from_given(&given))
        .map_err(|why| super::invalid(method.name(), &why))
}

/// Reads the `data` of an error into the fields that it was written from.
pub(crate) fn from_fields<P: DeserializeOwned>(data: &str, fields: &[ParamInfo]) -> Option<P> {
    from_given(&given(RawParams::from_json(data), fields).ok()?).ok()
}

/// What the peer gave, sorted into the order of the table; `None` where a parameter is missing.
struct Given<'a> {
    expected: &'a [ParamInfo],
    values: Vec<Option<&'a RawValue>>,
    by_position: bool,
}

fn given<'a>(params: RawParams<'a>, expected: &'a [ParamInfo]) -> Result<Given<'a>, Problem> {
    let mut values = vec![None; expected.len()];
    let text = params.as_json().unwrap_or("[]");
    let by_position = text.starts_with('[');
    if by_position {
        let list: Vec<&RawValue> = serde_json::from_str(text).map_err(Problem::json)?;
        if list.len() > expected.len() {
            return Err(Problem::TooMany { takes: expected.len(), got: list.len() });
        }
        values.iter_mut().zip(list).for_each(|(slot, value)| *slot = Some(value));
    } else {
        let Members(members) = serde_json::from_str(text).map_err(Problem::json)?;
        for (name, value) in members {
            let Some(index) = expected.iter().position(|param| param.name() == name) else {
                return Err(Problem::unknown(&name, expected));
            };
            if values[index].replace(value).is_some() {
                return Err(Problem::Text(format!("`{name}` is given twice")));
            }
        }
    }
    Ok(Given { expected, values, by_position })
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

fn from_given<P: DeserializeOwned>(given: &Given<'_>) -> Result<P, Problem> {
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
            return seed.deserialize(Missing).map(Some).map_err(|_| self.given.missing(index));
        };
        let mut text = serde_json::Deserializer::from_str(value.get());
        let wrong = |error: serde_json::Error| Problem::Wrong {
            index,
            name: param.name(),
            why: without_position(&error),
        };
        seed.deserialize(&mut text).map(Some).map_err(wrong)
    }
}

/// A parameter that was not given: fine for an `Option`, an error for everything else.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Text(String::new()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl Given<'_> {
    fn missing(&self, index: usize) -> Problem {
        let name = self.expected[index].name();
        if !self.by_position {
            return Problem::Text(format!("`{name}` is missing"));
        }
        let got = self.values.iter().flatten().count();
        Problem::TooFew { takes: self.expected.len(), got, name }
    }
}

/// What is wrong with parameters, in words that follow «invalid params for `add`: ».
#[derive(Debug)]
enum Problem {
    TooMany { takes: usize, got: usize },
    TooFew { takes: usize, got: usize, name: &'static str },
    Wrong { index: usize, name: &'static str, why: String },
    Text(String),
}

impl Problem {
    fn json(error: serde_json::Error) -> Self {
        Self::Text(error.to_string())
    }

    fn unknown(name: &str, expected: &[ParamInfo]) -> Self {
        let name: String = name.chars().take(100).collect();
        let known: Vec<String> = expected.iter().map(|param| format!("`{}`", param.name())).collect();
        Self::Text(match known.len() {
            0 => format!("unknown parameter `{name}`: it takes none"),
            _ => format!("unknown parameter `{name}`: it takes {}", known.join(", ")),
        })
    }
}

/// A position within one parameter would be taken for one within the message.
fn without_position(error: &serde_json::Error) -> String {
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
            Self::TooFew { takes, got, name } => {
                write!(f, "too few: it takes {}, got {got}; `{name}` is missing", parameters(*takes))
            }
            Self::Wrong { index, name, why } => write!(f, "parameter {} (`{name}`): {why}", index + 1),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::ErrorCode;

    const ADD: MethodInfo =
        MethodInfo::request("calc.add").with_params(&[ParamInfo::new("a"), ParamInfo::new("b")]);

    fn add(params: &str) -> Result<(i64, i64), String> {
        decode(&ADD, RawParams::from_json(params)).map_err(|e| {
            assert_eq!(e.code(), ErrorCode::INVALID_PARAMS);
            e.message().to_owned()
        })
    }

    #[test]
    fn by_position_and_by_name_in_any_order() {
        assert_eq!(add("[1,2]"), Ok((1, 2)));
        assert_eq!(add(" [ 1 , 2 ] "), Ok((1, 2)));
        assert_eq!(add(r#"{"a":1,"b":2}"#), Ok((1, 2)));
        assert_eq!(add(r#"{"b":2,"\u0061":1}"#), Ok((1, 2)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (params, message) in [
            ("[1]", "too few: it takes 2 parameters, got 1; `b` is missing"),
            ("null", "too few: it takes 2 parameters, got 0; `a` is missing"),
            ("[1,2,3]", "too many: it takes 2 parameters, got 3"),
            (r#"[1,"x"]"#, "parameter 2 (`b`): invalid type: string \"x\", expected i64"),
            (r#"{"a":1}"#, "`b` is missing"),
            (r#"{"a":1,"b":2,"c":3}"#, "unknown parameter `c`: it takes `a`, `b`"),
            (r#"{"a":1,"b":2,"a":3}"#, "`a` is given twice"),
            (r#"{"a":1.5,"b":2}"#, "parameter 1 (`a`): invalid type: floating point `1.5`, expected i64"),
        ] {
            assert_eq!(add(params), Err(format!("invalid params for `calc.add`: {message}")), "{params}");
        }
    }

    #[test]
    fn no_parameters_are_absent_null_or_empty() {
        const PING: MethodInfo = MethodInfo::request("ping");
        for params in [
            RawParams::NONE,
            RawParams::from_json("null"),
            RawParams::from_json("[]"),
            RawParams::from_json("{}"),
        ] {
            decode::<()>(&PING, params).unwrap();
        }
        let error = decode::<()>(&PING, RawParams::from_json("[1]")).unwrap_err();
        assert_eq!(error.message(), "invalid params for `ping`: too many: it takes no parameters, got 1");
    }

    #[test]
    fn an_option_may_be_missing_or_null() {
        const FIND: MethodInfo =
            MethodInfo::request("find").with_params(&[ParamInfo::new("what"), ParamInfo::new("limit")]);
        for params in [r#"["x"]"#, r#"["x",null]"#, r#"{"what":"x"}"#, r#"{"what":"x","limit":null}"#] {
            let found: (String, Option<u32>) = decode(&FIND, RawParams::from_json(params)).unwrap();
            assert_eq!(found, ("x".to_owned(), None), "{params}");
        }
    }
}
