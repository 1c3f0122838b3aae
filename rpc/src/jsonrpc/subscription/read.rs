//! What a notification says about a subscription of ours, if anything.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ENDED, LOST, SubscriptionKey, is_about_items, key::compact};
use crate::jsonrpc::{
    ErrorObject, RawParams, UncheckedParams, canonical::canonical, error::present, params::is_json,
};

/// A notification that may be about a subscription of this side's.
#[derive(Debug, PartialEq)]
pub(crate) struct About<'a> {
    /// The text of the subscription's key.
    pub(crate) key: Cow<'a, str>,
    /// Where the parameters are an array of two values, and may be an id and its item (RFC 7047, 4.1.6)
    /// instead of those of a subscription and the item behind them: the text of the id.
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) event: SubscriptionEvent<'a>,
}

/// What a notification says about a subscription of ours.
#[derive(Debug, PartialEq)]
pub(crate) enum SubscriptionEvent<'a> {
    /// The JSON text of an item. What was [scanned](scan) for may be no JSON.
    Item(&'a str),
    Ended(Option<ErrorObject>),
    Lost(u64),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    subscription: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    items: u64,
}

/// Which subscription a notification is about, and what it says; `None` where it is about none.
pub(crate) fn read<'a>(method: &str, params: RawParams<'a>) -> Option<About<'a>> {
    let params = params.as_json()?;
    if params.starts_with('{') {
        let members: Members<'a> = serde_json::from_str(params).ok()?;
        let key = key_of(method, members.subscription);
        // One that cannot be read is one all the same.
        let error = || members.error.map(|error| read_error(error.get()));
        let event = match method {
            ENDED => SubscriptionEvent::Ended(error()),
            LOST => SubscriptionEvent::Lost(members.items),
            // jsonrpsee's servers say so when a stream fails.
            _ if members.result.is_none() && members.error.is_some() => SubscriptionEvent::Ended(error()),
            _ => SubscriptionEvent::Item(members.result?.get()),
        };
        return Some(About { key, id: None, event });
    }
    let values: Vec<&'a RawValue> = serde_json::from_str(params).ok()?;
    if is_about_items(method) {
        return read_notice(method, &values);
    }
    let (item, before) = values.split_last()?;
    let id = match before {
        [id] => Some(canonical(id.get())),
        _ => None,
    };
    let before = before.iter().map(|value| value.get()).collect::<Vec<_>>().join(",");
    let key = SubscriptionKey::of_params(method, &format!("[{before}]"));
    let key = Cow::Owned(key.as_json().to_owned());
    Some(About { key, id, event: SubscriptionEvent::Item(item.get()) })
}

/// What is said of a subscription in 1.0, which has no named parameters: its key, and a value.
fn read_notice<'a>(method: &str, values: &[&'a RawValue]) -> Option<About<'a>> {
    let (key, value) = match values {
        [key] => (key, None),
        [key, value] => (key, Some(value.get())),
        _ => return None,
    };
    let event = match method {
        LOST => SubscriptionEvent::Lost(serde_json::from_str(value?).ok()?),
        _ => SubscriptionEvent::Ended(value.map(read_error)),
    };
    Some(About { key: key_of(method, key), id: None, event })
}

fn read_error(json: &str) -> ErrorObject {
    serde_json::from_str(json).unwrap_or_else(|_| ErrorObject::internal())
}

/// The text of a key that stands in a message. Notices name a subscription of Electrum's style by its
/// method and parameters.
fn key_of<'a>(method: &str, key: &'a RawValue) -> Cow<'a, str> {
    match key.get() {
        params if params.starts_with('[') && is_about_items(method) => compact(params),
        id => canonical(id),
    }
}

/// What the item is, where what was scanned is more: further members may stand behind it. If it is
/// none, the message that it stood in is for the full reader to judge.
#[cold]
pub(crate) fn judge_item(text: &[u8]) -> Result<Box<RawValue>, Vec<u8>> {
    let params = [br#"{"subscription":0,"result":"#, text, b"}"].concat();
    match serde_json::from_slice::<Members<'_>>(&params) {
        Ok(Members { result: Some(item), .. }) => Ok(item.to_owned()),
        _ => Err([br#"{"jsonrpc":"2.0","method":"","params":"#, &*params, b"}"].concat()),
    }
}

/// An item whose parameters are laid out as most servers do it. Of the item itself nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainItem<'a> {
    id: &'a str,
    item: &'a str,
}

impl<'a> PlainItem<'a> {
    /// Whose it is.
    pub(crate) const fn id(self) -> &'a str {
        self.id
    }

    /// Its text.
    pub(crate) const fn text(self) -> &'a str {
        self.item
    }

    /// Whether it is an item and no more, as [`read`] would find. If not, further members may stand
    /// behind it, or rubbish.
    pub(crate) fn is_json(self) -> bool {
        is_json(self.item)
    }

    pub(crate) const fn into_event(self) -> About<'a> {
        About { key: Cow::Borrowed(self.id), id: None, event: SubscriptionEvent::Item(self.item) }
    }
}

/// Looks for an item that is plainly laid out. Anything else is for [`read`].
pub(crate) fn scan<'a>(method: &str, params: UncheckedParams<'a>) -> Option<PlainItem<'a>> {
    let rest = params.as_text()?.strip_prefix(r#"{"subscription":"#)?;
    let length = match rest.strip_prefix('"') {
        Some(text) => {
            let end = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
            // Ids are long: this looks at many bytes at once, where a search would stop at each.
            let is_plain = text.as_bytes()[..end].iter().fold(true, |plain, byte| plain & (*byte >= b' '));
            if text.as_bytes()[end] != b'"' || !is_plain {
                return None;
            }
            end + 2
        }
        None => rest.bytes().take_while(u8::is_ascii_digit).count(),
    };
    let (id, rest) = rest.split_at(length);
    let item = rest.strip_prefix(r#","result":"#)?.strip_suffix('}')?;
    // Numbers do not begin with 0, unless they are it (RFC 8259, 6).
    let is_id = !id.is_empty() && (id.len() == 1 || !id.starts_with('0'));
    let is_plain = is_id && method != ENDED && method != LOST;
    is_plain.then_some(PlainItem { id, item })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{
        Protocol, SubscriptionInfo, SubscriptionStyle,
        subscription::{ItemWriter, Token},
        version::Version,
    };

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

    fn scan_item(params: &str) -> Option<(&str, &str)> {
        let plain = scan("m", UncheckedParams::from_text(params)).filter(|plain| plain.is_json())?;
        Some((plain.id, plain.item))
    }

    /// What is read of a body that was written.
    fn round(body: &str) -> (SubscriptionKey, String) {
        let message = format!("{{{body}}}");
        let parts: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&message).unwrap();
        let params = parts["params"].to_string();
        let about = read(parts["method"].as_str().unwrap(), RawParams::from_json(&params)).unwrap();
        (SubscriptionKey::of_id(&about.key), format!("{:?}", about.event))
    }

    #[test]
    fn items_of_both_styles_come_back_with_their_key() {
        let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "eth_subscription");
        let pubsub = ItemWriter::new(info, SubscriptionKey::of_id("\"0x1\""), "[]", Version::V2);
        let text = item(&pubsub, "5");
        assert_eq!(text, r#""method":"eth_subscription","params":{"subscription":"0x1","result":5}"#);
        assert_eq!(round(&text), (pubsub.key().clone(), r#"Item("5")"#.to_owned()));

        let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "scripthash.subscribe");
        let key = SubscriptionKey::of_params("scripthash.subscribe", "[ \"ab\" ]");
        let electrum = ItemWriter::new(info, key, "[ \"ab\" ]", Version::V2);
        let text = item(&electrum, "null");
        assert_eq!(text, r#""method":"scripthash.subscribe","params":[ "ab" ,null]"#);
        assert_eq!(round(&text), (electrum.key().clone(), r#"Item("null")"#.to_owned()));
    }

    #[test]
    fn what_is_lost_of_work_comes_back_with_its_token() {
        let token = Token::of(7);
        let work = |style| ItemWriter::of_work(SubscriptionInfo::of_style(style), &token);
        let text = item(&work(SubscriptionStyle::Progress), "[5]");
        assert_eq!(text, r#""method":"$/progress","params":{"token":"7","value":[5]}"#);
        for (step, params) in [
            (r#"{"progress":5}"#, r#"{"progressToken":"7","progress":5}"#),
            ("{}", r#"{"progressToken":"7"}"#),
        ] {
            let text = item(&work(SubscriptionStyle::McpProgress), step);
            assert_eq!(text, format!(r#""method":"notifications/progress","params":{params}"#));
        }
        let lost = body(|out| work(SubscriptionStyle::Progress).lost(out, 3));
        assert_eq!(round(&lost), (token.key(), "Lost(3)".to_owned()));
    }

    #[test]
    fn the_end_and_the_loss_of_items_are_told_apart_from_items() {
        let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "headers.subscribe");
        let key = SubscriptionKey::of_params("headers.subscribe", "[]");
        let writer = ItemWriter::new(info, key, "[]", Version::V2);
        let text = body(|out| writer.ended(out, None));
        assert_eq!(text, r#""method":"rpc.ended","params":{"subscription":["headers.subscribe",[]]}"#);
        assert_eq!(round(&text), (writer.key().clone(), "Ended(None)".to_owned()));
        let failed = body(|out| writer.ended(out, Some(&ErrorObject::new(7, "no"))));
        assert!(round(&failed).1.contains("\"no\""), "{failed}");
        let lost = body(|out| writer.lost(out, 3));
        assert_eq!(round(&lost), (writer.key().clone(), "Lost(3)".to_owned()));
        for (params, failed) in [
            (r#"{"subscription":1}"#, false),
            (r#"{"subscription":1,"error":null}"#, false),
            (r#"{"subscription":1,"error":"no"}"#, true),
        ] {
            let about = read(ENDED, RawParams::from_json(params)).unwrap();
            assert_eq!(matches!(about.event, SubscriptionEvent::Ended(Some(_))), failed, "{params}");
        }
    }

    #[test]
    fn in_1_0_all_parameters_are_arrays() {
        let v1 = Version::new(Protocol::V1);
        let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "update");
        let pubsub = ItemWriter::new(info, SubscriptionKey::of_id("\"0x1\""), "[]", v1);
        let text = item(&pubsub, r#"{"a":1}"#);
        assert_eq!(text, r#""method":"update","params":["0x1",{"a":1}]"#);
        let read_text = |method, params| read(method, RawParams::from_json(params));
        let about = read_text("update", r#"["0x1",{"a":1}]"#).unwrap();
        assert_eq!(
            (about.id.as_deref(), about.event),
            (Some("\"0x1\""), SubscriptionEvent::Item(r#"{"a":1}"#))
        );

        let ended = body(|out| pubsub.ended(out, None));
        assert_eq!(ended, r#""method":"rpc.ended","params":["0x1"]"#);
        assert_eq!(round(&ended), (pubsub.key().clone(), "Ended(None)".to_owned()));
        let failed = body(|out| pubsub.ended(out, Some(&ErrorObject::new(7, "no"))));
        assert_eq!(failed, r#""method":"rpc.ended","params":["0x1",{"code":7,"message":"no"}]"#);
        assert_eq!(round(&failed).0, pubsub.key().clone());
        assert!(round(&failed).1.contains("\"no\""), "{failed}");

        let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "tip");
        let electrum = ItemWriter::new(info, SubscriptionKey::of_params("tip", "[1]"), "[1]", v1);
        let lost = body(|out| electrum.lost(out, 3));
        assert_eq!(lost, r#""method":"rpc.lost","params":[["tip",[1]],3]"#);
        assert_eq!(round(&lost), (electrum.key().clone(), "Lost(3)".to_owned()));
        for nothing in ["[]", "[1,2,3]"] {
            assert_eq!(read_text(ENDED, nothing), None, "{nothing}");
        }
        assert_eq!(read_text(LOST, "[1]"), None);
        assert_eq!(read_text(LOST, "[1,-2]"), None);
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
        let about = read("x", RawParams::from_json(r#"{"result":{"a":1},"x":0,"subscription":7}"#)).unwrap();
        assert_eq!((&*about.key, about.event), ("7", SubscriptionEvent::Item(r#"{"a":1}"#)));
    }

    #[test]
    fn an_id_is_looked_up_by_its_value() {
        for (id, known) in [
            (r#""\u0061\/b""#, r#""a/b""#),
            (r#"[1, "\u0061"]"#, r#"[1,"a"]"#),
            ("1e2", "1e2"),
            ("[ 1e2 ]", "[1e2]"),
            (r#""\ud800""#, r#""\ud800""#),
        ] {
            let params = format!(r#"{{"subscription":{id},"result":1}}"#);
            let key = read("x", RawParams::from_json(&params)).unwrap().key;
            assert_eq!(key, known);
            assert_eq!(SubscriptionKey::of_id(&key), SubscriptionKey::of_id(id));
        }
    }

    #[test]
    fn what_stands_behind_a_scanned_item_is_judged() {
        let judged = |text: &str| judge_item(text.as_bytes()).map(|item| item.get().to_owned());
        assert_eq!(judged("null").as_deref(), Ok("null"));
        assert_eq!(judged(r#"[1],"more":2"#).as_deref(), Ok("[1]"));
        for no_item in ["", "1]", "1}", r#"1,"subscription":2"#, r#"1},"id":{"a":1"#] {
            let message = judged(no_item).unwrap_err();
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"","params":{{"subscription":0,"result":{no_item}}}}}"#
            );
            assert_eq!(String::from_utf8(message).unwrap(), text);
        }
    }

    #[test]
    fn an_item_of_null_is_one_however_it_is_laid_out() {
        for params in [r#"{"subscription":1,"result":null}"#, r#"{ "subscription": 1, "result": null }"#] {
            let about = read("x", RawParams::from_json(params)).unwrap();
            assert_eq!((&*about.key, about.event), ("1", SubscriptionEvent::Item("null")));
        }
        let plain = scan("x", UncheckedParams::from_text(r#"{"subscription":1,"result":null}"#)).unwrap();
        let item = SubscriptionEvent::Item("null");
        assert_eq!(plain.into_event(), About { key: Cow::Borrowed("1"), id: None, event: item });
    }

    #[test]
    fn what_is_scanned_reads_as_it_does_in_full() {
        let item = scan_item;
        assert_eq!(item(r#"{"subscription":"0x1","result":{"a":[1]}}"#), Some((r#""0x1""#, r#"{"a":[1]}"#)));
        assert_eq!(item(r#"{"subscription":71,"result":"}"}"#), Some(("71", r#""}""#)));
        for left_to_the_full_reader in [
            r#"{"subscription":"\u0031","result":1}"#,
            "{\"subscription\":\"\t\",\"result\":1}",
            r#"{"subscription":1.5,"result":1}"#,
            r#"{"subscription":,"result":1}"#,
            r#"{"subscription":1,"result":1"#,
            r#"{"subscription":"1"#,
            r#"{"result":1,"subscription":1}"#,
            r#"{"subscription":1,"result":[1],"more":2}"#,
            r#"{"subscription":1,"result":1,"subscription":2}"#,
            r#"{"subscription":1,"result":}"#,
            r#"{"subscription":1,"result":1]}"#,
            r#"{"subscription":01,"result":1}"#,
        ] {
            assert_eq!(item(left_to_the_full_reader), None, "{left_to_the_full_reader}");
        }
        // These two are no items, whatever else they say.
        for method in [ENDED, LOST] {
            let params = RawParams::from_json(r#"{"subscription":1,"result":1}"#);
            assert_eq!(scan(method, params.into()), None);
            let about = read(method, params).unwrap();
            assert!(!matches!(about.event, SubscriptionEvent::Item(_)), "{about:?}");
        }
    }
}
