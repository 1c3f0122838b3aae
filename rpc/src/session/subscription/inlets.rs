//! The subscriptions that we have at the peer: which items go where.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::{Arc, LazyLock},
};

use super::{End, Inlet, Opening};
use crate::{
    jsonrpc::{
        SubscriptionStyle,
        subscription::{About, SubscriptionEvent, SubscriptionKey, is_about_items},
    },
    session::{Bounds, CloseReason, on_demand::Empty, shared::Effects},
};

/// Everything of one link that waits for items.
#[derive(Debug, Default)]
pub(crate) struct Inlets {
    by_key: HashMap<SubscriptionKey, Takers>,
    /// Those who take notifications of a name, whoever sends them for what reason.
    listeners: HashMap<Box<str>, Vec<Arc<Inlet>>>,
    /// Subscriptions that were asked for, and not answered yet.
    opening: usize,
    /// How many of them will have this key, where that is known before the reply.
    expected: HashMap<SubscriptionKey, usize>,
    /// What came meanwhile, and may belong to one of them.
    early: VecDeque<(SubscriptionKey, Early)>,
    early_bytes: usize,
    /// Methods that we have subscribed to in the style of Electrum: what still comes under their names is no surprise.
    methods: HashSet<Box<str>>,
    /// What reports of work that we have asked for are called, and how they look.
    reports: HashMap<Box<str>, SubscriptionStyle>,
}

/// The subscribers of one subscription. Where it is known by its parameters, to subscribe once more is
/// the same subscription to the peer: there is one, and it ends with its last subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Takers {
    first: Arc<Opening>,
    /// Nearly always empty, and then it allocates nothing.
    others: Vec<Arc<Opening>>,
}

impl Takers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Opening>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The only one, where it is one.
    pub(crate) fn only(&self) -> Option<&Arc<Inlet>> {
        self.others.is_empty().then_some(&self.first.inlet)
    }

    /// Takes one out. Gives those that are left, if any.
    fn without(self, opening: &Opening) -> Option<Self> {
        let mut left = std::iter::once(self.first).chain(self.others).filter(|one| !one.is(opening));
        Some(Self { first: left.next()?, others: left.collect() })
    }
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

/// What was found for an event of a subscription.
#[derive(Debug)]
pub(crate) enum Destination {
    Inlets(Takers),
    /// It was dealt with.
    Done,
    /// It is about no subscription of ours.
    Nobody,
}

impl Empty for Inlets {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Inlets> = LazyLock::new(Inlets::default);
        &EMPTY
    }
}

impl Inlets {
    pub(crate) fn len(&self) -> usize {
        self.by_key.values().map(|takers| takers.iter().count()).sum()
    }

    /// Whether somebody takes what comes under the key, or is about to.
    pub(crate) fn want(&self, key: &SubscriptionKey) -> bool {
        self.by_key.contains_key(key) || self.expected.contains_key(key)
    }

    pub(crate) fn begin_opening(&mut self, opening: &Arc<Opening>) {
        if let Some(key) = opening.work() {
            self.reports.extend(opening.item.clone().map(|item| (item, opening.style)));
            self.add(key, opening);
            return;
        }
        self.opening += 1;
        if opening.style == SubscriptionStyle::Electrum {
            self.methods.insert(opening.method.clone());
        }
        if let Some(key) = &opening.key {
            *self.expected.entry(key.clone()).or_default() += 1;
        }
    }

    pub(crate) fn end_opening(&mut self, opening: &Opening) {
        if let Some(key) = opening.work() {
            self.close(key, opening);
            return;
        }
        if let Some(key) = &opening.key
            && let Some(expected) = self.expected.get_mut(key)
        {
            *expected -= 1;
            if *expected == 0 {
                self.expected.remove(key);
            }
        }
        self.opening = self.opening.saturating_sub(1);
        if self.opening == 0 {
            self.early = VecDeque::new();
            self.early_bytes = 0;
        }
    }

    /// A subscription has begun, whose items are known by `key` from here on. False where what came
    /// before was more than it keeps, so that it has ended here.
    pub(crate) fn open(
        &mut self,
        key: &SubscriptionKey,
        opening: &Arc<Opening>,
        effects: &mut Effects,
    ) -> bool {
        self.add(key, opening);
        let inlet = &opening.inlet;
        let mut goes_on = true;
        let early = std::mem::take(&mut self.early);
        for (of, event) in early {
            if of != *key {
                self.early.push_back((of, event));
                continue;
            }
            self.early_bytes -= event.bytes();
            match event {
                Early::Item(item) => {
                    let put = inlet.put(&item);
                    goes_on &= put.is_kept();
                    effects.wake(put.reader());
                }
                Early::Lost(items) => effects.wake(inlet.lose(items)),
                Early::End(end) => {
                    effects.wake(inlet.end(end));
                    self.by_key.remove(key);
                }
            }
        }
        goes_on
    }

    fn add(&mut self, key: &SubscriptionKey, opening: &Arc<Opening>) {
        match self.by_key.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Takers { first: Arc::clone(opening), others: Vec::new() });
            }
            Entry::Occupied(mut takers) => takers.get_mut().others.push(Arc::clone(opening)),
        }
    }

    /// How a notification of this name reports of work, if it does.
    pub(crate) fn report(&self, method: &str) -> Option<SubscriptionStyle> {
        self.reports.get(method).copied()
    }

    /// The subscriber of the reports of some work.
    pub(crate) fn worker(&self, key: &SubscriptionKey) -> Option<Arc<Opening>> {
        self.by_key.get(key).map(|takers| Arc::clone(&takers.first))
    }

    /// The key of the subscription that a notification is about. Where that may stand there in two ways,
    /// it is an id only where the other is no subscription of this side's.
    pub(crate) fn key<'a>(&self, method: &str, about: &'a About<'_>) -> &'a str {
        let is_item_of = |id: &str| match self.by_key.get(id) {
            Some(takers) => takers.first.has_items_called(method),
            // It may be one that comes before the reply that begins its subscription.
            None => self.opening > 0,
        };
        match about.id.as_deref() {
            Some(id) if !self.methods.contains(method) && is_item_of(id) => id,
            _ => &about.key,
        }
    }

    /// Who takes the items of a subscription.
    pub(crate) fn takers(&self, key: &str) -> Option<&Takers> {
        self.by_key.get(key)
    }

    /// Who takes the event; those that end a subscription end it here. `bounds` are those of what comes before its subscription.
    pub(crate) fn find(
        &mut self,
        method: &str,
        key: &str,
        event: &SubscriptionEvent<'_>,
        bounds: Bounds,
        effects: &mut Effects,
    ) -> Destination {
        let takers = match event {
            // The end of work is the reply to its call.
            SubscriptionEvent::Ended(_) if key.starts_with('{') => return Destination::Done,
            SubscriptionEvent::Ended(_) => self.by_key.remove(key),
            SubscriptionEvent::Item(_) | SubscriptionEvent::Lost(_) => self.by_key.get(key).cloned(),
        };
        if let Some(takers) = takers {
            return Destination::Inlets(takers);
        }
        // Work has a token of this side's before its peer hears of it: nothing of it can come early.
        if self.opening > 0 && !key.starts_with('{') {
            self.keep_early(key, event, bounds, effects);
        }
        // Items of the style of Electrum look like any notification; others say themselves that they are items.
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
            SubscriptionEvent::Item(item) => Early::Item((*item).into()),
            SubscriptionEvent::Lost(items) => Early::Lost(*items),
            SubscriptionEvent::Ended(None) => Early::End(End::Finished),
            SubscriptionEvent::Ended(Some(error)) => Early::End(End::Failed(error.clone())),
        };
        self.early_bytes += event.bytes();
        self.early.push_back((SubscriptionKey::of_id(key), event));
        // Most of what is old belongs to nobody: subscriptions that were dropped while another one was asked for.
        while self.early.len() > bounds.items || self.early_bytes > bounds.bytes {
            let Some((_, dropped)) = self.early.pop_front() else { break };
            self.early_bytes -= dropped.bytes();
            effects.later(|| {
                tracing::warn!(
                    rpc.system.name = "jsonrpc",
                    "an item that came before its subscription was dropped"
                );
            });
        }
    }

    /// The subscription whose items go there.
    pub(crate) fn key_of(&self, opening: &Opening) -> Option<SubscriptionKey> {
        let takes = |takers: &Takers| takers.iter().any(|found| found.is(opening));
        self.by_key.iter().find(|(_, takers)| takes(takers)).map(|(key, _)| key.clone())
    }

    /// A subscriber takes no items any more. True where it was the last one of a subscription that had
    /// not ended: then the peer is to be told.
    pub(crate) fn close(&mut self, key: &SubscriptionKey, opening: &Opening) -> bool {
        let Some(takers) = self.by_key.remove(key) else { return false };
        if let Some(left) = takers.without(opening) {
            self.by_key.insert(key.clone(), left);
        }
        !self.want(key)
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

    /// Ends all of them. What is given back is not to be dropped under the lock: it holds wakers.
    #[must_use = "it is not to be dropped under the lock"]
    pub(crate) fn end(&mut self, reason: &CloseReason, effects: &mut Effects) -> Self {
        let ended = std::mem::take(self);
        let listeners = ended.listeners.values().flatten();
        let subscribers = ended.by_key.values().flat_map(Takers::iter).map(|opening| &opening.inlet);
        let all = subscribers.chain(listeners);
        all.for_each(|inlet| effects.wake(inlet.end(End::Closed(reason.clone()))));
        ended
    }
}
