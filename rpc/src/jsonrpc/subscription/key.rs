//! The identity of a subscription on one connection: its key, or the token of the request that
//! began it.

use std::{
    borrow::{Borrow, Cow},
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

use serde_json::value::RawValue;

use crate::jsonrpc::{
    ErrorObject, MethodInfo, RawParams, UncheckedParams,
    json_text::{canonical, is_blank},
    message::invalid,
    write::put,
};

/// Identifies a subscription on one connection: the JSON text of its id, or of
/// `["method",[params]]` in the style of Electrum.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionKey {
    /// The [`canonical`] text, by which keys are compared.
    known: Box<str>,
    /// The text that the peer sent, if it differs.
    sent: Option<Box<str>>,
}

impl SubscriptionKey {
    /// The key of the subscription with this JSON text as its id.
    pub(crate) fn of_id(id: &str) -> Self {
        Self::sent_as(id.to_owned())
    }

    fn sent_as(text: String) -> Self {
        match canonical(&text) {
            Cow::Owned(known) if known != text => Self { known: known.into(), sent: Some(text.into()) },
            _ => Self { known: text.into(), sent: None },
        }
    }

    /// The key of a subscription to `method` with these parameters, in the style of Electrum.
    pub(crate) fn of_params(method: &str, params: &str) -> Self {
        let mut key = b"[".to_vec();
        put(&mut key, method);
        key.push(b',');
        key.extend_from_slice(compact(params).as_bytes());
        key.push(b']');
        Self { known: String::from_utf8(key).unwrap_or_default().into(), sent: None }
    }

    /// The key of a call with progress, by the JSON text of its token.
    pub(crate) fn of_token(token: &str) -> Self {
        Self::sent_as(format!("{{\"token\":{token}}}"))
    }

    /// The JSON text, as it was sent.
    pub(crate) fn as_json(&self) -> &str {
        self.sent.as_ref().unwrap_or(&self.known)
    }
}

/// Keys can be looked up by their [canonical] text, which has the same hash.
impl Borrow<str> for SubscriptionKey {
    fn borrow(&self) -> &str {
        &self.known
    }
}

impl PartialEq for SubscriptionKey {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl Eq for SubscriptionKey {}

impl Hash for SubscriptionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.known.hash(state);
    }
}

/// The JSON without white space between its tokens, for comparison.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => Cow::Owned(value.to_string()),
        // Invalid escapes are JSON, but serde has no string for them.
        Err(_) => canonical(json),
    }
}

/// The parameters of a request as an array, in the order of the method's table.
pub(crate) fn positional(params: RawParams<'_>, method: &MethodInfo) -> String {
    match params.as_json() {
        None => "[]".to_owned(),
        Some(array) if array.starts_with('[') => array.to_owned(),
        Some(object) => {
            let members: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(object).unwrap_or_default();
            let in_order = method.params().iter().map_while(|param| members.get(param.name()));
            serde_json::Value::Array(in_order.cloned().collect()).to_string()
        }
    }
}

/// The token that ties progress to the request that asked for it. Its JSON text is a string or a
/// number, chosen by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token(Box<str>);

type TokenMembers<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Token {
    /// A token that is a string: numbers in LSP have only 31 bits.
    pub(crate) fn of(number: u64) -> Self {
        Self(format!("\"{number}\"").into())
    }

    pub(crate) fn as_json(&self) -> &str {
        &self.0
    }

    /// The key of the subscription. No id of the other styles has this form.
    pub(crate) fn key(&self) -> SubscriptionKey {
        SubscriptionKey::of_token(&self.0)
    }

    /// Adds the token to the parameters, at a path of member names separated by dots; `None` if
    /// they are an array.
    pub(crate) fn put_into(&self, params: &str, path: &str) -> Option<String> {
        let (outer, inner) = split(path);
        let inside = match params {
            "[]" => "",
            _ => params.strip_prefix('{')?.strip_suffix('}')?,
        };
        let Some(inner) = inner else { return Some(with_member(inside, outer, &self.0)) };
        let object = format!("{{{inside}}}");
        let mut members: TokenMembers<'_> = serde_json::from_str(&object).ok()?;
        let Some(own) = members.remove(outer) else {
            return Some(with_member(inside, outer, &with_member("", inner, &self.0)));
        };
        // The caller has set this member itself.
        let own = own.get().strip_prefix('{')?.strip_suffix('}')?;
        let rest = serde_json::to_string(&members).ok()?;
        Some(with_member(&rest[1..rest.len() - 1], outer, &with_member(own, inner, &self.0)))
    }

    /// Takes the token out of the parameters of a request: returns it, and the rest of the
    /// parameters; `None` if the path is not there.
    ///
    /// The outermost member of the path is removed whole, unless the method has a parameter of that
    /// name, or allows unknown members of that name.
    ///
    /// # Errors
    ///
    /// -32602, if the token is neither a string nor a number.
    pub(crate) fn take_from(
        params: UncheckedParams<'_>,
        path: &str,
        method: &MethodInfo,
    ) -> Result<Option<(Option<Self>, String)>, ErrorObject> {
        let Some(text) = params.as_text().filter(|text| text.starts_with('{')) else { return Ok(None) };
        let Ok(mut members) = serde_json::from_str::<TokenMembers<'_>>(text) else { return Ok(None) };
        let (outer, inner) = split(path);
        let Some(&found) = members.get(outer) else { return Ok(None) };
        let token = match inner {
            None => Some(found),
            Some(inner) => serde_json::from_str::<TokenMembers<'_>>(found.get())
                .ok()
                .and_then(|within| within.get(inner).copied()),
        };
        if method.params().iter().all(|param| param.name() != outer) && !method.unknown_params().allows(outer)
        {
            members.remove(outer);
        }
        let token = match token.map(RawValue::get) {
            None | Some("null") => None,
            Some(json) if json.starts_with(['"', '-']) || json.starts_with(|c: char| c.is_ascii_digit()) => {
                Some(Self(json.into()))
            }
            Some(_) => return Err(invalid(method.name(), &format!("`{path}` is a string or a number"))),
        };
        let rest = serde_json::to_string(&members).unwrap_or_default();
        Ok(Some((token, rest)))
    }
}

/// The outermost name of a path, and the inner one, if there is one.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((outer, inner)) => (outer, Some(inner)),
        None => (path, None),
    }
}

/// An object with the members `inside` and one more.
fn with_member(inside: &str, name: &str, value: &str) -> String {
    let comma = if is_blank(inside) { "" } else { "," };
    let name = serde_json::Value::from(name);
    format!("{{{inside}{comma}{name}:{value}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{ParamInfo, UnknownParams};

    #[test]
    fn a_key_is_known_by_its_value_and_shown_as_it_was_sent() {
        type Made = fn(&str) -> SubscriptionKey;
        for made in [SubscriptionKey::of_id as Made, SubscriptionKey::of_token as Made] {
            let (plain, escaped) = (made(r#""a/b""#), made(r#""a\/b""#));
            assert_eq!(plain, escaped);
            let known = |key: &SubscriptionKey| Borrow::<str>::borrow(key).to_owned();
            assert_eq!(known(&plain), known(&escaped));
            assert!(escaped.as_json().contains(r#""a\/b""#));
            assert_eq!(known(&plain), plain.as_json());
            assert_ne!(made("1"), made("1.0"));
            assert_ne!(made("1"), made("\"1\""));
        }
        assert_eq!(SubscriptionKey::of_id("[1, 2]"), SubscriptionKey::of_id("[1,2]"));
        assert_eq!(SubscriptionKey::of_id("[1, 2]").as_json(), "[1, 2]");
    }

    const LSP: &str = "workDoneToken";
    const MCP: &str = "_meta.progressToken";

    fn taken(params: &str, path: &str) -> (Option<String>, String) {
        let method = MethodInfo::request("m");
        let (token, rest) =
            Token::take_from(UncheckedParams::from_text(params), path, &method).unwrap().unwrap();
        (token.map(|token| token.as_json().to_owned()), rest)
    }

    #[test]
    fn what_was_put_in_comes_out_and_the_rest_is_as_it_was() {
        for path in [LSP, MCP] {
            for params in ["{}", r#"{"a":1}"#] {
                let with = Token::of(7).put_into(params, path).unwrap();
                assert_eq!(taken(&with, path), (Some("\"7\"".to_owned()), params.to_owned()), "{with}");
            }
            assert_eq!(Token::of(7).put_into("[1]", path), None);
        }
        assert_eq!(Token::of(7).put_into("[]", LSP).unwrap(), r#"{"workDoneToken":"7"}"#);
        assert_eq!(Token::of(7).put_into("{ }", LSP).unwrap(), r#"{ "workDoneToken":"7"}"#);
        for (params, with) in [
            (r#"{"a":[]}"#, r#"{"a":[],"_meta":{"progressToken":"7"}}"#),
            (r#"{"_meta":{"x":1},"a":2}"#, r#"{"a":2,"_meta":{"x":1,"progressToken":"7"}}"#),
            (r#"{"_meta":{}}"#, r#"{"_meta":{"progressToken":"7"}}"#),
        ] {
            assert_eq!(Token::of(7).put_into(params, MCP).unwrap(), with);
        }
    }

    #[test]
    fn the_examples_of_the_specifications_are_read() {
        let lsp = r#"{"textDocument":{"uri":"file:///folder/file.ts"},"workDoneToken":"1d546990-40a3-4b77-b134-46622995f6ae"}"#;
        let (token, rest) = taken(lsp, LSP);
        assert_eq!(token.as_deref(), Some(r#""1d546990-40a3-4b77-b134-46622995f6ae""#));
        assert_eq!(rest, r#"{"textDocument":{"uri":"file:///folder/file.ts"}}"#);
        let (token, rest) = taken(r#"{"_meta":{"progressToken":"abc123"}}"#, MCP);
        assert_eq!((token.as_deref(), &*rest), (Some(r#""abc123""#), "{}"));
    }

    #[test]
    fn there_may_be_none_and_it_may_be_of_the_wrong_kind() {
        let method = MethodInfo::request("m");
        for params in ["[1]", "{}", r#"{"a":1}"#, "null"] {
            assert_eq!(
                Token::take_from(UncheckedParams::from_text(params), LSP, &method),
                Ok(None),
                "{params}"
            );
        }
        assert_eq!(taken(r#"{"workDoneToken":null}"#, LSP), (None, "{}".to_owned()));
        assert_eq!(taken(r#"{"_meta":{"other":1},"a":2}"#, MCP), (None, r#"{"a":2}"#.to_owned()));
        let wrong = Token::take_from(UncheckedParams::from_text(r#"{"workDoneToken":[]}"#), LSP, &method)
            .unwrap_err();
        assert_eq!(wrong.message(), "invalid params for `m`: `workDoneToken` is a string or a number");
    }

    #[test]
    fn a_parameter_of_the_methods_own_is_left_to_it() {
        const PARAMS: &[ParamInfo] = &[ParamInfo::new("_meta")];
        let method = MethodInfo::request("m").with_params(PARAMS);
        let params = r#"{"_meta":{"progressToken":1}}"#;
        let (token, rest) =
            Token::take_from(UncheckedParams::from_text(params), MCP, &method).unwrap().unwrap();
        assert_eq!((token, &*rest), (Some(Token("1".into())), params));
        let lets_pass = MethodInfo::request("m").with_unknown_params(UnknownParams::AllowNamed(&["_meta"]));
        let (token, rest) =
            Token::take_from(UncheckedParams::from_text(params), MCP, &lets_pass).unwrap().unwrap();
        assert_eq!((token, &*rest), (Some(Token("1".into())), params));
    }
}
