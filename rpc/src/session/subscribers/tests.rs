//! Subscribers without a session.

use super::*;
use crate::{
    jsonrpc::{Overflow, SubscriptionInfo, SubscriptionStyle, subscription::ItemWriter, version::Version},
    session::Bounds,
};

fn new(key: &str, overflow: Overflow) -> NewRemoteSubscriber {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item");
    let writer = ItemWriter::new(info, SubscriptionKey::of_id(key), "[]", Version::V2);
    NewRemoteSubscriber {
        writer,
        bounds: Bounds { items: 2, bytes: 1000, overflow },
        sends_notices: true,
        task: None,
        work: 0,
    }
}

/// One that has room for more than two items.
fn roomy(key: &str, overflow: Overflow) -> NewRemoteSubscriber {
    let new = new(key, overflow);
    NewRemoteSubscriber { bounds: Bounds { items: 10, ..new.bounds }, ..new }
}

/// One whose peer is not known to take notices.
fn unnoticed(key: &str, overflow: Overflow) -> NewRemoteSubscriber {
    NewRemoteSubscriber { sends_notices: false, ..new(key, overflow) }
}

/// The next notification, and the producer that waits for the capacity that it frees.
fn next(subscribers: &mut Subscribers) -> Option<(String, Option<Waker>)> {
    let mut body = String::new();
    let sent = subscribers.next(|sent| body.push_str(std::str::from_utf8(sent).unwrap()))?;
    Some((body, sent.producer))
}

/// Whether the stream of a subscription may bring an item of so many bytes; it waits if not.
fn has_capacity(subscribers: &mut Subscribers, id: u64, size: usize) -> bool {
    subscribers.poll_capacity(id, size, &mut Some(Waker::noop().clone())).is_ready()
}

fn drained(subscribers: &mut Subscribers) -> Vec<String> {
    std::iter::from_fn(|| next(subscribers)).map(|(body, _)| body).collect()
}

fn push(subscribers: &mut Subscribers, id: u64, items: &[&str]) {
    for item in items {
        assert_ne!(subscribers.push(id, item.as_bytes()), Ok(Pushed::Waits), "{item}");
    }
}

#[test]
fn items_leave_in_order_and_one_of_each_in_turn() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    subscribers.add(2, new("2", Overflow::Wait));
    push(&mut subscribers, 1, &["a1", "a2"]);
    push(&mut subscribers, 2, &["b1", "b2"]);
    assert_eq!(drained(&mut subscribers), ["a1", "b1", "a2", "b2"]);
    assert!(!subscribers.are_ready());
}

#[test]
fn an_item_passes_by_its_queue_where_nothing_waits_and_no_more_than_have_room_there() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    subscribers.add(2, new("2", Overflow::Wait));
    // Two items have room, and a thousand bytes.
    assert!(subscribers.pass(1, 0) && subscribers.pass(1, 100) && !subscribers.pass(1, 200));
    assert!(subscribers.pass(1, 0) && !subscribers.pass(1, 1000), "everything was sent meanwhile");
    assert!(!subscribers.pass(3, 0), "there is no such subscription");

    push(&mut subscribers, 2, &["b"]);
    assert!(!subscribers.pass(1, 0) && !subscribers.pass(2, 0), "one that waits is not overtaken");
    assert_eq!(drained(&mut subscribers), ["b"]);
    assert!(subscribers.pass(1, 0));

    subscribers.lose(1, 1).unwrap();
    assert!(!subscribers.pass(1, 0), "nor is a loss");
    assert_eq!(drained(&mut subscribers).len(), 1);
    subscribers.end(1, None);
    assert!(!subscribers.pass(1, 0));
}

#[test]
fn the_oldest_items_are_dropped_and_counted() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::DropOldest));
    push(&mut subscribers, 1, &["a", "b", "c", "d", "e"]);
    let lost = r#""method":"rpc.lost","params":{"subscription":1,"items":3}"#;
    assert_eq!(drained(&mut subscribers), [lost, "d", "e"]);
    push(&mut subscribers, 1, &["f"]);
    assert_eq!(drained(&mut subscribers), ["f"]);
}

#[test]
fn what_the_stream_has_left_out_is_told_where_it_is_missing() {
    let lost = |items| format!(r#""method":"rpc.lost","params":{{"subscription":1,"items":{items}}}"#);
    let mut subscribers = Subscribers::default();
    subscribers.add(1, roomy("1", Overflow::Wait));
    subscribers.lose(1, 1).unwrap();
    push(&mut subscribers, 1, &["a"]);
    subscribers.lose(1, 2).unwrap();
    subscribers.lose(1, 3).unwrap();
    push(&mut subscribers, 1, &["b"]);
    assert_eq!(drained(&mut subscribers), [lost(1), "a".to_owned(), lost(5), "b".to_owned()]);

    subscribers.add(2, new("1", Overflow::DropOldest));
    push(&mut subscribers, 2, &["a"]);
    subscribers.lose(2, 2).unwrap();
    push(&mut subscribers, 2, &["b", "c"]);
    assert_eq!(
        drained(&mut subscribers),
        [lost(3), "b".to_owned(), "c".to_owned()],
        "one dropped here, two there"
    );

    subscribers.add(3, new("1", Overflow::End));
    assert_eq!(subscribers.lose(3, 2), Err(Gone));
    let all = drained(&mut subscribers);
    assert!(all[0] == lost(2) && all[1].contains("rpc.ended"), "{all:?}");
}

#[test]
fn a_subscription_that_is_to_end_ends_behind_what_waits() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::End));
    push(&mut subscribers, 1, &["a", "b"]);
    assert_eq!(subscribers.push(1, b"c"), Err(Gone));
    assert_eq!(subscribers.push(1, b"d"), Err(Gone));
    let all = drained(&mut subscribers);
    assert_eq!(all[..2], ["a", "b"]);
    assert!(all[2].contains("rpc.ended") && all[2].contains("too slow"), "{all:?}");
    assert_eq!(all.len(), 3);
    assert_eq!(subscribers.len(), 0);
    assert_eq!(subscribers.push(1, b"e"), Err(Gone));
}

#[test]
fn a_peer_that_is_not_known_to_take_notices_gets_none() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, unnoticed("1", Overflow::DropOldest));
    push(&mut subscribers, 1, &["a", "b", "c"]);
    subscribers.lose(1, 7).unwrap();
    assert_eq!(drained(&mut subscribers), ["b", "c"]);
    subscribers.lose(1, 7).unwrap();
    assert!(!subscribers.are_ready());
    push(&mut subscribers, 1, &["d"]);
    assert!(!subscribers.end(1, None));
    assert!(subscribers.take_ended(1).is_none(), "an item waits");
    assert_eq!(drained(&mut subscribers), ["d"]);
    assert_eq!((subscribers.len(), subscribers.push(1, b"e")), (0, Err(Gone)));

    subscribers.add(2, unnoticed("1", Overflow::Wait));
    assert!(subscribers.take_ended(2).is_none(), "it goes on");
    assert!(!subscribers.end(2, Some(&ErrorObject::internal())));
    assert!(subscribers.take_ended(2).is_some() && !subscribers.are_ready() && subscribers.by_key.is_empty());

    subscribers.add(3, unnoticed("1", Overflow::End));
    push(&mut subscribers, 3, &["a", "b"]);
    assert_eq!(subscribers.push(3, b"c"), Err(Gone));
    assert_eq!(drained(&mut subscribers), ["a", "b"]);
    subscribers.add(4, unnoticed("1", Overflow::End));
    assert_eq!(subscribers.lose(4, 1), Err(Gone));
    assert!(subscribers.take_ended(4).is_some());
    assert_eq!((drained(&mut subscribers), subscribers.len()), (vec![], 0));
    subscribers.add(5, new("1", Overflow::Wait));
    assert!(subscribers.end(5, None) && subscribers.take_ended(5).is_none(), "the end waits");
}

#[test]
fn a_stream_that_waits_is_woken_when_there_is_room() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    assert!(has_capacity(&mut subscribers, 1, 1));
    assert_eq!(subscribers.push(1, b"a"), Ok(Pushed::More));
    assert_eq!(subscribers.push(1, b"b"), Ok(Pushed::Full));
    assert!(!has_capacity(&mut subscribers, 1, 1));
    let (_, waker) = next(&mut subscribers).unwrap();
    assert!(waker.is_some());
    assert!(has_capacity(&mut subscribers, 1, 1));
}

#[test]
fn an_item_that_does_not_fit_beside_others_waits_with_its_stream() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    let large = [b'x'; 1000];
    assert_eq!(subscribers.push(1, b"a"), Ok(Pushed::More), "there is room for a small one");
    assert_eq!(subscribers.push(1, &large), Ok(Pushed::Waits), "1,001 bytes, and there may be 1,000");
    assert!(has_capacity(&mut subscribers, 1, 1) && !has_capacity(&mut subscribers, 1, large.len()));
    let (body, waker) = next(&mut subscribers).unwrap();
    assert!(body == "a" && waker.is_some());
    assert_eq!(subscribers.push(1, &large), Ok(Pushed::Full));
    assert_eq!(drained(&mut subscribers).len(), 1);
}

/// Two subscriptions that have room for four bytes together, two of which the second one's item
/// takes.
fn crowded(overflow: Overflow) -> Subscribers {
    let mut subscribers = Subscribers::default();
    subscribers.set_limit(4);
    subscribers.add(1, roomy("1", overflow));
    subscribers.add(2, new("2", Overflow::Wait));
    push(&mut subscribers, 2, &["zz"]);
    push(&mut subscribers, 1, &["a", "b"]);
    subscribers
}

#[test]
fn items_of_all_subscriptions_share_the_room_and_each_has_one() {
    let lost = r#""method":"rpc.lost","params":{"subscription":1,"items":1}"#;
    let mut subscribers = crowded(Overflow::DropOldest);
    push(&mut subscribers, 1, &["c"]);
    assert_eq!(drained(&mut subscribers), ["zz", lost, "b", "c"]);
    push(&mut subscribers, 1, &["d", "e", "f", "g"]);
    assert_eq!(drained(&mut subscribers), ["d", "e", "f", "g"], "there is as much room as before");
    push(&mut subscribers, 1, &["12345"]);
    push(&mut subscribers, 2, &["67890"]);
    assert_eq!(drained(&mut subscribers), ["12345", "67890"], "one is always kept");

    let mut subscribers = crowded(Overflow::End);
    assert_eq!(subscribers.push(1, b"c"), Err(Gone));
}

#[test]
fn a_stream_that_waits_for_others_is_woken_when_it_has_nothing_itself_any_more() {
    let mut subscribers = Subscribers::default();
    subscribers.set_limit(4);
    subscribers.add(1, roomy("1", Overflow::Wait));
    subscribers.add(2, new("2", Overflow::Wait));
    push(&mut subscribers, 1, &["a", "b"]);
    // A first one is kept whatever its size.
    push(&mut subscribers, 2, &["zzzzz"]);
    assert!(!has_capacity(&mut subscribers, 1, 1));
    let woken: Vec<_> = (0..3).map(|_| next(&mut subscribers).map(|(_, waker)| waker.is_some())).collect();
    assert_eq!(woken, [Some(false), Some(false), Some(true)]);
}

#[test]
fn those_that_are_removed_make_room() {
    for end in [
        |subscribers: &mut Subscribers| subscribers.forget(2),
        |subscribers: &mut Subscribers| subscribers.remove(&SubscriptionKey::of_id("2")),
    ] {
        let mut subscribers = crowded(Overflow::Wait);
        assert!(!has_capacity(&mut subscribers, 1, 1));
        assert!(end(&mut subscribers).is_some());
        assert!(has_capacity(&mut subscribers, 1, 1));
    }
}

#[test]
fn what_is_removed_is_not_sent_any_more() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    subscribers.add(2, new("2", Overflow::Wait));
    push(&mut subscribers, 1, &["a"]);
    push(&mut subscribers, 2, &["b"]);
    assert!(subscribers.remove(&SubscriptionKey::of_id("1")).is_some());
    assert!(subscribers.remove(&SubscriptionKey::of_id("1")).is_none());
    assert_eq!(drained(&mut subscribers), ["b"]);
    subscribers.clear();
    assert_eq!(subscribers.len(), 0);
}

#[test]
fn the_second_of_one_name_takes_the_place_of_the_first() {
    let mut subscribers = Subscribers::default();
    subscribers.add(1, new("1", Overflow::Wait));
    push(&mut subscribers, 1, &["a"]);
    subscribers.add(2, new("1", Overflow::Wait));
    push(&mut subscribers, 2, &["b"]);
    assert_eq!(drained(&mut subscribers), ["b"]);
    assert_eq!(subscribers.len(), 1);
}
