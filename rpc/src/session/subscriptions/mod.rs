//! The subscriptions of this side at the peer, and the subscribers that each item goes to.
//!
//! A plain value: it knows neither the shared state nor the subscribers of the peer. Items wait in
//! the [`ItemChannel`] of each subscriber.

mod item_channel;
mod pending;

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::{Arc, LazyLock},
};

use crate::{
    jsonrpc::{
        SubscriptionStyle,
        subscription::{About, SubscriptionEvent, SubscriptionKey, is_about_items},
    },
    session::{
        Bounds, CloseReason,
        effects::{Effects, Empty},
    },
};
pub(crate) use item_channel::{ChannelEvent, End, FullChannels, ItemChannel, LastHit};
pub(crate) use pending::{NewSubscription, PendingSubscription, Unsubscribe};

/// The source of a subscriber's items, which is told when the subscriber is dropped.
#[derive(Debug)]
pub(crate) enum ItemSource {
    /// A subscription.
    Subscription { key: SubscriptionKey, pending: Arc<PendingSubscription> },
    /// The notifications of one method that belong to no subscription.
    Notifications(Box<str>),
}

/// All receivers of items in one session.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_key: HashMap<SubscriptionKey, SharedSubscription>,
    /// The receivers of all notifications of a method that belong to no subscription.
    listeners: HashMap<Box<str>, Vec<Arc<ItemChannel>>>,
    /// The number of subscriptions whose reply has not come yet.
    pending: usize,
    /// The number of them per key, for keys that are known before the reply.
    expected: HashMap<SubscriptionKey, usize>,
    /// Events that came meanwhile with an unknown key. They may belong to a pending subscription,
    /// since the peer may send items before the reply that names the subscription.
    early_items: VecDeque<(SubscriptionKey, EarlyEvent)>,
    early_bytes: usize,
    /// Methods of subscriptions in the style of Electrum: items that come after the end must not
    /// count as unknown notifications.
    methods: HashSet<Box<str>>,
    /// The methods of progress notifications that were asked for, and their style.
    reports: HashMap<Box<str>, SubscriptionStyle>,
}

/// One subscription at the peer, with its subscribers on this side. There can be several if the key
/// comes from the parameters: to the peer they are one subscription, which ends with the last
/// subscriber.
#[derive(Debug, Clone)]
pub(crate) struct SharedSubscription {
    first: Arc<PendingSubscription>,
    /// Nearly always empty, and then not allocated.
    others: Vec<Arc<PendingSubscription>>,
}

impl SharedSubscription {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<PendingSubscription>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The channel of the subscriber, if there is only one.
    pub(crate) fn only(&self) -> Option<&Arc<ItemChannel>> {
        self.others.is_empty().then_some(&self.first.channel)
    }

    /// The same without one subscriber; `None` if it was the last.
    fn without(self, pending: &PendingSubscription) -> Option<Self> {
        let mut left = std::iter::once(self.first).chain(self.others).filter(|one| !one.is(pending));
        Some(Self { first: left.next()?, others: left.collect() })
    }
}

#[derive(Debug)]
enum EarlyEvent {
    Item(Box<str>),
    Lost(u64),
    End(End),
}

impl EarlyEvent {
    /// Its size on the heap in bytes.
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

/// The destination of an event.
#[derive(Debug)]
pub(crate) enum Destination {
    Found(SharedSubscription),
    /// None: it was kept for later, or came late.
    Done,
    /// None: it belongs to no subscription of this side.
    Nobody,
}

impl Empty for Subscriptions {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Subscriptions> = LazyLock::new(Subscriptions::default);
        &EMPTY
    }
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.by_key.values().map(|shared| shared.iter().count()).sum()
    }

    /// Whether the key has a subscriber, or a pending one.
    pub(crate) fn want(&self, key: &SubscriptionKey) -> bool {
        self.by_key.contains_key(key) || self.expected.contains_key(key)
    }

    pub(crate) fn begin_pending(&mut self, pending: &Arc<PendingSubscription>) {
        if let Some(key) = pending.work() {
            self.reports.extend(pending.item.clone().map(|item| (item, pending.style)));
            self.add(key, pending);
            return;
        }
        self.pending += 1;
        if pending.style == SubscriptionStyle::Electrum {
            self.methods.insert(pending.method.clone());
        }
        if let Some(key) = &pending.key {
            *self.expected.entry(key.clone()).or_default() += 1;
        }
    }

    pub(crate) fn end_pending(&mut self, pending: &PendingSubscription) {
        if let Some(key) = pending.work() {
            self.close(key, pending);
            return;
        }
        if let Some(key) = &pending.key
            && let Some(expected) = self.expected.get_mut(key)
        {
            *expected -= 1;
            if *expected == 0 {
                self.expected.remove(key);
            }
        }
        self.pending = self.pending.saturating_sub(1);
        if self.pending == 0 {
            self.early_items = VecDeque::new();
            self.early_bytes = 0;
        }
    }

    /// The reply to a subscription has come: its items have this key. It gets its early events.
    /// False if those have overflowed its queue, so that it has ended on this side.
    pub(crate) fn open(
        &mut self,
        key: &SubscriptionKey,
        pending: &Arc<PendingSubscription>,
        effects: &mut Effects,
    ) -> bool {
        self.add(key, pending);
        let channel = &pending.channel;
        let mut goes_on = true;
        let early = std::mem::take(&mut self.early_items);
        for (of, event) in early {
            if of != *key {
                self.early_items.push_back((of, event));
                continue;
            }
            self.early_bytes -= event.bytes();
            match event {
                EarlyEvent::Item(item) => {
                    let put = channel.put(&item);
                    goes_on &= put.is_kept();
                    effects.wake(put.reader());
                }
                EarlyEvent::Lost(items) => effects.wake(channel.lose(items)),
                EarlyEvent::End(end) => {
                    effects.wake(channel.end(end));
                    self.by_key.remove(key);
                }
            }
        }
        goes_on
    }

    fn add(&mut self, key: &SubscriptionKey, pending: &Arc<PendingSubscription>) {
        match self.by_key.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(SharedSubscription { first: Arc::clone(pending), others: Vec::new() });
            }
            Entry::Occupied(mut shared) => shared.get_mut().others.push(Arc::clone(pending)),
        }
    }

    /// The style of progress notifications with this method, if they were asked for.
    pub(crate) fn report(&self, method: &str) -> Option<SubscriptionStyle> {
        self.reports.get(method).copied()
    }

    /// The subscriber to the progress of the call with this token.
    pub(crate) fn worker(&self, key: &SubscriptionKey) -> Option<Arc<PendingSubscription>> {
        self.by_key.get(key).map(|shared| Arc::clone(&shared.first))
    }

    /// The key of the subscription that a notification belongs to. An array of two values is
    /// ambiguous: its first value is an id only if a subscription with that id may exist.
    pub(crate) fn key<'a>(&self, method: &str, about: &'a About<'_>) -> &'a str {
        let is_item_of = |id: &str| match self.by_key.get(id) {
            Some(shared) => shared.first.has_items_called(method),
            // An item may come before the reply to its subscription.
            None => self.pending > 0,
        };
        match about.id.as_deref() {
            Some(id) if !self.methods.contains(method) && is_item_of(id) => id,
            _ => &about.key,
        }
    }

    /// The subscription with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&SharedSubscription> {
        self.by_key.get(key)
    }

    /// Finds the destination of an event. The event of an end removes its subscription. `bounds`
    /// limits the early events.
    pub(crate) fn find(
        &mut self,
        method: &str,
        key: &str,
        event: &SubscriptionEvent<'_>,
        bounds: Bounds,
        effects: &mut Effects,
    ) -> Destination {
        let shared = match event {
            // Progress ends with the reply to its call.
            SubscriptionEvent::Ended(_) if key.starts_with('{') => return Destination::Done,
            SubscriptionEvent::Ended(_) => self.by_key.remove(key),
            SubscriptionEvent::Item(_) | SubscriptionEvent::Lost(_) => self.by_key.get(key).cloned(),
        };
        if let Some(shared) = shared {
            return Destination::Found(shared);
        }
        // The token of a call is known before the call is sent, so progress cannot come early.
        if self.pending > 0 && !key.starts_with('{') {
            self.keep_early(key, event, bounds, effects);
        }
        // Items in the style of Electrum look like any notification; other items name a
        // subscription.
        let is_item = !key.starts_with('[') || self.methods.contains(method) || is_about_items(method);
        if is_item { Destination::Done } else { Destination::Nobody }
    }

    fn keep_early(
        &mut self,
        key: &str,
        event: &SubscriptionEvent<'_>,
        bounds: Bounds,
        effects: &mut Effects,
    ) {
        let event = match event {
            SubscriptionEvent::Item(item) => EarlyEvent::Item((*item).into()),
            SubscriptionEvent::Lost(items) => EarlyEvent::Lost(*items),
            SubscriptionEvent::Ended(None) => EarlyEvent::End(End::Finished),
            SubscriptionEvent::Ended(Some(error)) => EarlyEvent::End(End::Failed(error.clone())),
        };
        self.early_bytes += event.bytes();
        self.early_items.push_back((SubscriptionKey::of_id(key), event));
        // The oldest are the most likely to belong to a subscription that was dropped meanwhile.
        while self.early_items.len() > bounds.items || self.early_bytes > bounds.bytes {
            let Some((_, dropped)) = self.early_items.pop_front() else { break };
            self.early_bytes -= dropped.bytes();
            effects.later(|| {
                tracing::warn!(
                    rpc.system.name = "jsonrpc",
                    "an item that came before its subscription was dropped"
                );
            });
        }
    }

    /// The key of a subscriber's items.
    pub(crate) fn key_of(&self, pending: &PendingSubscription) -> Option<SubscriptionKey> {
        let takes = |shared: &SharedSubscription| shared.iter().any(|found| found.is(pending));
        self.by_key.iter().find(|(_, shared)| takes(shared)).map(|(key, _)| key.clone())
    }

    /// Removes a subscriber. True if the peer is to be told: it was the last one of a subscription
    /// that had not ended, and no other one with the same key is pending.
    pub(crate) fn close(&mut self, key: &SubscriptionKey, pending: &PendingSubscription) -> bool {
        let Some(shared) = self.by_key.remove(key) else { return false };
        if let Some(left) = shared.without(pending) {
            self.by_key.insert(key.clone(), left);
        }
        !self.want(key)
    }

    pub(crate) fn listen(&mut self, method: &str, channel: &Arc<ItemChannel>) {
        self.listeners.entry(method.into()).or_default().push(Arc::clone(channel));
    }

    pub(crate) fn stop_listening(&mut self, method: &str, channel: &Arc<ItemChannel>) {
        if let Some(listeners) = self.listeners.get_mut(method) {
            listeners.retain(|found| !Arc::ptr_eq(found, channel));
            if listeners.is_empty() {
                self.listeners.remove(method);
            }
        }
    }

    pub(crate) fn listeners(&self, method: &str) -> &[Arc<ItemChannel>] {
        self.listeners.get(method).map(Vec::as_slice).unwrap_or_default()
    }

    /// Ends all subscriptions. The returned value holds wakers: drop it outside the lock.
    #[must_use = "it is not to be dropped under the lock"]
    pub(crate) fn end(&mut self, reason: &CloseReason, effects: &mut Effects) -> Self {
        let ended = std::mem::take(self);
        let listeners = ended.listeners.values().flatten();
        let subscribers =
            ended.by_key.values().flat_map(SharedSubscription::iter).map(|pending| &pending.channel);
        let all = subscribers.chain(listeners);
        all.for_each(|channel| effects.wake(channel.end(End::Closed(reason.clone()))));
        ended
    }
}

#[cfg(test)]
mod tests;
