//! Notifications of a subscription: items, what was lost, and the end.

use super::{ENDED, LOST, SubscriptionInfo, SubscriptionKey, SubscriptionStyle, Token};
use crate::jsonrpc::{ErrorObject, version::put, white_space};

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
            SubscriptionStyle::Progress | SubscriptionStyle::McpProgress => b"",
        };
        Self { key, before, after, spreads: false, is_of_work: false }
    }

    /// For what is reported of some work.
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
        Self { key: token.key(), before, after: if spreads { b"" } else { b"}" }, spreads, is_of_work: true }
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
