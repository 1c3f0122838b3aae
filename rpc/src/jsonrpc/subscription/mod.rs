//! The notifications of a subscription, written and read: items, lost items, the end, and the
//! progress of a call.

mod key;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    ErrorObject, RawParams, SubscriptionInfo, SubscriptionStyle, UncheckedParams,
    error::present,
    json_text::{canonical, is_blank, trim},
    message::is_json,
    version::Version,
    write::put,
};
use key::compact;

pub(crate) use super::subscription_info::{CLOSING, ENDED, LOST, is_about_items, is_marked, mark};
pub(crate) use key::{SubscriptionKey, Token, positional};

/// Writes the bodies of a subscription's notifications: the method and the parameters, without the
/// envelope.
#[derive(Debug, Clone)]
pub(crate) struct ItemWriter {
    key: SubscriptionKey,
    /// The text before an item.
    before: Vec<u8>,
    /// The text after an item.
    after: &'static [u8],
    /// Whether an item is an object whose members are written beside the token.
    spreads: bool,
    is_of_work: bool,
    /// Whether the version has named parameters; 1.0 does not.
    by_name: bool,
}

impl ItemWriter {
    /// The writer for a subscription with `params`, an array, on a connection that writes
    /// `version`.
    pub(crate) fn new(info: SubscriptionInfo, key: SubscriptionKey, params: &str, version: Version) -> Self {
        let mut before = br#""method":"#.to_vec();
        put(&mut before, info.item());
        let by_name = version.has_named_params();
        let after: &[u8] = match info.style() {
            // As RFC 7047 (4.1.6) does.
            SubscriptionStyle::PubSub if !by_name => {
                before.extend_from_slice(br#","params":["#);
                before.extend_from_slice(key.as_json().as_bytes());
                before.push(b',');
                b"]"
            }
            SubscriptionStyle::PubSub => {
                before.extend_from_slice(br#","params":{"subscription":"#);
                before.extend_from_slice(key.as_json().as_bytes());
                before.extend_from_slice(br#","result":"#);
                b"}"
            }
            SubscriptionStyle::Electrum => {
                before.extend_from_slice(br#","params":["#);
                let params = trim(params);
                let inside = params.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or_default();
                if !is_blank(inside) {
                    before.extend_from_slice(inside.as_bytes());
                    before.push(b',');
                }
                b"]"
            }
            SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => b"",
        };
        Self { key, before, after, spreads: false, is_of_work: false, by_name }
    }

    /// The writer for the progress of a call. Its request has named parameters, so the version has
    /// them.
    pub(crate) fn of_work(info: SubscriptionInfo, token: &Token) -> Self {
        let mut before = br#""method":"#.to_vec();
        put(&mut before, info.item());
        let spreads = info.style() == SubscriptionStyle::McpProgress;
        before.extend_from_slice(match spreads {
            false => br#","params":{"token":"#,
            true => br#","params":{"progressToken":"#,
        });
        before.extend_from_slice(token.as_json().as_bytes());
        if !spreads {
            before.extend_from_slice(br#","value":"#);
        }
        let after: &[u8] = if spreads { b"" } else { b"}" };
        Self { key: token.key(), before, after, spreads, is_of_work: true, by_name: true }
    }

    /// Whether it writes the progress of a call, which ends with a reply.
    pub(crate) const fn is_of_work(&self) -> bool {
        self.is_of_work
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
        let start = out.len();
        write(out)?;
        if self.spreads {
            spread(out, start);
        }
        out.extend_from_slice(self.after);
        Ok(())
    }

    /// Appends the body of the notification that the subscription has ended.
    pub(crate) fn ended(&self, out: &mut Vec<u8>, error: Option<&ErrorObject>) {
        self.notice(out, ENDED, "error", error);
    }

    /// Appends the body of the notification that items were lost.
    pub(crate) fn lost(&self, out: &mut Vec<u8>, items: u64) {
        self.notice(out, LOST, "items", Some(&items));
    }

    /// Appends the key of the subscription, and one more value.
    fn notice(&self, out: &mut Vec<u8>, method: &str, name: &str, value: Option<&impl Serialize>) {
        out.extend_from_slice(br#""method":"#);
        put(out, method);
        out.extend_from_slice(match self.by_name {
            true => br#","params":{"subscription":"#,
            false => br#","params":["#,
        });
        out.extend_from_slice(self.key.as_json().as_bytes());
        if let Some(value) = value {
            out.push(b',');
            if self.by_name {
                put(out, name);
                out.push(b':');
            }
            put(out, value);
        }
        out.push(if self.by_name { b'}' } else { b']' });
    }
}

/// Replaces the opening brace of the object at `start`, so that its members follow those before it.
fn spread(out: &mut Vec<u8>, start: usize) {
    match &out[start..] {
        b"{}" => {
            out.truncate(start);
            out.push(b'}');
        }
        _ => out[start] = b',',
    }
}

/// A notification that may belong to a subscription of this side.
#[derive(Debug, PartialEq)]
pub(crate) struct About<'a> {
    /// The text of the subscription's key.
    pub(crate) key: Cow<'a, str>,
    /// The text of the id, if the parameters are an array of two values: these may be an id and its
    /// item (RFC 7047, 4.1.6), instead of the parameters of the subscription and the item after
    /// them.
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) event: SubscriptionEvent<'a>,
}

/// The meaning of a notification for a subscription of this side.
#[derive(Debug, PartialEq)]
pub(crate) enum SubscriptionEvent<'a> {
    /// The JSON text of an item. If it was [scanned](scan), it may be no JSON.
    Item(&'a str),
    Ended(Option<ErrorObject>),
    Lost(u64),
}

#[derive(Deserialize)]
struct ItemMembers<'a> {
    #[serde(borrow)]
    subscription: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    items: u64,
}

/// The subscription that a notification belongs to, and its meaning; `None` if it belongs to none.
pub(crate) fn read<'a>(method: &str, params: RawParams<'a>) -> Option<About<'a>> {
    let params = params.as_json()?;
    if params.starts_with('{') {
        let members: ItemMembers<'a> = serde_json::from_str(params).ok()?;
        let key = key_of(method, members.subscription);
        // An error that cannot be read still ends the subscription.
        let error = || members.error.map(|error| read_error(error.get()));
        let event = match method {
            ENDED => SubscriptionEvent::Ended(error()),
            LOST => SubscriptionEvent::Lost(members.items),
            // jsonrpsee's servers report the failure of a stream this way.
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

/// Reads a notice in 1.0, which has no named parameters: the key, and a value.
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

/// The text of a key in a message. Notices identify a subscription of Electrum's style by its
/// method and parameters.
fn key_of<'a>(method: &str, key: &'a RawValue) -> Cow<'a, str> {
    match key.get() {
        params if params.starts_with('[') && is_about_items(method) => compact(params),
        id => canonical(id),
    }
}

/// Reads a scanned item whose text is no JSON value: further members may follow it. If there is no
/// item, returns the whole message for the full reader.
#[cold]
pub(crate) fn judge_item(text: &[u8]) -> Result<Box<RawValue>, Vec<u8>> {
    let params = [br#"{"subscription":0,"result":"#, text, b"}"].concat();
    match serde_json::from_slice::<ItemMembers<'_>>(&params) {
        Ok(ItemMembers { result: Some(item), .. }) => Ok(item.to_owned()),
        _ => Err([br#"{"jsonrpc":"2.0","method":"","params":"#, &*params, b"}"].concat()),
    }
}

/// An item whose parameters are laid out as most servers write them. The item itself is unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainItem<'a> {
    id: &'a str,
    item: &'a str,
}

impl<'a> PlainItem<'a> {
    /// The text of the subscription's id.
    pub(crate) const fn id(self) -> &'a str {
        self.id
    }

    /// The text of the item.
    pub(crate) const fn text(self) -> &'a str {
        self.item
    }

    /// Whether the text is exactly one JSON value, as [`read`] would find. If not, further members
    /// may follow it, or garbage.
    pub(crate) fn is_json(self) -> bool {
        is_json(self.item)
    }

    pub(crate) const fn into_event(self) -> About<'a> {
        About { key: Cow::Borrowed(self.id), id: None, event: SubscriptionEvent::Item(self.item) }
    }
}

/// Scans for an item that is laid out as most servers write it. [`read`] handles all others.
pub(crate) fn scan<'a>(method: &str, params: UncheckedParams<'a>) -> Option<PlainItem<'a>> {
    let rest = params.as_text()?.strip_prefix(r#"{"subscription":"#)?;
    let length = match rest.strip_prefix('"') {
        Some(text) => {
            let end = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
            // Ids are long: unlike a search, this fold checks many bytes at once.
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
    // A number does not begin with 0, unless it is 0 (RFC 8259, 6).
    let is_id = !id.is_empty() && (id.len() == 1 || !id.starts_with('0'));
    let is_plain = is_id && method != ENDED && method != LOST;
    is_plain.then_some(PlainItem { id, item })
}

#[derive(Deserialize)]
struct LspProgress<'a> {
    #[serde(borrow)]
    token: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The token of a notification of progress, and the JSON of a
/// [`Progress::Step`](super::Progress::Step); `None` if it reports no progress.
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
    let LspProgress { token, value } = serde_json::from_str(params).ok()?;
    Some((SubscriptionKey::of_token(token.get()), step(value.get())))
}

/// The JSON of a [`Progress::Step`](super::Progress::Step) with this content.
fn step(json: &str) -> String {
    format!("{{\"Step\":{json}}}")
}

/// The JSON of a [`Progress::Done`](super::Progress::Done) with this content.
pub(crate) fn done(json: &str) -> String {
    format!("{{\"Done\":{json}}}")
}
