//! What a notification reports of some work, whose call we wait for.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{SubscriptionKey, SubscriptionStyle, progress::step};
use crate::jsonrpc::RawParams;

#[derive(Deserialize)]
struct Lsp<'a> {
    #[serde(borrow)]
    token: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Which work a notification is about, and the JSON of a [`Progress::Step`](super::Progress::Step); `None` where it reports nothing.
pub(crate) fn read_report(
    style: SubscriptionStyle,
    params: RawParams<'_>,
) -> Option<(SubscriptionKey, String)> {
    let params = params.as_json()?;
    if style == SubscriptionStyle::McpProgress {
        let mut members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(params).ok()?;
        let token = members.remove("progressToken")?;
        let rest = serde_json::to_string(&members).ok()?;
        return Some((SubscriptionKey::of_token(token.get()), step(&rest)));
    }
    let Lsp { token, value } = serde_json::from_str(params).ok()?;
    Some((SubscriptionKey::of_token(token.get()), step(value.get())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(style: SubscriptionStyle, params: &str) -> Option<(String, String)> {
        let (key, step) = read_report(style, RawParams::from_json(params))?;
        Some((key.as_json().to_owned(), step))
    }

    #[test]
    fn a_step_of_lsp_is_a_value() {
        let read = |params| read(SubscriptionStyle::Progress, params);
        let step = |token: &str, value: &str| {
            Some((format!(r#"{{"token":{token}}}"#), format!(r#"{{"Step":{value}}}"#)))
        };
        assert_eq!(read(r#"{"token":7,"value":[5]}"#), step("7", "[5]"));
        assert_eq!(read(r#"{"value":{"kind":"end"},"token":"a"}"#), step("\"a\"", r#"{"kind":"end"}"#));
        for nothing in ["[]", "{}", r#"{"token":7}"#, r#"{"progressToken":7,"value":1}"#, "null"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn tokens_are_values() {
        for (style, params) in [
            (SubscriptionStyle::Progress, r#"{"token":"\u0037","value":1}"#),
            (SubscriptionStyle::McpProgress, r#"{"progressToken":"\u0037","progress":1}"#),
        ] {
            let key = |params| read_report(style, RawParams::from_json(params)).map(|(key, _)| key);
            assert_eq!(key(params), Some(SubscriptionKey::of_token("\"7\"")));
            assert_ne!(key(params), Some(SubscriptionKey::of_token("7")));
        }
    }

    #[test]
    fn a_step_of_mcp_is_all_members_but_the_token() {
        let read = |params| read(SubscriptionStyle::McpProgress, params);
        let step = |value: &str| Some((r#"{"token":7}"#.to_owned(), format!(r#"{{"Step":{value}}}"#)));
        // The specification's example.
        let example = r#"{"progressToken":7,"progress":50,"total":100,"message":"Reticulating splines..."}"#;
        assert_eq!(read(example), step(r#"{"message":"Reticulating splines...","progress":50,"total":100}"#));
        // Members that mean something in other styles.
        let others = r#"{"error":"e","items":["a"],"result":1,"subscription":"s","token":2,"value":3}"#;
        let with_token = format!(r#"{{"progressToken":7,{}"#, &others[1..]);
        assert_eq!(read(&with_token), step(others));
        assert_eq!(read(r#"{"progressToken":7}"#), step("{}"));
        assert_eq!(read(r#"{"token":7,"value":1}"#), None);
    }
}
