//! What is ready when the peer closes leaves before its close is given back.

use std::time::Duration;

use rpc::{CallError, CloseReason, transport::websocket::WebSocketServer};
use rpc_tests::{
    Gate, soon, waiting,
    websocket::{CLOSE, TEXT, WsPeer, frame},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{super::roads::Road, Way, closes, is_over, patient, wait};

/// A call, and its answer.
pub(super) fn echo(id: u32, length: usize, road: Road) -> (Vec<u8>, String) {
    let text = "x".repeat(length);
    let call = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":["{text}"]}}"#);
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":["{text}"]}}"#);
    (frame(TEXT, call.as_bytes(), road.is_server()), answer)
}

#[tokio::test(start_paused = true)]
async fn replies_that_are_ready_leave_before_the_close_is_given_back() {
    for road in Road::ALL {
        for way in closes() {
            let at = format!("{road:?}, {way:x?}");
            let gate = Gate::closed();
            let mut ends = road.open(waiting(&gate), patient(20)).await;
            let calls: Vec<_> = (1..=3).map(|id| echo(id, 10, road)).collect();
            let sent = calls.iter().flat_map(|(call, _)| call.clone());
            let sent: Vec<u8> = wait(7, road).into_iter().chain(sent).chain(wait(8, road)).collect();
            let start = Instant::now();
            way.take(&mut ends, &sent).await;
            for (_, answer) in &calls {
                ends.peer.expect(answer).await;
            }
            way.is_answered(&mut ends, &at).await;
            is_over(&ends, &gate, start, &at).await;
            // What stands behind is not read.
            assert_eq!(ends.session.statistics().messages_received, 5, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_leaves_in_fragments_does_so_whole() {
    for road in Road::ALL {
        let mut ends = road.open(rpc_tests::echo(), patient(20)).await;
        let (call, answer) = echo(1, 200_000, road);
        // More than fits into the connection: the peer reads while it writes.
        let (here, there) = call.split_at(60_000);
        ends.send(here).await;
        let close = frame(CLOSE, b"", road.is_server());
        ends.peer.write([there, &close].concat()).await;
        let mut all = Vec::new();
        loop {
            let (first, part) = ends.peer.next().await.expect("the rest of the answer");
            assert_eq!(first & 0x0f, if all.is_empty() { TEXT & 0x0f } else { 0 }, "{road:?}");
            assert!(part.len() <= 65_536, "{road:?}: {}", part.len());
            all.extend(part);
            if first & 0x80 != 0 {
                break;
            }
        }
        assert!(all == answer.as_bytes(), "{road:?}: {} bytes", all.len());
        Way::Close(vec![]).is_answered(&mut ends, &format!("{road:?}")).await;
    }
}

/// A peer that does not read what is left for it holds up its connection for a moment, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_peer_that_has_closed_and_does_not_read_holds_nothing_up() {
    // Also where as much is unsent as may be, and nothing more is read.
    for (reads, outgoing_bytes) in [(true, 4_000_000), (false, 4_000_000), (true, 1), (false, 1)] {
        let gate = Gate::closed();
        let mut limits = patient(20);
        limits.outgoing_bytes = outgoing_bytes;
        let with = |connector: rpc::Connector| connector.service(waiting(&gate)).limits(limits);
        let (mut peer, session) = WsPeer::client_of_narrow(1_000, &WebSocketServer::new(), with).await;
        let caller = session.clone();
        let call = tokio::spawn(async move { caller.call::<Value>("ours", ()).without_timeout().await });
        peer.next().await.expect("the call");
        let (echo, answer) = echo(1, 5_000, Road::Accepted);
        let sent = [wait(2, Road::Accepted), echo].concat();
        peer.write([&sent[..], &frame(CLOSE, b"\x03\xe8", true)].concat()).await;
        let start = Instant::now();
        let told = soon(call).await.expect("no panic");
        assert!(
            matches!(told, Err(CallError::Closed { reason: CloseReason::PeerClosed { code: 1000, .. }, .. })),
            "{told:?}"
        );
        soon(gate.until(|gate| gate.dropped() == 1)).await;
        assert_eq!((start.elapsed(), session.requests_in_flight()), (Duration::ZERO, 0));
        if reads {
            peer.expect(&answer).await;
            assert_eq!(peer.closed().await.0, 1000);
            assert_eq!(peer.next().await, None);
        }
        soon(session.closed()).await;
        assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
