//! One source, many subscribers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::join_all};
use rpc::{
    Broadcast, BroadcastStream, Context, ErrorObject, Limits, MethodInfo, Overflow, Params, Router, Server,
    SharedJson, SubscriptionError, SubscriptionInfo, SubscriptionStyle, testing,
};
use rpc_tests::{Raw, is_pending, settled, soon};
use serde::{Serialize, Serializer};

/// Serves what is published as `feed`.
fn router<T>(source: &Broadcast<T>, overflow: Overflow) -> Router
where
    T: Serialize + Send + Sync + 'static,
{
    let source = source.clone();
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item").with_unsubscribe("stop");
    let method = MethodInfo::request("feed").with_subscription(info.with_overflow(overflow));
    Router::new().subscription(method, move |_: Params, _: Context| {
        let items = source.subscribe();
        async move { Ok::<_, ErrorObject>(items) }
    })
}

/// Everything that a listener gives without waiting.
fn taken(listener: &mut BroadcastStream<u32>) -> Vec<u32> {
    std::iter::from_fn(|| listener.next().now_or_never().flatten()).map(|item| *item).collect()
}

#[test]
fn whoever_listens_gets_every_item_from_then_on_and_the_end() {
    let source = Broadcast::new(8);
    source.publish(0);
    let mut first = source.subscribe();
    source.publish(1);
    let mut second = source.clone().subscribe();
    source.publish(2);
    assert_eq!(source.subscribers(), 2);
    assert_eq!((taken(&mut first), taken(&mut second)), (vec![1, 2], vec![2]));
    assert!(is_pending(&mut first.next()));
    source.publish(3);
    drop(source);
    assert_eq!(taken(&mut first), [3], "what was published is still taken");
    assert_eq!(first.next().now_or_never(), Some(None));
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_is_woken_by_an_item_and_by_the_end() {
    let source = Broadcast::new(1);
    let listener = source.subscribe();
    let all = tokio::spawn(listener.map(|item| *item).collect::<Vec<u32>>());
    for n in 0..3 {
        settled().await;
        source.publish(n);
    }
    settled().await;
    drop(source);
    assert_eq!(all.await.expect("no panic"), [0, 1, 2]);
}

#[test]
fn one_who_lags_loses_the_oldest_and_knows_how_many() {
    let source = Broadcast::new(3);
    let (mut slow, mut quick) = (source.subscribe(), source.subscribe());
    for n in 0..10 {
        source.publish(n);
        assert_eq!(taken(&mut quick), [n]);
    }
    assert_eq!(taken(&mut slow), [7, 8, 9]);
    assert_eq!((slow.lost(), quick.lost()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn one_who_sends_waits_for_the_slowest_and_nobody_loses_an_item() {
    let source = Broadcast::new(4);
    let (mut slow, mut quick) = (source.subscribe(), source.subscribe());
    let sender = source.clone();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for n in 0..100 {
            sender.send(n).await;
            count.fetch_add(1, Relaxed);
        }
    });
    settled().await;
    assert_eq!((sent.load(Relaxed), taken(&mut quick).len()), (4, 4));
    settled().await;
    assert_eq!(sent.load(Relaxed), 4, "the slow one has taken nothing");
    let mut came = Vec::new();
    while came.len() < 96 {
        came.extend(taken(&mut slow));
        taken(&mut quick);
        settled().await;
    }
    assert_eq!(came, (0..came.len() as u32).collect::<Vec<_>>());
    // One who leaves is not waited for.
    drop(slow);
    settled().await;
    taken(&mut quick);
    settled().await;
    assert!(sending.is_finished());
    assert_eq!(quick.lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_given_up_has_sent_nothing() {
    let source = Broadcast::new(1);
    let mut listener = source.subscribe();
    source.send(1).await;
    let mut given_up = Box::pin(source.send(2));
    assert!(is_pending(&mut given_up));
    drop(given_up);
    assert_eq!(taken(&mut listener), [1]);
    source.send(3).await;
    assert_eq!(taken(&mut listener), [3]);
}

#[derive(Default)]
struct Counted(Arc<AtomicUsize>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Relaxed);
        "news".serialize(serializer)
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_is_written_once_for_all_who_get_it() {
    let source = Broadcast::new(8);
    let sessions: Vec<_> = (0..10).map(|_| testing::pair((), router(&source, Overflow::Wait))).collect();
    let feeds = join_all(sessions.iter().map(|(session, _)| async {
        // Two on each.
        let one = session.subscribe::<String>("feed", ()).await.expect("begun");
        [one, session.subscribe::<String>("feed", ()).await.expect("begun")]
    }));
    let feeds = feeds.await;
    let written = Arc::new(AtomicUsize::new(0));
    source.publish(Counted(Arc::clone(&written)));
    for mut feed in feeds.into_iter().flatten() {
        assert_eq!(feed.next().await.expect("an item").expect("a text"), "news");
    }
    assert_eq!(written.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_shared_reads_as_the_value_on_the_other_side() {
    let source = Broadcast::new(8);
    let (session, _peer) = testing::pair((), router(&source, Overflow::Wait));
    let mut feed = session.subscribe::<SharedJson<(u8, String)>>("feed", ()).await.expect("begun");
    source.publish((7, "seven"));
    let item = feed.next().await.expect("an item").expect("a tuple");
    assert_eq!((item.0, &*item.1), (7, "seven"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_source_ends_its_subscriptions() {
    let source = Broadcast::new(8);
    let listener = Mutex::new(Some(source.subscribe()));
    let router = Router::new().subscription("feed", move |_: Params, _: Context| {
        let items = listener.lock().expect("no panic").take().expect("one subscriber");
        async move { Ok::<_, ErrorObject>(items) }
    });
    let (session, peer) = testing::pair((), router);
    let feed = session.subscribe::<u8>("feed", ()).await.expect("begun");
    source.publish(1);
    drop(source);
    let items: Vec<u8> = feed.map(|item| item.expect("no failure")).collect().await;
    assert_eq!(items, [1]);
    assert_eq!(peer.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_forgets_subscribers_that_leave() {
    let source = Broadcast::<u8>::new(8);
    let (session, peer) = testing::pair((), router(&source, Overflow::Wait));
    let feed = session.subscribe::<u8>("feed", ()).unsubscribe_with("stop").await.expect("begun");
    assert_eq!(source.subscribers(), 1);
    drop(feed);
    settled().await;
    assert_eq!((peer.subscriptions_served(), source.subscribers()), (0, 0));
}

/// Reads until `count` items have come or were lost, and says how many of each.
async fn followed(peer: &mut Raw<tokio::io::DuplexStream>, count: u64) -> (u64, u64) {
    let (mut came, mut lost, mut next) = (0, 0, 0);
    while came + lost < count {
        let line = peer.line().await.expect("more");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if line["method"] == "rpc.lost" {
            lost += line["params"]["items"].as_u64().expect("a number");
            next = came + lost;
        } else {
            assert_eq!(line["params"]["result"], next, "the gap stands where the items are missing");
            came += 1;
            next += 1;
        }
    }
    (came, lost)
}

#[tokio::test(start_paused = true)]
async fn a_peer_learns_what_it_lost_while_its_stream_waited() {
    let source = Broadcast::new(10);
    let mut limits = Limits::server();
    limits.subscription_items = 5;
    let (mut peer, _session) = Raw::narrow_peer_of(256, router(&source, Overflow::Wait), limits);
    peer.subscribe(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
    for n in 0..1000 {
        source.publish(n);
        if n % 100 == 0 {
            settled().await;
        }
    }
    let (came, lost) = followed(&mut peer, 1000).await;
    assert!(came >= 10 && lost > 900, "{came} came, {lost} were lost");
}

#[tokio::test(start_paused = true)]
async fn adaptors_do_not_hide_what_was_lost() {
    let source = Broadcast::<u64>::new(2);
    let listener = source.clone();
    let router = Router::new().subscription("even", move |_: Params, _: Context| {
        let items = listener.subscribe().filter_map(async |item| (*item % 2 == 0).then_some(*item / 2));
        async move { Ok::<_, ErrorObject>(Box::pin(items)) }
    });
    let (session, _peer) = testing::pair((), router);
    let mut feed = session.subscribe::<u64>("even", ()).await.expect("begun");
    settled().await;
    (0..10).for_each(|n| source.publish(n));
    assert!(matches!(feed.next().await, Some(Err(SubscriptionError::Lost(8)))));
    assert!(matches!(feed.next().await, Some(Ok(4))));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_to_end_ends_when_it_lags() {
    let source = Broadcast::new(2);
    let (session, peer) = testing::pair((), router(&source, Overflow::End));
    let feed = session.subscribe::<u64>("feed", ()).await.expect("begun");
    settled().await;
    // There is no turn for the stream between these.
    (0..10).for_each(|n| source.publish(n));
    let items: Vec<_> = feed.collect().await;
    assert!(
        matches!(&items[..], [Err(SubscriptionError::Lost(8)), Err(SubscriptionError::Rpc(_))]),
        "{items:?}"
    );
    settled().await;
    assert_eq!((peer.subscriptions_served(), source.subscribers()), (0, 0));
}

const SUBSCRIBERS: usize = 1_000;
const SESSIONS: usize = 200;
const ITEMS: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_over_real_sockets_get_every_item_in_order() {
    let source = Broadcast::new(64);
    let server = Server::builder().service(router(&source, Overflow::Wait)).bind("tcp://127.0.0.1:0").await;
    let server = server.expect("a port is free");
    let endpoint = server.endpoint().to_string();
    let handle = server.start();
    let mut followers = Vec::new();
    for _ in 0..SESSIONS {
        let session = rpc::connect(&endpoint).await.expect("it listens");
        for _ in 0..SUBSCRIBERS / SESSIONS {
            let feed = session.subscribe::<u64>("feed", ()).unsubscribe_with("stop");
            // The session waits for its subscribers: none of them loses an item.
            let mut feed = feed.overflow(Overflow::Wait).await.expect("begun");
            followers.push(tokio::spawn(async move {
                for n in 0..ITEMS {
                    assert_eq!(feed.next().await.expect("an item").expect("a number"), n);
                }
            }));
        }
    }
    assert_eq!(source.subscribers(), SUBSCRIBERS);
    let all = async {
        for n in 0..ITEMS {
            source.send(n).await;
        }
        for follower in followers {
            follower.await.expect("in order");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("all of it in time");
    // Those that were dropped have ended on the server.
    soon(async {
        while source.subscribers() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    handle.shutdown().await;
}

/// `Limits::unlimited()` has bounds for what waits in a subscription: without them a policy would never apply.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_subscriber_that_does_not_read_is_bounded_without_limits_too() {
    const ITEMS: usize = 1_024;
    for overflow in [Overflow::Wait, Overflow::End] {
        let source = Broadcast::new(16);
        let (mut peer, session) = Raw::narrow_peer_of(256, router(&source, overflow), Limits::unlimited());
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
        let mut sent = 0_usize;
        while sent < 10 * ITEMS
            && tokio::time::timeout(Duration::from_secs(1), source.send(sent)).await.is_ok()
        {
            sent += 1;
        }
        // The queue, what the source keeps itself, and what is being sent: 64 KiB.
        assert!(
            (ITEMS..3 * ITEMS).contains(&sent) == (overflow == Overflow::Wait),
            "{sent} with {overflow:?}"
        );
        let subscribed = usize::from(overflow == Overflow::Wait);
        assert_eq!(source.subscribers(), subscribed, "{overflow:?}");
        assert!(session.statistics().bytes_unsent < 128 << 10);
    }
}
