//! Messages of several MiB, whole and in the fragments that a library makes of them; and peers that vanish within one.

use rpc::{CloseReason, Limits};
use serde_json::json;

use super::{
    peer::{Library, Peer},
    road::{Keys, Road, patient},
};
use crate::driven::soon;

/// Two, three and four bytes of UTF-8: fragments of a fixed size end within each, sooner or later.
const TEXT: &str = "λ…𝄞";

/// So many make 3 MiB.
const TIMES: usize = 350_000;

/// Messages of 16 MiB are taken.
fn generous() -> Limits {
    let mut limits = patient();
    limits.frame_size = 16 << 20;
    limits.request_bytes = 32 << 20;
    limits
}

pub(super) async fn both_send_much(peer: &mut Peer, keys: &Keys, road: Road) {
    let ends = road.open(peer, keys, generous()).await;
    let long = TEXT.repeat(TIMES);
    let ours = ends.session.call::<[String; 1]>("echo", (&long,)).into_future();
    let (theirs, ours) = soon(async { tokio::join!(peer.run("echo", json!([TEXT, TIMES])), ours) }).await;
    assert_eq!(theirs, true);
    assert!(ours.expect("answered") == [long]);
    ends.work(peer).await;
}

#[tokio::test]
async fn both_send_much_at_once() {
    let keys = Keys::new();
    for library in Library::PROCESSES {
        let mut peer = Peer::start(library, &keys).await;
        for road in Road::some(&peer) {
            both_send_much(&mut peer, &keys, road).await;
        }
    }
}

#[tokio::test]
async fn fragments_may_be_cut_anywhere_with_pings_between() {
    let keys = Keys::new();
    for library in Library::CUTTING {
        let mut peer = Peer::start(library, &keys).await;
        for road in [Road::Ws, Road::Served] {
            let ends = road.open(&mut peer, &keys, generous()).await;
            for (times, size) in [(100, 1), (100, 2), (1_000, 7), (TIMES / 10, 1_000), (TIMES, 1 << 20)] {
                for pings in [false, true] {
                    let fragments = json!([TEXT, times, size, pings]);
                    assert_eq!(peer.run("fragments", fragments).await, true, "{size} {pings}");
                }
            }
            ends.work(&mut peer).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_within_a_message_is_noticed_at_once() {
    let keys = Keys::new();
    for library in Library::FULL {
        let mut peer = Peer::start(library, &keys).await;
        for road in Road::some(&peer) {
            let ends = road.open(&mut peer, &keys, generous()).await;
            peer.run("begin", json!(["wait"])).await;
            soon(ends.gate.until(|gate| gate.waiting() == 1)).await;
            peer.run("vanish", json!([8_000_000])).await;
            let cause = soon(ends.session.closed()).await;
            let is_told = matches!(cause, CloseReason::PeerClosed { code: 1006, .. } | CloseReason::Io(_));
            assert!(is_told, "{cause:?}");
            assert_eq!((ends.gate.dropped(), ends.counted()), (1, 0));
        }
    }
}
