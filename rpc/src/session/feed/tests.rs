//! Queues of items, without a session.

use super::*;
use crate::{
    jsonrpc::{Overflow, SubscriptionInfo, SubscriptionStyle, subscription::ItemWriter, version::Version},
    session::Bounds,
};

fn new(key: &str, overflow: Overflow) -> NewFeed {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item");
    let writer = ItemWriter::new(info, SubscriptionKey::of_id(key), "[]", Version::V2);
    NewFeed {
        writer,
        bounds: Bounds { items: 2, bytes: 1000, overflow },
        sends_notices: true,
        task: None,
        work: 0,
    }
}

/// One that has room for more than two items.
fn roomy(key: &str, overflow: Overflow) -> NewFeed {
    let new = new(key, overflow);
    NewFeed { bounds: Bounds { items: 10, ..new.bounds }, ..new }
}

/// One whose peer is not known to take notices.
fn unnoticed(key: &str, overflow: Overflow) -> NewFeed {
    NewFeed { sends_notices: false, ..new(key, overflow) }
}

/// What is sent next, and the stream that waits for the room that it leaves.
fn next(feeds: &mut Feeds) -> Option<(String, Option<Waker>)> {
    let mut body = String::new();
    let sent = feeds.next(|sent| body.push_str(std::str::from_utf8(sent).unwrap()))?;
    Some((body, sent.producer))
}

/// Whether the stream of a subscription may bring an item of so many bytes; it waits if not.
fn has_room(feeds: &mut Feeds, id: u64, size: usize) -> bool {
    feeds.poll_room(id, size, &mut Some(Waker::noop().clone())).is_ready()
}

fn drained(feeds: &mut Feeds) -> Vec<String> {
    std::iter::from_fn(|| next(feeds)).map(|(body, _)| body).collect()
}

fn push(feeds: &mut Feeds, id: u64, items: &[&str]) {
    for item in items {
        assert_ne!(feeds.push(id, item.as_bytes()), Ok(Pushed::Waits), "{item}");
    }
}

#[test]
fn items_leave_in_order_and_one_of_each_in_turn() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    feeds.add(2, new("2", Overflow::Wait));
    push(&mut feeds, 1, &["a1", "a2"]);
    push(&mut feeds, 2, &["b1", "b2"]);
    assert_eq!(drained(&mut feeds), ["a1", "b1", "a2", "b2"]);
    assert!(!feeds.are_ready());
}

#[test]
fn an_item_passes_by_its_queue_where_nothing_waits_and_no_more_than_have_room_there() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    feeds.add(2, new("2", Overflow::Wait));
    // Two items have room, and a thousand bytes.
    assert!(feeds.pass(1, 0) && feeds.pass(1, 100) && !feeds.pass(1, 200));
    assert!(feeds.pass(1, 0) && !feeds.pass(1, 1000), "everything was sent meanwhile");
    assert!(!feeds.pass(3, 0), "there is no such subscription");

    push(&mut feeds, 2, &["b"]);
    assert!(!feeds.pass(1, 0) && !feeds.pass(2, 0), "one that waits is not overtaken");
    assert_eq!(drained(&mut feeds), ["b"]);
    assert!(feeds.pass(1, 0));

    feeds.lose(1, 1).unwrap();
    assert!(!feeds.pass(1, 0), "nor is a loss");
    assert_eq!(drained(&mut feeds).len(), 1);
    feeds.end(1, None);
    assert!(!feeds.pass(1, 0));
}

#[test]
fn the_oldest_items_are_dropped_and_counted() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::DropOldest));
    push(&mut feeds, 1, &["a", "b", "c", "d", "e"]);
    let lost = r#""method":"rpc.lost","params":{"subscription":1,"items":3}"#;
    assert_eq!(drained(&mut feeds), [lost, "d", "e"]);
    push(&mut feeds, 1, &["f"]);
    assert_eq!(drained(&mut feeds), ["f"]);
}

#[test]
fn what_the_stream_has_left_out_is_told_where_it_is_missing() {
    let lost = |items| format!(r#""method":"rpc.lost","params":{{"subscription":1,"items":{items}}}"#);
    let mut feeds = Feeds::default();
    feeds.add(1, roomy("1", Overflow::Wait));
    feeds.lose(1, 1).unwrap();
    push(&mut feeds, 1, &["a"]);
    feeds.lose(1, 2).unwrap();
    feeds.lose(1, 3).unwrap();
    push(&mut feeds, 1, &["b"]);
    assert_eq!(drained(&mut feeds), [lost(1), "a".to_owned(), lost(5), "b".to_owned()]);

    feeds.add(2, new("1", Overflow::DropOldest));
    push(&mut feeds, 2, &["a"]);
    feeds.lose(2, 2).unwrap();
    push(&mut feeds, 2, &["b", "c"]);
    assert_eq!(drained(&mut feeds), [lost(3), "b".to_owned(), "c".to_owned()], "one dropped here, two there");

    feeds.add(3, new("1", Overflow::End));
    assert_eq!(feeds.lose(3, 2), Err(Gone));
    let all = drained(&mut feeds);
    assert!(all[0] == lost(2) && all[1].contains("rpc.ended"), "{all:?}");
}

#[test]
fn a_subscription_that_is_to_end_ends_behind_what_waits() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::End));
    push(&mut feeds, 1, &["a", "b"]);
    assert_eq!(feeds.push(1, b"c"), Err(Gone));
    assert_eq!(feeds.push(1, b"d"), Err(Gone));
    let all = drained(&mut feeds);
    assert_eq!(all[..2], ["a", "b"]);
    assert!(all[2].contains("rpc.ended") && all[2].contains("too slow"), "{all:?}");
    assert_eq!(all.len(), 3);
    assert_eq!(feeds.len(), 0);
    assert_eq!(feeds.push(1, b"e"), Err(Gone));
}

#[test]
fn a_peer_that_is_not_known_to_take_notices_gets_none() {
    let mut feeds = Feeds::default();
    feeds.add(1, unnoticed("1", Overflow::DropOldest));
    push(&mut feeds, 1, &["a", "b", "c"]);
    feeds.lose(1, 7).unwrap();
    assert_eq!(drained(&mut feeds), ["b", "c"]);
    feeds.lose(1, 7).unwrap();
    assert!(!feeds.are_ready());
    push(&mut feeds, 1, &["d"]);
    assert!(!feeds.end(1, None));
    assert!(feeds.take_ended(1).is_none(), "an item waits");
    assert_eq!(drained(&mut feeds), ["d"]);
    assert_eq!((feeds.len(), feeds.push(1, b"e")), (0, Err(Gone)));

    feeds.add(2, unnoticed("1", Overflow::Wait));
    assert!(feeds.take_ended(2).is_none(), "it goes on");
    assert!(!feeds.end(2, Some(&ErrorObject::internal())));
    assert!(feeds.take_ended(2).is_some() && !feeds.are_ready() && feeds.by_key.is_empty());

    feeds.add(3, unnoticed("1", Overflow::End));
    push(&mut feeds, 3, &["a", "b"]);
    assert_eq!(feeds.push(3, b"c"), Err(Gone));
    assert_eq!(drained(&mut feeds), ["a", "b"]);
    feeds.add(4, unnoticed("1", Overflow::End));
    assert_eq!(feeds.lose(4, 1), Err(Gone));
    assert!(feeds.take_ended(4).is_some());
    assert_eq!((drained(&mut feeds), feeds.len()), (vec![], 0));
    feeds.add(5, new("1", Overflow::Wait));
    assert!(feeds.end(5, None) && feeds.take_ended(5).is_none(), "the end waits");
}

#[test]
fn a_stream_that_waits_is_woken_when_there_is_room() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    assert!(has_room(&mut feeds, 1, 1));
    assert_eq!(feeds.push(1, b"a"), Ok(Pushed::More));
    assert_eq!(feeds.push(1, b"b"), Ok(Pushed::Full));
    assert!(!has_room(&mut feeds, 1, 1));
    let (_, waker) = next(&mut feeds).unwrap();
    assert!(waker.is_some());
    assert!(has_room(&mut feeds, 1, 1));
}

#[test]
fn an_item_that_does_not_fit_beside_others_waits_with_its_stream() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    let large = [b'x'; 1000];
    assert_eq!(feeds.push(1, b"a"), Ok(Pushed::More), "there is room for a small one");
    assert_eq!(feeds.push(1, &large), Ok(Pushed::Waits), "1,001 bytes, and there may be 1,000");
    assert!(has_room(&mut feeds, 1, 1) && !has_room(&mut feeds, 1, large.len()));
    let (body, waker) = next(&mut feeds).unwrap();
    assert!(body == "a" && waker.is_some());
    assert_eq!(feeds.push(1, &large), Ok(Pushed::Full));
    assert_eq!(drained(&mut feeds).len(), 1);
}

/// Two subscriptions that have room for four bytes together, two of which the second one's item takes.
fn crowded(overflow: Overflow) -> Feeds {
    let mut feeds = Feeds::default();
    feeds.set_limit(4);
    feeds.add(1, roomy("1", overflow));
    feeds.add(2, new("2", Overflow::Wait));
    push(&mut feeds, 2, &["zz"]);
    push(&mut feeds, 1, &["a", "b"]);
    feeds
}

#[test]
fn items_of_all_subscriptions_share_the_room_and_each_has_one() {
    let lost = r#""method":"rpc.lost","params":{"subscription":1,"items":1}"#;
    let mut feeds = crowded(Overflow::DropOldest);
    push(&mut feeds, 1, &["c"]);
    assert_eq!(drained(&mut feeds), ["zz", lost, "b", "c"]);
    push(&mut feeds, 1, &["d", "e", "f", "g"]);
    assert_eq!(drained(&mut feeds), ["d", "e", "f", "g"], "there is as much room as before");
    push(&mut feeds, 1, &["12345"]);
    push(&mut feeds, 2, &["67890"]);
    assert_eq!(drained(&mut feeds), ["12345", "67890"], "one is always kept");

    let mut feeds = crowded(Overflow::End);
    assert_eq!(feeds.push(1, b"c"), Err(Gone));
}

#[test]
fn a_stream_that_waits_for_others_is_woken_when_it_has_nothing_itself_any_more() {
    let mut feeds = Feeds::default();
    feeds.set_limit(4);
    feeds.add(1, roomy("1", Overflow::Wait));
    feeds.add(2, new("2", Overflow::Wait));
    push(&mut feeds, 1, &["a", "b"]);
    // A first one is kept whatever its size.
    push(&mut feeds, 2, &["zzzzz"]);
    assert!(!has_room(&mut feeds, 1, 1));
    let woken: Vec<_> = (0..3).map(|_| next(&mut feeds).map(|(_, waker)| waker.is_some())).collect();
    assert_eq!(woken, [Some(false), Some(false), Some(true)]);
}

#[test]
fn those_that_are_removed_make_room() {
    for end in
        [|feeds: &mut Feeds| feeds.forget(2), |feeds: &mut Feeds| feeds.remove(&SubscriptionKey::of_id("2"))]
    {
        let mut feeds = crowded(Overflow::Wait);
        assert!(!has_room(&mut feeds, 1, 1));
        assert!(end(&mut feeds).is_some());
        assert!(has_room(&mut feeds, 1, 1));
    }
}

#[test]
fn what_is_removed_is_not_sent_any_more() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    feeds.add(2, new("2", Overflow::Wait));
    push(&mut feeds, 1, &["a"]);
    push(&mut feeds, 2, &["b"]);
    assert!(feeds.remove(&SubscriptionKey::of_id("1")).is_some());
    assert!(feeds.remove(&SubscriptionKey::of_id("1")).is_none());
    assert_eq!(drained(&mut feeds), ["b"]);
    feeds.clear();
    assert_eq!(feeds.len(), 0);
}

#[test]
fn the_second_of_one_name_takes_the_place_of_the_first() {
    let mut feeds = Feeds::default();
    feeds.add(1, new("1", Overflow::Wait));
    push(&mut feeds, 1, &["a"]);
    feeds.add(2, new("1", Overflow::Wait));
    push(&mut feeds, 2, &["b"]);
    assert_eq!(drained(&mut feeds), ["b"]);
    assert_eq!(feeds.len(), 1);
}
