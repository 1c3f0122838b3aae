//! Subscriptions on the wire: how items, their end and their failure look as notifications.

use std::borrow::{Borrow, Cow};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ErrorObject, MethodInfo, RawParams, version::put, white_space};

/// How a subscription looks on the wire.
///
/// [`guide::subscriptions`](crate::guide::subscriptions) shows each, message by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SubscriptionStyle {
    /// As Ethereum's nodes and jsonrpsee do it: the reply is an id, and items are `{"subscription": id, "result": item}`.
    #[default]
    PubSub,
    /// As Electrum's servers do it: the reply is the current value, and later ones come as notifications under the method's own
    /// name, whose parameters are those of the subscription and the value behind them.
    Electrum,
}

/// What a subscription is called, and how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionInfo {
    style: SubscriptionStyle,
    item: &'static str,
    unsubscribe: Option<&'static str>,
    overflow: Overflow,
}

/// What is done when the items of a subscription are not taken as fast as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The stream waits. On the side that receives, the session stops reading: nothing else arrives on it either, unless a call of
    /// ours waits for its reply.
    Wait,
    /// The oldest item is dropped. The one who receives learns how many were lost: [`SubscriptionError::Lost`](crate::SubscriptionError::Lost).
    DropOldest,
    /// The subscription ends, with an error that says so.
    End,
}

impl SubscriptionInfo {
    /// Items come under the name `item`.
    pub const fn new(style: SubscriptionStyle, item: &'static str) -> Self {
        Self { style, item, unsubscribe: None, overflow: Overflow::Wait }
    }

    /// The method `unsubscribe` ends it.
    pub const fn with_unsubscribe(self, unsubscribe: &'static str) -> Self {
        Self { unsubscribe: Some(unsubscribe), ..self }
    }

    /// What a server does where the peer is slow to take items. Unless said otherwise, the stream waits.
    pub const fn with_overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// What a server does where the peer is slow to take items.
    pub const fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// How it looks.
    pub const fn style(&self) -> SubscriptionStyle {
        self.style
    }

    /// The name that items come under.
    pub const fn item(&self) -> &'static str {
        self.item
    }

    /// The method that ends it, if there is one.
    pub const fn unsubscribe(&self) -> Option<&'static str> {
        self.unsubscribe
    }
}

/// Under this name the other side learns that a subscription has ended, and why. Those who do not know it ignore it.
pub(crate) const ENDED: &str = "rpc.ended";
/// Under this name the other side learns that items were lost.
pub(crate) const LOST: &str = "rpc.lost";

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
fn compact(json: &str) -> Cow<'_, str> {
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

/// Writes the bodies of a subscription's notifications: what stands in them beside the envelope.
#[derive(Debug, Clone)]
pub(crate) struct ItemWriter {
    key: SubscriptionKey,
    /// Everything of an item that stands before it.
    before: Vec<u8>,
    /// Everything behind it.
    after: &'static [u8],
}

impl ItemWriter {
    /// For a subscription that was made with `params`, an array.
    pub(crate) fn new(info: SubscriptionInfo, key: SubscriptionKey, params: &str) -> Self {
        let mut before = br#""method":"#.to_vec();
        put(&mut before, info.item());
        let after: &[u8] = match info.style() {
            SubscriptionStyle::PubSub => {
                before.extend_from_slice(br#","params":{"subscription":"#);
                before.extend_from_slice(key.as_json().as_bytes());
                before.extend_from_slice(br#","result":"#);
                b"}"
            }
            SubscriptionStyle::Electrum => {
                before.extend_from_slice(br#","params":["#);
                let params = white_space::trim(params);
                let inside = params.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or_default();
                if !white_space::is_blank(inside) {
                    before.extend_from_slice(inside.as_bytes());
                    before.push(b',');
                }
                b"]"
            }
        };
        Self { key, before, after }
    }

    pub(crate) const fn key(&self) -> &SubscriptionKey {
        &self.key
    }

    /// Appends the body of an item, which `write` writes.
    pub(crate) fn item<E>(
        &self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.extend_from_slice(&self.before);
        write(out)?;
        out.extend_from_slice(self.after);
        Ok(())
    }

    /// Appends the body of the notification that it has ended.
    pub(crate) fn ended(&self, out: &mut Vec<u8>, error: Option<&ErrorObject>) {
        self.begin(out, ENDED);
        if let Some(error) = error {
            out.extend_from_slice(br#","error":"#);
            put(out, error);
        }
        out.push(b'}');
    }

    /// Appends the body of the notification that items were lost.
    pub(crate) fn lost(&self, out: &mut Vec<u8>, items: u64) {
        self.begin(out, LOST);
        out.extend_from_slice(br#","items":"#);
        put(out, &items);
        out.push(b'}');
    }

    fn begin(&self, out: &mut Vec<u8>, method: &str) {
        out.extend_from_slice(br#""method":"#);
        put(out, method);
        out.extend_from_slice(br#","params":{"subscription":"#);
        out.extend_from_slice(self.key.as_json().as_bytes());
    }
}

/// What a notification says about a subscription of ours.
#[derive(Debug, PartialEq)]
pub(crate) enum SubscriptionEvent<'a> {
    /// The JSON text of an item.
    Item(&'a str),
    Ended(Option<ErrorObject>),
    Lost(u64),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    subscription: &'a RawValue,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    items: u64,
}

/// Which subscription a notification is about (the text of its key), and what it says; `None` where it is about none.
pub(crate) fn read<'a>(method: &str, params: RawParams<'a>) -> Option<(Cow<'a, str>, SubscriptionEvent<'a>)> {
    let params = params.as_json()?;
    if let Some((id, item)) = scan_item(params)
        && method != ENDED
        && method != LOST
    {
        return Some((Cow::Borrowed(id), SubscriptionEvent::Item(item)));
    }
    if params.starts_with('{') {
        let members: Members<'a> = serde_json::from_str(params).ok()?;
        let key = match members.subscription.get() {
            // Ours name one of Electrum's style by its method and parameters.
            array if array.starts_with('[') => compact(array),
            id => Cow::Borrowed(id),
        };
        let error = || members.error.and_then(|error| serde_json::from_str(error.get()).ok());
        let event = match method {
            ENDED => SubscriptionEvent::Ended(error()),
            LOST => SubscriptionEvent::Lost(members.items),
            // jsonrpsee's servers say so when a stream fails.
            _ if members.result.is_none() && members.error.is_some() => {
                SubscriptionEvent::Ended(Some(error().unwrap_or_else(ErrorObject::internal)))
            }
            _ => SubscriptionEvent::Item(members.result?.get()),
        };
        return Some((key, event));
    }
    let values: Vec<&'a RawValue> = serde_json::from_str(params).ok()?;
    let (item, key) = values.split_last()?;
    let key = key.iter().map(|value| value.get()).collect::<Vec<_>>().join(",");
    let SubscriptionKey(key) = SubscriptionKey::of_params(method, &format!("[{key}]"));
    Some((Cow::Owned(key.into()), SubscriptionEvent::Item(item.get())))
}

/// The id and the item, where the parameters are laid out as most servers do it. Anything else is for the full reader.
fn scan_item(params: &str) -> Option<(&str, &str)> {
    let rest = params.strip_prefix(r#"{"subscription":"#)?;
    let length = match rest.strip_prefix('"') {
        Some(text) => {
            let end = text.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
            if text.as_bytes()[end] != b'"' {
                return None;
            }
            end + 2
        }
        None => rest.bytes().take_while(u8::is_ascii_digit).count(),
    };
    let (id, rest) = rest.split_at(length);
    let item = rest.strip_prefix(r#","result":"#)?.strip_suffix('}')?;
    // Further members would stand in the item, which then is no JSON.
    let item: &RawValue = serde_json::from_str(item).ok().filter(|_| !id.is_empty())?;
    Some((id, item.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn item(writer: &ItemWriter, text: &str) -> String {
        body(|out| {
            writer
                .item::<()>(out, |out| {
                    out.extend_from_slice(text.as_bytes());
                    Ok(())
                })
                .unwrap();
        })
    }

    /// What is read of a body that was written.
    fn round(body: &str) -> (SubscriptionKey, String) {
        let message = format!("{{{body}}}");
        let parts: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&message).unwrap();
        let params = parts["params"].to_string();
        let (key, event) = read(parts["method"].as_str().unwrap(), RawParams::from_json(&params)).unwrap();
        (SubscriptionKey(key.into()), format!("{event:?}"))
    }

    #[test]
    fn items_of_both_styles_come_back_with_their_key() {
        let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "eth_subscription");
        let pubsub = ItemWriter::new(info, SubscriptionKey::of_id("\"0x1\""), "[]");
        let text = item(&pubsub, "5");
        assert_eq!(text, r#""method":"eth_subscription","params":{"subscription":"0x1","result":5}"#);
        assert_eq!(round(&text), (pubsub.key().clone(), r#"Item("5")"#.to_owned()));

        let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "scripthash.subscribe");
        let key = SubscriptionKey::of_params("scripthash.subscribe", "[ \"ab\" ]");
        let electrum = ItemWriter::new(info, key, "[ \"ab\" ]");
        let text = item(&electrum, "null");
        assert_eq!(text, r#""method":"scripthash.subscribe","params":[ "ab" ,null]"#);
        assert_eq!(round(&text), (electrum.key().clone(), r#"Item("null")"#.to_owned()));
    }

    #[test]
    fn the_end_and_the_loss_of_items_are_told_apart_from_items() {
        let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "headers.subscribe");
        let writer = ItemWriter::new(info, SubscriptionKey::of_params("headers.subscribe", "[]"), "[]");
        let text = body(|out| writer.ended(out, None));
        assert_eq!(text, r#""method":"rpc.ended","params":{"subscription":["headers.subscribe",[]]}"#);
        assert_eq!(round(&text), (writer.key().clone(), "Ended(None)".to_owned()));
        let failed = body(|out| writer.ended(out, Some(&ErrorObject::new(7, "no"))));
        assert!(round(&failed).1.contains("\"no\""), "{failed}");
        let lost = body(|out| writer.lost(out, 3));
        assert_eq!(round(&lost), (writer.key().clone(), "Lost(3)".to_owned()));
    }

    #[test]
    fn what_is_about_no_subscription_is_left_alone() {
        for params in ["{}", r#"{"result":1}"#, r#"{"subscription":1}"#, "[]"] {
            assert_eq!(read("m", RawParams::from_json(params)), None, "{params}");
        }
        assert_eq!(read("m", RawParams::NONE), None);
    }

    #[test]
    fn ids_may_be_numbers_and_members_may_come_in_any_order() {
        let (key, event) =
            read("x", RawParams::from_json(r#"{"result":{"a":1},"x":0,"subscription":7}"#)).unwrap();
        assert_eq!((&*key, event), ("7", SubscriptionEvent::Item(r#"{"a":1}"#)));
    }

    #[test]
    fn what_is_scanned_reads_as_it_does_in_full() {
        let item = |params| scan_item(params);
        assert_eq!(item(r#"{"subscription":"0x1","result":{"a":[1]}}"#), Some((r#""0x1""#, r#"{"a":[1]}"#)));
        assert_eq!(item(r#"{"subscription":71,"result":"}"}"#), Some(("71", r#""}""#)));
        for left_to_the_full_reader in [
            r#"{"subscription":"\u0031","result":1}"#,
            r#"{"subscription":1.5,"result":1}"#,
            r#"{"subscription":,"result":1}"#,
            r#"{"subscription":1,"result":1,"more":2}"#,
            r#"{"subscription":1,"result":1,"subscription":2}"#,
            r#"{"subscription":1,"result":}"#,
            r#"{"subscription":1,"result":1"#,
            r#"{"subscription":"1"#,
            r#"{"result":1,"subscription":1}"#,
        ] {
            assert_eq!(item(left_to_the_full_reader), None, "{left_to_the_full_reader}");
        }
        let (key, event) =
            read("x", RawParams::from_json(r#"{"subscription":1,"result":1,"more":2}"#)).unwrap();
        assert_eq!((&*key, event), ("1", SubscriptionEvent::Item("1")));
        // These two are no items, whatever else they say.
        for method in [ENDED, LOST] {
            let (_, event) = read(method, RawParams::from_json(r#"{"subscription":1,"result":1}"#)).unwrap();
            assert!(!matches!(event, SubscriptionEvent::Item(_)), "{event:?}");
        }
    }
}
