//! Subscriptions without a session.

use std::task::{Context, Poll, Waker};

use super::{
    SubscriptionEvent::{Ended, Item, Lost},
    *,
};
use crate::jsonrpc::{ErrorObject, Overflow, subscription::Token};

const ELECTRUM_KEY: &str = r#"["status",["a"]]"#;

fn bounds(overflow: Overflow) -> Bounds {
    Bounds { items: 2, bytes: 20, overflow }
}

fn asked(style: SubscriptionStyle, overflow: Overflow) -> Arc<PendingSubscription> {
    let token = style.is_progress().then(|| Token::of(5));
    let channel = Arc::new(ItemChannel::new(bounds(overflow), &FullChannels::default()));
    let new = NewSubscription {
        style,
        method: "status",
        params: Some(r#"["a"]"#),
        empty_params: None,
        positional: None,
        token: token.as_ref(),
        item: Some("item"),
        unsubscribe: Some("stop"),
    };
    Arc::new(PendingSubscription::new(new, channel))
}

fn pubsub() -> Arc<PendingSubscription> {
    asked(SubscriptionStyle::PubSub, Overflow::DropOldest)
}

fn electrum() -> Arc<PendingSubscription> {
    asked(SubscriptionStyle::Electrum, Overflow::DropOldest)
}

fn id(id: &str) -> SubscriptionKey {
    SubscriptionKey::of_id(id)
}

/// Asks for one, and has it answered at once.
fn open(
    subscriptions: &mut Subscriptions,
    key: &SubscriptionKey,
    pending: &Arc<PendingSubscription>,
) -> bool {
    let goes_on = subscriptions.open(key, pending, &mut Effects::default());
    subscriptions.end_pending(pending);
    goes_on
}

fn opened(subscriptions: &mut Subscriptions, key: &SubscriptionKey) -> Arc<PendingSubscription> {
    let pending = if key.as_json().starts_with('[') { electrum() } else { pubsub() };
    subscriptions.begin_pending(&pending);
    assert!(open(subscriptions, key, &pending));
    pending
}

fn find(subscriptions: &mut Subscriptions, key: &str, event: &SubscriptionEvent<'_>) -> Destination {
    subscriptions.find("item", key, event, bounds(Overflow::DropOldest), &mut Effects::default())
}

/// Events that come before their subscription.
fn early(subscriptions: &mut Subscriptions, key: &str, events: &[SubscriptionEvent<'_>]) {
    for event in events {
        assert!(matches!(find(subscriptions, key, event), Destination::Done), "{event:?}");
    }
}

/// Everything that a subscriber can take now.
fn taken(channel: &ItemChannel) -> Vec<String> {
    let mut json = Vec::new();
    let mut all = Vec::new();
    while let Poll::Ready((taken, _)) = channel.poll_take(&Context::from_waker(Waker::noop()), &mut json) {
        match taken {
            ChannelEvent::Nothing => break,
            ChannelEvent::Item => all.push(String::from_utf8_lossy(&json).into_owned()),
            other => all.push(format!("{other:?}")),
        }
    }
    all
}

#[test]
fn events_before_the_reply_reach_the_subscription_that_it_begins() {
    let mut subscriptions = Subscriptions::default();
    let pending = pubsub();
    subscriptions.begin_pending(&pending);
    assert!(!subscriptions.want(&id("7")), "its key is not known yet");
    early(&mut subscriptions, "7", &[Lost(3), Item("1")]);
    assert!(open(&mut subscriptions, &id("7"), &pending));
    assert_eq!(taken(&pending.channel), ["Lost(3)", "1"]);
    assert!(subscriptions.want(&id("7")));
}

#[test]
fn a_subscription_that_ended_before_its_reply_is_not_told_to_stop() {
    for (error, end) in [(None, "End(Finished)"), (Some(ErrorObject::new(7, "no")), "End(Failed(")] {
        let mut subscriptions = Subscriptions::default();
        let pending = pubsub();
        subscriptions.begin_pending(&pending);
        early(&mut subscriptions, "7", &[Item("1"), Ended(error)]);
        assert!(open(&mut subscriptions, &id("7"), &pending));
        let all = taken(&pending.channel);
        assert!(all.len() == 2 && all[0] == "1" && all[1].starts_with(end), "{all:?}");
        assert!(!subscriptions.want(&id("7")) && !subscriptions.close(&id("7"), &pending));
    }
}

#[test]
fn early_items_are_kept_for_their_own_key_until_no_reply_is_awaited() {
    let mut subscriptions = Subscriptions::default();
    let (one, other) = (pubsub(), pubsub());
    subscriptions.begin_pending(&one);
    subscriptions.begin_pending(&other);
    early(&mut subscriptions, "1", &[Item("a")]);
    early(&mut subscriptions, "2", &[Item("b")]);
    assert!(open(&mut subscriptions, &id("1"), &one));
    assert_eq!(taken(&one.channel), ["a"]);
    early(&mut subscriptions, "3", &[Item("c")]);
    assert!(open(&mut subscriptions, &id("2"), &other));
    assert_eq!(taken(&other.channel), ["b"]);

    let late = opened(&mut subscriptions, &id("3"));
    assert!(taken(&late.channel).is_empty(), "nothing was pending when it began");
    early(&mut subscriptions, "4", &[Item("d")]);
    let late = opened(&mut subscriptions, &id("4"));
    assert!(taken(&late.channel).is_empty(), "an item without any pending subscription is not kept");
}

#[test]
fn early_items_are_bounded_by_number_and_by_bytes() {
    for (items, left) in [
        (["1", "2", "3"], &["2", "3"][..]),
        (["0123456789", "abcdefghij", "x"], &["abcdefghij", "x"]),
        (["1", "0123456789", "abcdefghijk"], &["abcdefghijk"]),
    ] {
        let mut subscriptions = Subscriptions::default();
        let pending = pubsub();
        subscriptions.begin_pending(&pending);
        early(&mut subscriptions, "7", &items.map(Item));
        assert!(open(&mut subscriptions, &id("7"), &pending));
        assert_eq!(taken(&pending.channel), left);
        assert_eq!(subscriptions.early_bytes, 0);
    }
}

#[test]
fn a_subscription_that_keeps_fewer_items_than_came_early_does_not_go_on() {
    let mut subscriptions = Subscriptions::default();
    let pending = asked(SubscriptionStyle::PubSub, Overflow::End);
    subscriptions.begin_pending(&pending);
    let wide = Bounds { items: 9, ..bounds(Overflow::DropOldest) };
    for item in ["1", "2", "3"] {
        subscriptions.find("item", "7", &Item(item), wide, &mut Effects::default());
    }
    assert!(!open(&mut subscriptions, &id("7"), &pending));
    assert_eq!(taken(&pending.channel), ["1", "2", "End(TooSlow(2))"]);
    assert!(subscriptions.close(&id("7"), &pending), "the peer still sends: it is told");
}

#[test]
fn a_request_that_is_refused_leaves_nothing() {
    let mut subscriptions = Subscriptions::default();
    for pending in [pubsub(), electrum(), asked(SubscriptionStyle::Progress, Overflow::DropOldest)] {
        subscriptions.begin_pending(&pending);
        early(&mut subscriptions, "7", &[Item("1")]);
        subscriptions.end_pending(&pending);
        assert_eq!((subscriptions.len(), subscriptions.pending), (0, 0));
        assert!(subscriptions.expected.is_empty() && subscriptions.early_items.is_empty());
    }
}

#[test]
fn subscribers_of_one_key_share_it_and_the_peer_is_told_for_the_last_one() {
    let mut subscriptions = Subscriptions::default();
    let key = SubscriptionKey::of_params("status", r#"["a"]"#);
    let first = opened(&mut subscriptions, &key);
    let only = subscriptions.get(ELECTRUM_KEY).and_then(SharedSubscription::only).cloned();
    assert!(only.is_some_and(|channel| Arc::ptr_eq(&channel, &first.channel)));

    let (second, third) = (opened(&mut subscriptions, &key), opened(&mut subscriptions, &key));
    let shared = subscriptions.get(ELECTRUM_KEY).unwrap();
    assert!(shared.only().is_none());
    assert_eq!((shared.iter().count(), subscriptions.len()), (3, 3));
    assert_eq!(subscriptions.key_of(&second), Some(key.clone()));

    assert!(!subscriptions.close(&key, &second));
    assert_eq!(subscriptions.key_of(&second), None);
    assert!(!subscriptions.close(&key, &first));
    let left = subscriptions.get(ELECTRUM_KEY).and_then(SharedSubscription::only).cloned();
    assert!(left.is_some_and(|channel| Arc::ptr_eq(&channel, &third.channel)));
    assert!(subscriptions.close(&key, &third), "the last one");
    assert!(!subscriptions.close(&key, &third), "it is closed already");
    assert_eq!(subscriptions.len(), 0);
}

#[test]
fn the_peer_is_not_told_to_stop_while_the_same_subscription_is_asked_for_again() {
    let mut subscriptions = Subscriptions::default();
    let key = SubscriptionKey::of_params("status", r#"["a"]"#);
    let first = opened(&mut subscriptions, &key);
    let again = electrum();
    subscriptions.begin_pending(&again);
    assert!(!subscriptions.close(&key, &first));
    assert!(subscriptions.want(&key) && subscriptions.get(ELECTRUM_KEY).is_none());
    assert!(open(&mut subscriptions, &key, &again));
    assert!(subscriptions.close(&key, &again));
    assert!(!subscriptions.want(&key));
}

#[test]
fn the_end_of_a_subscription_is_its_last_event() {
    let mut subscriptions = Subscriptions::default();
    let pending = opened(&mut subscriptions, &id("7"));
    assert!(matches!(find(&mut subscriptions, "7", &Lost(1)), Destination::Found(_)));
    assert_eq!(subscriptions.len(), 1);
    let Destination::Found(ended) = find(&mut subscriptions, "7", &Ended(None)) else {
        panic!("it was open");
    };
    assert!(ended.iter().all(|found| found.is(&pending)));
    assert!(matches!(find(&mut subscriptions, "7", &Ended(None)), Destination::Done));
    assert!(!subscriptions.close(&id("7"), &pending), "the peer has ended it itself");
}

#[test]
fn a_notification_that_only_looks_like_an_electrum_item_belongs_to_no_subscription() {
    let mut subscriptions = Subscriptions::default();
    let find = |subscriptions: &mut Subscriptions, method: &str| {
        let bounds = bounds(Overflow::DropOldest);
        subscriptions.find(method, ELECTRUM_KEY, &Item("1"), bounds, &mut Effects::default())
    };
    assert!(matches!(find(&mut subscriptions, "status"), Destination::Nobody));
    let key = SubscriptionKey::of_params("status", r#"["a"]"#);
    let pending = opened(&mut subscriptions, &key);
    assert!(matches!(find(&mut subscriptions, "status"), Destination::Found(_)));
    assert!(subscriptions.close(&key, &pending));
    assert!(matches!(find(&mut subscriptions, "status"), Destination::Done), "one that is still on its way");
    assert!(matches!(find(&mut subscriptions, "other"), Destination::Nobody));
}

#[test]
fn an_array_of_two_is_read_as_an_id_only_where_that_is_a_subscription() {
    let mut subscriptions = Subscriptions::default();
    let about = About { key: ELECTRUM_KEY.into(), id: Some("7".into()), event: Item("1") };
    assert_eq!(subscriptions.key("item", &about), ELECTRUM_KEY);
    let pending = pubsub();
    subscriptions.begin_pending(&pending);
    assert_eq!(subscriptions.key("item", &about), "7", "it may come before the reply");
    assert!(open(&mut subscriptions, &id("7"), &pending));
    assert_eq!(subscriptions.key("item", &about), "7");
    assert_eq!(subscriptions.key("other", &about), ELECTRUM_KEY, "its items have another name");

    opened(&mut subscriptions, &SubscriptionKey::of_params("status", r#"["a"]"#));
    assert_eq!(subscriptions.key("status", &about), ELECTRUM_KEY);
    subscriptions.begin_pending(&pubsub());
    let about = About { key: ELECTRUM_KEY.into(), id: Some("9".into()), event: Item("1") };
    assert_eq!(subscriptions.key("item", &about), "9");
    assert_eq!(subscriptions.key("status", &about), ELECTRUM_KEY, "a method in the style of Electrum");
}

#[test]
fn work_is_known_by_its_token_from_the_request_to_the_reply() {
    let mut subscriptions = Subscriptions::default();
    let work = asked(SubscriptionStyle::Progress, Overflow::DropOldest);
    assert!(subscriptions.report("item").is_none());
    subscriptions.begin_pending(&work);
    assert_eq!(subscriptions.report("item"), Some(SubscriptionStyle::Progress));
    let key = work.work().unwrap().clone();
    assert!(subscriptions.worker(&key).is_some_and(|found| found.is(&work)));

    assert!(matches!(find(&mut subscriptions, key.as_json(), &Ended(None)), Destination::Done));
    assert!(subscriptions.worker(&key).is_some(), "the reply ends it, and no notification");
    subscriptions.end_pending(&work);
    assert!(subscriptions.worker(&key).is_none());
}

#[test]
fn listeners_share_a_name_and_leave_one_by_one() {
    let mut subscriptions = Subscriptions::default();
    let [one, other, elsewhere] = [pubsub(), pubsub(), pubsub()].map(|pending| Arc::clone(&pending.channel));
    subscriptions.listen("news", &one);
    subscriptions.listen("news", &other);
    subscriptions.listen("alerts", &elsewhere);
    assert_eq!((subscriptions.listeners("news").len(), subscriptions.listeners("none").len()), (2, 0));
    subscriptions.stop_listening("alerts", &one);
    subscriptions.stop_listening("news", &one);
    assert!(matches!(subscriptions.listeners("news"), [left] if Arc::ptr_eq(left, &other)));
    subscriptions.stop_listening("news", &other);
    assert_eq!((subscriptions.listeners("news").len(), subscriptions.listeners.len()), (0, 1));
    assert_eq!(subscriptions.len(), 0, "a listener is no subscription");
}

#[test]
fn the_end_of_the_session_ends_subscribers_and_listeners_behind_their_items() {
    let mut subscriptions = Subscriptions::default();
    let (pending, listener) = (opened(&mut subscriptions, &id("7")), pubsub());
    subscriptions.listen("news", &listener.channel);
    assert!(pending.channel.give("1"));
    drop(subscriptions.end(&CloseReason::Peer, &mut Effects::default()));
    assert_eq!(taken(&pending.channel), ["1", "End(Closed(Peer))"]);
    assert_eq!(taken(&listener.channel), ["End(Closed(Peer))"]);
    assert_eq!((subscriptions.len(), subscriptions.listeners("news").len()), (0, 0));
}
