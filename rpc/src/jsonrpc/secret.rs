//! Parameters that are kept out of the log.
//!
//! Messages are logged as bytes, by a loop that knows neither services nor clients. So the secrets
//! are registered for the whole process, by the names of methods, and looked up only when a message
//! is logged.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    sync::{PoisonError, RwLock},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    MethodInfo, ParamInfo, SubscriptionStyle,
    params::OrderedMembers,
    subscription::{ENDED, LOST},
};

/// Logged in place of a secret value.
const HIDDEN: &str = "\"…\"";

/// The parameters of methods with secrets. Several services may have a method of the same name: the
/// secrets of all of them are kept.
static METHODS: RwLock<BTreeMap<&'static str, Vec<&'static [ParamInfo]>>> = RwLock::new(BTreeMap::new());

/// Registers the secrets of `methods`, for all sessions.
pub(crate) fn keep(methods: &[MethodInfo]) {
    for method in methods.iter().filter(|method| method.params().iter().any(ParamInfo::is_secret)) {
        // If a subscription is identified by its parameters, every item and its end repeat them.
        let again = method.subscription().filter(|of| of.style() == SubscriptionStyle::Electrum);
        let again = again.map(|of| [Some(of.item()), of.unsubscribe()]).into_iter().flatten().flatten();
        for name in again.chain([method.name()]).chain(method.aliases().iter().copied()) {
            let known = METHODS.read().unwrap_or_else(PoisonError::into_inner);
            let is_known = known.get(name).is_some_and(|known| known.contains(&method.params()));
            drop(known);
            if !is_known {
                let mut methods = METHODS.write().unwrap_or_else(PoisonError::into_inner);
                methods.entry(name).or_default().push(method.params());
            }
        }
    }
}

/// The message, as it may be logged.
pub(crate) fn shown(message: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(message);
    let methods = METHODS.read().unwrap_or_else(PoisonError::into_inner);
    if methods.is_empty() {
        return text;
    }
    let secrets = |name: &str| methods.get(name).map(Vec::as_slice);
    match secret_ranges(&text, &secrets) {
        Some(ranges) if ranges.is_empty() => text,
        Some(ranges) => Cow::Owned(without(&text, &ranges)),
        // It cannot be parsed. An escaped name would not be found in the text.
        None if text.contains("\\u") || methods.keys().any(|name| text.contains(name)) => {
            let bytes = message.len();
            Cow::Owned(format!("({bytes} bytes that cannot be told apart, and may hold a secret)"))
        }
        None => text,
    }
}

/// The places of the secrets in a message, in order; `None` if it cannot be parsed.
fn secret_ranges<'a>(
    text: &str,
    secrets: &impl Fn(&str) -> Option<&'a [&'static [ParamInfo]]>,
) -> Option<Vec<(usize, usize)>> {
    let messages: Vec<&RawValue> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => vec![serde_json::from_str(text).ok()?],
    };
    let mut ranges = Vec::new();
    for message in messages {
        let envelope: LoggedCall<'_> = serde_json::from_str(message.get()).ok()?;
        let (Some(method), Some(params)) = (envelope.method, envelope.params) else { continue };
        // A method that is no string names nothing.
        let Ok(method) = serde_json::from_str::<Cow<'_, str>>(method.get()) else { continue };
        let (method, params) = subscription_in(&method, params).unwrap_or((method, params));
        for value in secrets(&method).into_iter().flatten().flat_map(|known| secret_values(params, known)) {
            // `value` is a part of `text`, so the difference is its position.
            let start = value.get().as_ptr().addr() - text.as_ptr().addr();
            ranges.push((start, start + value.get().len()));
        }
    }
    ranges.sort_unstable();
    Some(ranges)
}

/// The method and the parameters by which a notice identifies a subscription.
fn subscription_in<'a>(method: &str, params: &'a RawValue) -> Option<(Cow<'a, str>, &'a RawValue)> {
    #[derive(Deserialize)]
    struct Notice<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] &'a RawValue);

    if ![ENDED, LOST].contains(&method) {
        return None;
    }
    let subscription = match serde_json::from_str::<Vec<&RawValue>>(params.get()) {
        Ok(values) => values.into_iter().next()?,
        Err(_) => {
            let OrderedMembers(members) = serde_json::from_str(params.get()).ok()?;
            members.into_iter().find(|(name, _)| name == "subscription")?.1
        }
    };
    serde_json::from_str(subscription.get()).ok().map(|Notice(method, params)| (method, params))
}

/// The secret values among the parameters of a call. A value that the method does not name, or has
/// no position for, may be a secret under a wrong name.
fn secret_values<'a>(params: &'a RawValue, known: &[ParamInfo]) -> Vec<&'a RawValue> {
    if let [all] = known
        && all.is_whole()
    {
        return vec![params];
    }
    let is_shown = |param: Option<&ParamInfo>| param.is_some_and(|param| !param.is_secret());
    if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(params.get()) {
        let rest = known.last().filter(|last| last.is_rest());
        let hidden = values.into_iter().enumerate().filter(|(at, _)| !is_shown(known.get(*at).or(rest)));
        return hidden.map(|(_, value)| value).collect();
    }
    match serde_json::from_str::<OrderedMembers<'_>>(params.get()) {
        Ok(OrderedMembers(members)) => {
            let named = |name: &str| known.iter().find(|param| param.name() == name);
            let hidden = members.into_iter().filter(|(name, _)| !is_shown(named(name)));
            hidden.map(|(_, value)| value).collect()
        }
        Err(_) => vec![params],
    }
}

fn without(text: &str, ranges: &[(usize, usize)]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for &(from, to) in ranges.iter().filter(|(from, to)| from < to) {
        // Ranges overlap if two services keep different parts of the same message secret.
        if from >= end {
            let _ = write!(shown, "{}{HIDDEN}", &text[end..from]);
        }
        end = end.max(to);
    }
    shown.push_str(&text[end..]);
    shown
}

/// The members of a message that matter here. A duplicate member is an error.
#[derive(Deserialize)]
struct LoggedCall<'a> {
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &[ParamInfo] = &[ParamInfo::new("user"), ParamInfo::new("password").secret()];
    const OTHER: &[ParamInfo] = &[ParamInfo::new("token").secret(), ParamInfo::new("all").rest()];
    const REST: &[ParamInfo] = &[ParamInfo::new("user"), ParamInfo::new("keys").rest().secret()];
    const WHOLE: &[ParamInfo] = &[ParamInfo::new("all").whole().secret()];

    fn shown_of(text: &str) -> Option<String> {
        let known: &[(&str, &[&'static [ParamInfo]])] =
            &[("login", &[LOGIN]), ("both", &[LOGIN, OTHER]), ("rest", &[REST]), ("whole", &[WHOLE])];
        let secrets = |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, params)| *params);
        Some(without(text, &secret_ranges(text, &secrets)?))
    }

    #[test]
    fn a_secret_is_left_out_wherever_it_stands_and_nothing_else() {
        for (text, expected) in [
            (
                r#"{"method":"login","params":["ann", "pw" ],"id":1}"#,
                r#"{"method":"login","params":["ann", "…" ],"id":1}"#,
            ),
            (
                r#"{"params":{"password":{"a":"pw"},"user":"ann"},"method":"log\u0069n"}"#,
                r#"{"params":{"password":"…","user":"ann"},"method":"log\u0069n"}"#,
            ),
            (
                r#"{"method":"login","params":{"p\u0061ssword":"pw","password":2,"pasword":3}}"#,
                r#"{"method":"login","params":{"p\u0061ssword":"…","password":"…","pasword":"…"}}"#,
            ),
            (
                r#"{"method":"login","params":["ann","pw","more"]}"#,
                r#"{"method":"login","params":["ann","…","…"]}"#,
            ),
            (r#"{"method":"login","params":"pw"}"#, r#"{"method":"login","params":"…"}"#),
            (r#"{"method":"login"}"#, r#"{"method":"login"}"#),
            (r#"{"method":"both","params":["a","b","c"]}"#, r#"{"method":"both","params":["…","…","…"]}"#),
            (r#"{"method":"rest","params":["a","b","c"]}"#, r#"{"method":"rest","params":["a","…","…"]}"#),
            (r#"{"method":"whole","params":{"a":1}}"#, r#"{"method":"whole","params":"…"}"#),
            (r#"{"method":"logout","params":["ann","pw"]}"#, r#"{"method":"logout","params":["ann","pw"]}"#),
            (
                r#"{"method":"rpc.ended","params":{"subscription":["login",["ann","pw"]]}}"#,
                r#"{"method":"rpc.ended","params":{"subscription":["login",["ann","…"]]}}"#,
            ),
            (
                r#"{"method":"rpc.lost","params":[["login",["ann","pw"]],3]}"#,
                r#"{"method":"rpc.lost","params":[["login",["ann","…"]],3]}"#,
            ),
            (r#"{"id":1,"result":"pw"}"#, r#"{"id":1,"result":"pw"}"#),
            (
                r#" [{"method":"login","params":["a","b"]},{"method":"x","params":["c"]},{"method":"whole","params":[]}]"#,
                r#" [{"method":"login","params":["a","…"]},{"method":"x","params":["c"]},{"method":"whole","params":"…"}]"#,
            ),
        ] {
            assert_eq!(shown_of(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_no_message() {
        for text in [
            r#"{"method":"login","params":["ann","pw"]"#,
            r#"{"method":"x","method":"login","params":["ann","pw"]}"#,
            r#"[{"method":"login","params":["ann","pw"]},1]"#,
            "login ann pw",
        ] {
            assert_eq!(shown_of(text), None, "{text}");
        }
    }
}
