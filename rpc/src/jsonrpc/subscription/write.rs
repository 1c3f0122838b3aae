//! Notifications of a subscription: items, what was lost, and the end.

use serde::Serialize;

use super::{ENDED, LOST, SubscriptionInfo, SubscriptionKey, SubscriptionStyle, Token};
use crate::jsonrpc::{
    ErrorObject,
    version::{Version, put},
    white_space,
};

/// Writes the bodies of a subscription's notifications: what stands in them beside the envelope.
#[derive(Debug, Clone)]
pub(crate) struct ItemWriter {
    key: SubscriptionKey,
    /// Everything of an item that stands before it.
    before: Vec<u8>,
    /// Everything behind it.
    after: &'static [u8],
    /// Whether an item is no value, but members: those that stand beside the others.
    spreads: bool,
    is_of_work: bool,
    /// Whether the version has named parameters; 1.0 has not.
    by_name: bool,
}

impl ItemWriter {
    /// For a subscription that was made with `params`, an array, on a link that writes `version`.
    pub(crate) fn new(info: SubscriptionInfo, key: SubscriptionKey, params: &str, version: Version) -> Self {
        let mut before = br#""method":"#.to_vec();
        put(&mut before, info.item());
        let by_name = version.has_named_params();
        let after: &[u8] = match info.style() {
            // As RFC 7047 (4.1.6) has it.
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
                let params = white_space::trim(params);
                let inside = params.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or_default();
                if !white_space::is_blank(inside) {
                    before.extend_from_slice(inside.as_bytes());
                    before.push(b',');
                }
                b"]"
            }
            SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => b"",
        };
        Self { key, before, after, spreads: false, is_of_work: false, by_name }
    }

    /// For what is reported of some work. Its request has named parameters, so the version has them.
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

    /// Whether it reports of work, whose end is a reply.
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

    /// Appends the body of the notification that it has ended.
    pub(crate) fn ended(&self, out: &mut Vec<u8>, error: Option<&ErrorObject>) {
        self.notice(out, ENDED, "error", error);
    }

    /// Appends the body of the notification that items were lost.
    pub(crate) fn lost(&self, out: &mut Vec<u8>, items: u64) {
        self.notice(out, LOST, "items", Some(&items));
    }

    /// Which subscription it is about, and what is said of it.
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

/// Has the members of the object that begins at `start` follow those that stand before it.
fn spread(out: &mut Vec<u8>, start: usize) {
    match &out[start..] {
        b"{}" => {
            out.truncate(start);
            out.push(b'}');
        }
        _ => out[start] = b',',
    }
}
