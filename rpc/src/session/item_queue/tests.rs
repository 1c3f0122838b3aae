//! The queue by itself.

use super::*;

type Queue = ItemQueue<&'static str>;

fn bounds(overflow: Overflow) -> Bounds {
    Bounds { items: 2, bytes: 1000, overflow }
}

fn queue(overflow: Overflow) -> Queue {
    ItemQueue::new(bounds(overflow))
}

/// Pushes into a queue that shares no limit.
fn push(queue: &mut Queue, items: &[&str]) -> Vec<Push> {
    items.iter().map(|item| queue.push(item.as_bytes(), &mut NoLimit)).collect()
}

fn shown(next: Next<'_, &str>) -> String {
    match next {
        Next::Item(item) => String::from_utf8_lossy(item).into_owned(),
        Next::Lost(items) => format!("lost {items}"),
        Next::End(end) => format!("end {end}"),
    }
}

fn drained(queue: &mut Queue, total: &mut impl ByteLimit) -> Vec<String> {
    std::iter::from_fn(|| queue.take(total, shown)).collect()
}

/// The same of a queue that shares no limit.
fn drained_alone(queue: &mut Queue) -> Vec<String> {
    drained(queue, &mut NoLimit)
}

#[test]
fn each_overflow_rule_has_its_answer_to_a_full_queue() {
    for (overflow, third, left) in [
        (Overflow::Wait, Push::Full, &["1", "2"][..]),
        (Overflow::End, Push::Ends, &["1", "2"]),
        (Overflow::DropOldest, Push::Kept, &["lost 1", "2", "3"]),
    ] {
        let mut queue = queue(overflow);
        assert_eq!(push(&mut queue, &["1", "2", "3"]), [Push::Kept, Push::Kept, third], "{overflow:?}");
        assert_eq!(drained_alone(&mut queue), left, "{overflow:?}");
        assert!(queue.is_drained() && queue.is_open());
    }
}

#[test]
fn bytes_are_bounded_like_items_and_a_first_item_is_kept_whatever_its_size() {
    let (large, huge) = ("x".repeat(600), "y".repeat(2000));
    for (overflow, second, len) in [
        (Overflow::Wait, Push::Full, 1),
        (Overflow::End, Push::Ends, 1),
        (Overflow::DropOldest, Push::Kept, 1),
    ] {
        let mut queue = queue(overflow);
        assert_eq!(push(&mut queue, &[&large, &large]), [Push::Kept, second], "{overflow:?}");
        assert_eq!(queue.len(), len, "{overflow:?}");
        drained_alone(&mut queue);
        assert_eq!(push(&mut queue, &[&huge]), [Push::Kept], "{overflow:?}");
    }
}

#[test]
fn a_producer_that_stops_late_may_go_to_twice_the_bounds() {
    let total = &mut NoLimit;
    let mut queue = queue(Overflow::Wait);
    push(&mut queue, &["1", "2"]);
    assert!(queue.push_over(b"3", total) && queue.push_over(b"4", total));
    assert!(!queue.push_over(b"5", total), "four items are twice two");
    assert_eq!(drained_alone(&mut queue), ["1", "2", "3", "4"]);

    let mut queue = ItemQueue::<()>::new(Bounds { items: 100, ..bounds(Overflow::Wait) });
    assert_eq!(queue.push(&[7; 1000], total), Push::Kept);
    assert!(queue.push_over(&[7; 900], total));
    assert!(!queue.push_over(&[7; 101], total), "2,001 bytes are above twice 1,000");
    assert!(queue.push_over(&[7; 100], total));
}

#[test]
fn only_under_wait_does_the_producer_pause() {
    for (overflow, is_ready) in [(Overflow::Wait, false), (Overflow::End, true), (Overflow::DropOldest, true)]
    {
        let mut queue = queue(overflow);
        assert!(queue.is_ready(1, &NoLimit) && queue.has_capacity(1, &NoLimit));
        push(&mut queue, &["1", "2"]);
        assert!(!queue.has_capacity(1, &NoLimit));
        assert_eq!(queue.is_ready(1, &NoLimit), is_ready, "{overflow:?}");
    }
}

#[test]
fn lost_items_are_told_where_they_are_missing() {
    let mut queue = ItemQueue::new(Bounds { items: 9, ..bounds(Overflow::Wait) });
    queue.lose(1);
    push(&mut queue, &["a"]);
    queue.lose(2);
    queue.lose(3);
    push(&mut queue, &["b"]);
    queue.lose_first(4);
    assert_eq!(queue.len(), 3, "a mark counts like an item");
    assert_eq!(drained_alone(&mut queue), ["lost 5", "a", "lost 5", "b"]);
}

#[test]
fn marks_of_lost_items_are_dropped_into_the_number_before_the_first() {
    let mut queue = queue(Overflow::DropOldest);
    push(&mut queue, &["a"]);
    queue.lose(2);
    push(&mut queue, &["b", "c"]);
    assert_eq!(drained_alone(&mut queue), ["lost 3", "b", "c"]);
}

#[test]
fn a_number_of_lost_items_does_not_wrap() {
    let mut queue = queue(Overflow::DropOldest);
    queue.lose_first(u64::MAX);
    queue.lose_first(u64::MAX);
    push(&mut queue, &["a"]);
    queue.lose(u64::MAX);
    queue.lose(1);
    let all = format!("lost {}", u64::MAX);
    assert_eq!(drained_alone(&mut queue), [&all, "a", &all]);
}

#[test]
fn a_consumer_without_notices_learns_of_no_loss() {
    let mut queue = queue(Overflow::DropOldest).counting_lost(false);
    queue.lose(1);
    assert!(!queue.has_items());
    push(&mut queue, &["a", "b"]);
    queue.lose(2);
    push(&mut queue, &["c"]);
    assert_eq!(drained_alone(&mut queue), ["b", "c"]);
}

#[test]
fn the_end_comes_behind_the_items_and_once_and_the_first_counts() {
    let mut queue = queue(Overflow::Wait);
    push(&mut queue, &["a"]);
    queue.end(Some("first"));
    queue.end(Some("second"));
    queue.end(None);
    assert!(!queue.is_open() && queue.has_items());
    assert_eq!(queue.take(&mut NoLimit, shown).as_deref(), Some("a"));
    assert!(!queue.has_items() && !queue.is_drained(), "the end is still to be taken");
    assert_eq!(drained_alone(&mut queue), ["end first"]);
    assert!(queue.is_drained() && !queue.is_open());
}

#[test]
fn an_end_that_is_not_told_leaves_the_items_to_be_taken() {
    let mut queue = queue(Overflow::Wait);
    push(&mut queue, &["a"]);
    queue.end(None);
    queue.end(Some("late"));
    assert_eq!(drained_alone(&mut queue), ["a"]);
    assert!(queue.is_drained() && !queue.is_open());
}

#[test]
fn queues_share_a_limit_and_each_may_hold_one_item() {
    let total = &mut TotalBytes::default();
    total.set_limit(4);
    let (mut one, mut other) = (queue(Overflow::Wait), queue(Overflow::DropOldest));
    assert_eq!(one.push(b"aaa", total), Push::Kept);
    assert_eq!(one.push(b"bb", total), Push::Full, "three bytes and two are above four");
    assert_eq!(other.push(b"xx", total), Push::Kept, "a first item is always kept");
    assert_eq!(other.push(b"y", total), Push::Kept);
    assert_eq!(drained(&mut other, total), ["lost 1", "y"], "six bytes would be above four");
    assert_eq!(one.push(b"b", total), Push::Kept, "there are four again");
    assert_eq!(drained(&mut one, total), ["aaa", "b"]);
    assert_eq!(total.used, 0);
}

#[test]
fn a_cleared_queue_gives_its_bytes_back() {
    let total = &mut TotalBytes::default();
    let mut queue = queue(Overflow::Wait);
    queue.push(b"aaa", total);
    queue.lose(1);
    queue.end(Some("end"));
    queue.clear(total);
    assert_eq!((drained(&mut queue, total), total.used), (Vec::new(), 0));
    assert!(!queue.is_open());
}

#[test]
fn texts_come_out_as_they_went_in() {
    let mut queue = ByteQueue::default();
    let mut lengths = VecDeque::new();
    let (mut pushed, mut popped) = (0_usize, 0_usize);
    // Never empty in between, of all lengths, growing and shrinking.
    for round in 0..2_000_usize {
        for _ in 0..=(round / 100) % 7 {
            let text = vec![pushed as u8; pushed % 50];
            queue.push(&text);
            lengths.push_back(text.len());
            pushed += 1;
        }
        while lengths.len() > 1 + (round / 300) * 20 {
            let length = lengths.pop_front().unwrap();
            assert_eq!(queue.first(length), vec![popped as u8; popped % 50]);
            queue.pop(length);
            popped += 1;
        }
        assert_eq!(queue.len(), lengths.iter().sum::<usize>());
    }
    assert!(popped > 5_000, "{popped}");
}

#[test]
fn the_memory_is_about_twice_what_waits_however_much_passes() {
    let mut queue = ByteQueue::default();
    (0..100).for_each(|_| queue.push(&[7; 100]));
    for _ in 0..10_000 {
        queue.push(&[7; 100]);
        queue.pop(100);
    }
    assert_eq!(queue.len(), 10_000);
    assert!(queue.bytes.capacity() <= 21_000, "{}", queue.bytes.capacity());
}

#[test]
fn an_empty_queue_keeps_little() {
    let mut queue = ByteQueue::default();
    queue.push(&[7; 100_000]);
    queue.pop(100_000);
    assert_eq!((queue.len(), queue.bytes.capacity()), (0, 0));
    queue.push(b"small");
    queue.pop(5);
    assert!(queue.bytes.capacity() > 0, "what is small is not worth looking for again");
}
