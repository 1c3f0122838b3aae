//! The subscriptions that we have at the peer: which items go where.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::value::RawValue;

use super::{End, Inlet, OutgoingSubscription, Put, raw::Unsubscribe};
use crate::{
    jsonrpc::{
        Reply, SubscriptionStyle,
        subscription::{SubscriptionEvent, SubscriptionKey},
    },
    session::CloseReason,
};

/// How many items are kept that came before the reply which says whose they are.
const EARLY: usize = 1_024;
/// The same in bytes.
const EARLY_BYTES: usize = 1_000_000;

/// Everything of one link that waits for items.
#[derive(Debug, Default)]
pub(crate) struct Inlets {
    by_key: HashMap<SubscriptionKey, Arc<Inlet>>,
    /// Those who take notifications of a name, whoever sends them for what reason.
    listeners: HashMap<Box<str>, Vec<Arc<Inlet>>>,
    /// Subscriptions that were asked for, and not answered yet.
    opening: usize,
    /// What came meanwhile, and may belong to one of them.
    early: VecDeque<(SubscriptionKey, Early)>,
    early_bytes: usize,
    /// Methods that we have subscribed to in the style of Electrum: what still comes under their names is no surprise.
    methods: HashSet<Box<str>>,
}

#[derive(Debug)]
enum Early {
    Item(Box<str>),
    Lost(u64),
    End(End),
}

impl Early {
    /// How many bytes it takes up, beside itself.
    fn bytes(&self) -> usize {
        match self {
            Self::Item(item) => item.len(),
            Self::End(End::Failed(error)) => {
                error.message().len() + error.raw_data().map_or(0, |data| data.get().len())
            }
            Self::Lost(_) | Self::End(_) => 0,
        }
    }
}

/// A subscription that was asked for.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) inlet: Arc<Inlet>,
    pub(crate) style: SubscriptionStyle,
    pub(crate) method: Box<str>,
    /// The parameters, as an array.
    pub(crate) params: Box<str>,
    pub(crate) unsubscribe: Option<Box<str>>,
    is_abandoned: AtomicBool,
}

/// What was found for an event of a subscription.
#[derive(Debug)]
pub(crate) enum Destination {
    Inlet(Arc<Inlet>),
    /// It was dealt with.
    Done,
    /// It is about no subscription of ours.
    Nobody,
}

impl Opening {
    pub(crate) fn new(subscription: &OutgoingSubscription<'_>, inlet: Arc<Inlet>) -> Self {
        let OutgoingSubscription { call, style, unsubscribe, .. } = subscription;
        Self {
            inlet,
            style: *style,
            method: call.method().into(),
            params: call.params().into(),
            unsubscribe: unsubscribe.map(Into::into),
            is_abandoned: AtomicBool::new(false),
        }
    }

    /// Nobody waits for it any more: it is to end as soon as it is known what to end. Said under the lock of the link.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// The subscription that the reply has made; `None` where it is an error.
    pub(crate) fn key(&self, reply: &Reply) -> Option<(SubscriptionKey, Box<RawValue>)> {
        let result = reply.clone().decode::<Box<RawValue>>().ok()?;
        let key = match self.style {
            SubscriptionStyle::PubSub => SubscriptionKey::of_id(result.get()),
            SubscriptionStyle::Electrum => SubscriptionKey::of_params(&self.method, &self.params),
        };
        Some((key, result))
    }

    /// How the peer is told to stop.
    pub(crate) fn unsubscribe(&self, key: &SubscriptionKey) -> Option<Unsubscribe> {
        let method = self.unsubscribe.clone()?;
        let params = match self.style {
            SubscriptionStyle::PubSub => format!("[{}]", key.as_json()).into(),
            SubscriptionStyle::Electrum => self.params.clone(),
        };
        Some(Unsubscribe { method, params })
    }
}

impl Inlets {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn begin_opening(&mut self, opening: &Opening) {
        self.opening += 1;
        if opening.style == SubscriptionStyle::Electrum {
            self.methods.insert(opening.method.clone());
        }
    }

    pub(crate) fn end_opening(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        if self.opening == 0 {
            self.early = VecDeque::new();
            self.early_bytes = 0;
        }
    }

    /// A subscription has begun, whose items are known by `key` from here on. How many of its inlets keep the session from reading
    /// is given back.
    pub(crate) fn open(&mut self, key: &SubscriptionKey, inlet: &Arc<Inlet>) -> usize {
        self.by_key.insert(key.clone(), Arc::clone(inlet));
        let mut full = 0;
        let early = std::mem::take(&mut self.early);
        for (of, event) in early {
            if of != *key {
                self.early.push_back((of, event));
                continue;
            }
            self.early_bytes -= event.bytes();
            match event {
                Early::Item(item) => {
                    full += usize::from(inlet.put(&item) == Put::Full);
                }
                Early::Lost(items) => inlet.lose(items),
                Early::End(end) => {
                    inlet.end(end);
                    self.by_key.remove(key);
                }
            }
        }
        full
    }

    /// Who takes the event; those that end a subscription end it here.
    pub(crate) fn find(&mut self, method: &str, key: &str, event: &SubscriptionEvent<'_>) -> Destination {
        if let Some(inlet) = self.by_key.get(key) {
            let inlet = Arc::clone(inlet);
            if let SubscriptionEvent::Ended(_) = event {
                self.by_key.remove(key);
            }
            return Destination::Inlet(inlet);
        }
        if self.opening > 0 {
            self.keep_early(key, event);
        }
        // Items of the style of Electrum look like any notification; others say themselves that they are items.
        let is_item = !key.starts_with('[') || self.methods.contains(method);
        if is_item { Destination::Done } else { Destination::Nobody }
    }

    fn keep_early(&mut self, key: &str, event: &SubscriptionEvent<'_>) {
        let event = match event {
            SubscriptionEvent::Item(item) => Early::Item((*item).into()),
            SubscriptionEvent::Lost(items) => Early::Lost(*items),
            SubscriptionEvent::Ended(None) => Early::End(End::Finished),
            SubscriptionEvent::Ended(Some(error)) => Early::End(End::Failed(error.clone())),
        };
        self.early_bytes += event.bytes();
        self.early.push_back((SubscriptionKey::of_id(key), event));
        // Most of what is old belongs to nobody: subscriptions that were dropped while another one was asked for.
        while self.early.len() > EARLY || self.early_bytes > EARLY_BYTES {
            let Some((_, dropped)) = self.early.pop_front() else { break };
            self.early_bytes -= dropped.bytes();
            tracing::warn!(
                rpc.system.name = "jsonrpc",
                "an item that came before its subscription was dropped"
            );
        }
    }

    /// The subscription whose items go there.
    pub(crate) fn key_of(&self, inlet: &Arc<Inlet>) -> Option<SubscriptionKey> {
        self.by_key.iter().find(|(_, found)| Arc::ptr_eq(found, inlet)).map(|(key, _)| key.clone())
    }

    /// Takes the subscription out, if it is still there. Whether it was.
    pub(crate) fn close(&mut self, key: &SubscriptionKey, inlet: &Arc<Inlet>) -> bool {
        let is_this = self.by_key.get(key).is_some_and(|found| Arc::ptr_eq(found, inlet));
        if is_this {
            self.by_key.remove(key);
        }
        is_this
    }

    pub(crate) fn listen(&mut self, method: &str, inlet: &Arc<Inlet>) {
        self.listeners.entry(method.into()).or_default().push(Arc::clone(inlet));
    }

    pub(crate) fn stop_listening(&mut self, method: &str, inlet: &Arc<Inlet>) {
        if let Some(listeners) = self.listeners.get_mut(method) {
            listeners.retain(|found| !Arc::ptr_eq(found, inlet));
            if listeners.is_empty() {
                self.listeners.remove(method);
            }
        }
    }

    pub(crate) fn listeners(&self, method: &str) -> &[Arc<Inlet>] {
        self.listeners.get(method).map(Vec::as_slice).unwrap_or_default()
    }

    /// Ends all of them.
    pub(crate) fn end(&mut self, reason: &CloseReason) {
        let Self { by_key, listeners, .. } = std::mem::take(self);
        let all = by_key.into_values().chain(listeners.into_values().flatten());
        all.for_each(|inlet| inlet.end(End::Closed(reason.clone())));
    }
}
