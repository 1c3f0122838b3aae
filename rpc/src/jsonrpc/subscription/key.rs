//! What a subscription is known by, on one link.

use std::borrow::{Borrow, Cow};

use crate::jsonrpc::{MethodInfo, RawParams, version::put};

/// Names a subscription on one link: the JSON text of its id, or of `["method",[params]]` in the style of Electrum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionKey(Box<str>);

impl SubscriptionKey {
    /// The subscription whose id is this JSON text.
    pub(crate) fn of_id(id: &str) -> Self {
        Self(id.into())
    }

    /// The subscription of `method` with these parameters, in the style of Electrum.
    pub(crate) fn of_params(method: &str, params: &str) -> Self {
        let mut key = b"[".to_vec();
        put(&mut key, method);
        key.push(b',');
        key.extend_from_slice(compact(params).as_bytes());
        key.push(b']');
        Self(String::from_utf8(key).unwrap_or_default().into())
    }

    /// The work whose token is this JSON text.
    pub(crate) fn of_token(token: &str) -> Self {
        Self(format!("{{\"token\":{token}}}").into())
    }

    /// The JSON text.
    pub(crate) fn as_json(&self) -> &str {
        &self.0
    }
}

/// So that the text of a key is enough to look one up. (Its hash is that of the text.)
impl Borrow<str> for SubscriptionKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The same JSON without white space between its tokens, so that texts can be compared.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => Cow::Owned(value.to_string()),
        Err(_) => Cow::Borrowed(json),
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
