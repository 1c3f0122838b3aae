//! While requests wait and nothing more is taken from the peer, for one reason or another.

use std::time::Duration;

use rpc::Limits;
use rpc_tests::{
    Gate, soon, waiting,
    websocket::{CLOSE, PING, PONG, TEXT, frame},
};
use tokio::time::Instant;

use super::{
    super::roads::{Ends, Road},
    Way,
    last_replies::echo,
    patient, request_to_wait, wait, ways,
};

const UNREAD: &str = "unread replies";

/// Requests of which some are not begun.
struct Held {
    why: &'static str,
    limits: Limits,
    /// What the peer has cost before.
    cost: f64,
    sent: Vec<u8>,
    /// How many handlers begin.
    begun: usize,
}

fn held(road: Road) -> Vec<Held> {
    let requests: Vec<u8> = (1..=8).flat_map(|id| wait(id, road)).collect();
    let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
    let fragments = (1..=8).flat_map(|id| {
        let request = request_to_wait(id);
        let (start, end) = request.as_bytes().split_at(20);
        [frame(0x01, start), frame(PONG, b"?"), frame(0x00, b""), frame(0x80, end)].concat()
    });
    let fragments: Vec<u8> = fragments.collect();
    let batch = format!("[{}]", (1..=8).map(request_to_wait).collect::<Vec<_>>().join(","));
    let few_bytes = {
        let mut limits = patient(20);
        limits.request_bytes = 2 * request_to_wait(1).len();
        limits
    };
    let nothing_unsent = {
        let mut limits = patient(20);
        limits.outgoing_bytes = 1;
        limits
    };
    let held =
        |why, sent: &[u8], begun| Held { why, limits: patient(3), cost: 0.0, sent: sent.to_vec(), begun };
    let mut all = vec![
        held("more than are worked on", &requests, 3),
        held("more than are worked on, in fragments", &fragments, 3),
        held("a batch", &frame(TEXT, batch.as_bytes()), 3),
        held("a batch, and more", &[frame(TEXT, batch.as_bytes()), requests.clone()].concat(), 3),
        Held { limits: few_bytes, ..held("more bytes than are worked on", &requests, 2) },
        Held { limits: patient(20), cost: 6_000.0, ..held("slowed down", &requests, 0) },
    ];
    // How much a socket takes besides is not known.
    if road.is_in_memory() {
        let unread = [wait(1, road), echo(7, 200_000, road).0, requests].concat();
        all.push(Held { limits: nothing_unsent, ..held(UNREAD, &unread, 1) });
    }
    all
}

/// What is left of replies, and the close that is given back.
async fn is_given_back(ends: &mut Ends, payload: &[u8], at: &str) {
    loop {
        match ends.peer.next().await.unwrap_or_else(|| panic!("{at}: no close")) {
            (CLOSE, given_back) => break assert_eq!(given_back, payload, "{at}"),
            (first, _) => assert_ne!(first, PING, "{at}"),
        }
    }
    assert_eq!(ends.peer.next().await, None, "{at}");
}

/// `together`: in one write with what comes before. Else by itself, when nothing more is taken.
async fn ends_by(road: Road, held: &Held, way: &Way, together: bool) {
    let at = format!("{road:?}, {}, {way:x?}, together: {together}", held.why);
    let gate = Gate::closed();
    let mut ends = road.open(waiting(&gate), held.limits.clone()).await;
    ends.session.add_cost(held.cost);
    let mut before = &held.sent[..];
    if !together {
        ends.peer.write(before).await;
        soon(gate.until(|gate| gate.waiting() == held.begun)).await;
        ends.passes(Duration::from_millis(1)).await;
        before = b"";
    }
    let start = Instant::now();
    way.take(&mut ends, before).await;
    soon(gate.until(|gate| gate.dropped() == held.begun)).await;
    if let Way::Close(payload) = way {
        is_given_back(&mut ends, payload, &at).await;
    }
    let cause = soon(ends.session.closed()).await;
    assert!(way.is_cause(&cause), "{at}: {cause}");
    assert!(!road.is_in_memory() || start.elapsed() == Duration::ZERO, "{at}: after {:?}", start.elapsed());
    assert_eq!(gate.entered(), held.begun, "{at}: what waited is not begun");
    assert_eq!(ends.session.requests_in_flight(), 0, "{at}");
    assert!(ends.server.as_ref().is_none_or(|server| server.sessions().is_empty()), "{at}");
}

#[tokio::test(start_paused = true)]
async fn the_end_is_found_behind_what_waits() {
    for road in Road::ALL {
        let (all, ways) = (held(road), ways(road));
        for (nth, way) in ways.iter().enumerate() {
            // Every way, and some of them for every reason.
            let reasons = if nth % 23 == 0 { &all } else { &all[..1] };
            for held in reasons {
                // What is written to a peer that is gone may fail before its end is read.
                if held.why == UNREAD && matches!(way, Way::Gone(_)) {
                    continue;
                }
                for together in [false, true] {
                    if reasons.len() > 1 || together == (nth % 2 == 0) {
                        ends_by(road, held, way, together).await;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_in_pieces_is_found_behind_what_waits() {
    for road in Road::IN_MEMORY {
        for held in held(road) {
            let gate = Gate::closed();
            let mut ends = road.open(waiting(&gate), held.limits.clone()).await;
            ends.session.add_cost(held.cost);
            ends.peer.write(&held.sent).await;
            let close = frame(CLOSE, b"\x03\xe9gone", road.is_server());
            for byte in &close {
                ends.passes(Duration::from_millis(1)).await;
                assert!(!ends.session.is_closed(), "{road:?}, {}", held.why);
                ends.peer.write([*byte]).await;
            }
            let start = Instant::now();
            soon(gate.until(|gate| gate.dropped() == held.begun)).await;
            is_given_back(&mut ends, b"\x03\xe9gone", held.why).await;
            soon(ends.session.closed()).await;
            assert_eq!(start.elapsed(), Duration::ZERO, "{road:?}, {}", held.why);
        }
    }
}
