//! Peers that send a great deal of what is small: everything is answered, and the session stays.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    peer::{Library, Peer},
    road::{Ends, Keys, Road, patient},
};
use crate::driven::soon;

/// Each library that has what is needed, on some roads.
async fn each(libraries: &[Library], test: impl AsyncFn(&mut Peer, &Ends)) {
    let keys = Keys::new();
    for library in libraries {
        let mut peer = Peer::start(*library, &keys).await;
        for road in Road::some(&peer) {
            let ends = road.open(&mut peer, &keys, patient()).await;
            test(&mut peer, &ends).await;
            ends.work(&mut peer).await;
            assert!(ends.session.close_reason().is_none());
        }
    }
}

pub(super) async fn we_call_many_times(ends: &Ends, count: u64) {
    let calls = (0..count).map(|n| ends.session.call::<[u64; 1]>("echo", (n,)).into_future());
    let echoes = soon(join_all(calls)).await;
    for (n, echo) in (0..count).zip(echoes) {
        assert_eq!(echo.expect("answered"), [n]);
    }
}

#[tokio::test]
async fn calls_go_on_in_a_flood_of_pings() {
    each(&Library::FULL, async |peer, ends| {
        let ours = async {
            for _ in 0..10 {
                we_call_many_times(ends, 20).await;
            }
        };
        let (flood, ()) = tokio::join!(peer.run("flood", json!([5_000, 200])), ours);
        // A pong for the last of those that came together is enough. The peer waits for that of the last of all.
        assert!(flood[0].as_u64().is_some_and(|pongs| (1..=5_000).contains(&pongs)), "{flood}");
        assert_eq!(flood[1], 200);
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_pongs_is_passed_over() {
    each(&Library::FULL, async |peer, _| {
        assert_eq!(peer.run("flood_pongs", json!([5_000])).await, Value::Null);
    })
    .await;
}

#[tokio::test]
async fn many_small_messages_go_both_ways() {
    each(&Library::PROCESSES, async |peer, ends| {
        let ((), answered) = tokio::join!(we_call_many_times(ends, 1_000), peer.run("many", json!([1_000])));
        assert_eq!(answered, 1_000);
    })
    .await;
}

#[tokio::test]
async fn empty_messages_are_answered_with_errors() {
    each(&Library::PROCESSES, async |peer, _| {
        assert_eq!(peer.run("empty", json!([2])).await, 2);
    })
    .await;
}
