//! What a subscription is known by, on one link.

use std::{
    borrow::{Borrow, Cow},
    hash::{Hash, Hasher},
};

use crate::jsonrpc::{MethodInfo, RawParams, canonical::canonical, version::put};

/// Names a subscription on one link: the JSON text of its id, or of `["method",[params]]` in the style of Electrum.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionKey {
    /// What it is known by: see [`canonical`].
    known: Box<str>,
    /// What a peer has written, where that is another text.
    sent: Option<Box<str>>,
}

impl SubscriptionKey {
    /// The subscription whose id is this JSON text.
    pub(crate) fn of_id(id: &str) -> Self {
        Self::sent_as(id.to_owned())
    }

    fn sent_as(text: String) -> Self {
        match canonical(&text) {
            Cow::Owned(known) if known != text => Self { known: known.into(), sent: Some(text.into()) },
            _ => Self { known: text.into(), sent: None },
        }
    }

    /// The subscription of `method` with these parameters, in the style of Electrum.
    pub(crate) fn of_params(method: &str, params: &str) -> Self {
        let mut key = b"[".to_vec();
        put(&mut key, method);
        key.push(b',');
        key.extend_from_slice(compact(params).as_bytes());
        key.push(b']');
        Self { known: String::from_utf8(key).unwrap_or_default().into(), sent: None }
    }

    /// The work whose token is this JSON text.
    pub(crate) fn of_token(token: &str) -> Self {
        Self::sent_as(format!("{{\"token\":{token}}}"))
    }

    /// The JSON text, as it was sent.
    pub(crate) fn as_json(&self) -> &str {
        self.sent.as_ref().unwrap_or(&self.known)
    }
}

/// So that the [canonical] text of a key is enough to look one up. (Its hash is that of the text.)
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

/// The same JSON without white space between its tokens, so that texts can be compared.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => Cow::Owned(value.to_string()),
        // Escapes that mean no character are JSON, and no text.
        Err(_) => canonical(json),
    }
}

/// The parameters of a request as an array, in the order of its method's table.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
