//! While handlers are at work, and calls of this side wait.

use std::time::Duration;

use rpc::{
    CallError, CloseReason, Message, MessageSession, Server, ServerHandle,
    framing::FrameError,
    transport::websocket::{WebSocketClient, WebSocketServer},
};
use rpc_tests::{
    Gate, settled, soon, waiting,
    websocket::{CLOSE, WsPeer, frame, request},
};
use tokio::{net::TcpStream, time::Instant};

use super::{super::roads::Road, Way, call_of_ours, ends, is_over, patient, wait, ways};

#[tokio::test(start_paused = true)]
async fn handlers_are_dropped_and_calls_end_with_the_cause() {
    for road in Road::ALL {
        for way in ways(road) {
            let at = format!("{road:?}, {way:x?}");
            let gate = Gate::closed();
            let mut ends = road.open(waiting(&gate), patient(20)).await;
            ends.send(&wait(1, road)).await;
            let call = call_of_ours(&mut ends).await;
            soon(gate.until(|gate| gate.waiting() == 1)).await;
            let start = Instant::now();
            way.take(&mut ends, b"").await;
            let told = soon(call).await.expect("no panic");
            assert!(
                matches!(&told, Err(CallError::Closed { reason: cause, .. }) if way.is_cause(cause)),
                "{at}: {told:?}"
            );
            let cause = is_over(&ends, &gate, start, &at).await;
            assert!(way.is_cause(&cause), "{at}: {cause}");
            way.is_answered(&mut ends, &at).await;
        }
    }
}

/// A message, whatever it holds.
struct Any;

impl Message for Any {
    fn read(_: &[u8]) -> Result<Self, FrameError> {
        Ok(Self)
    }

    fn write(&self, _: &mut Vec<u8>) {}
}

#[tokio::test(start_paused = true)]
async fn so_are_handlers_of_messages() {
    let ends = [Some(&b"\x03\xe8bye"[..]), Some(b""), None];
    for (close, is_server) in ends.into_iter().flat_map(|close| [(close, true), (close, false)]) {
        let at = format!("{close:?}, a server: {is_server}");
        let (mut peer, connector) = match is_server {
            true => WsPeer::client_before(1 << 16, &WebSocketServer::new()).await,
            false => WsPeer::server_before(&WebSocketClient::new()).await,
        };
        let gate = Gate::closed();
        let handler = gate.clone();
        let connector =
            connector.limits(patient(3)).connect_messages(move |_: MessageSession<Any>, _: Any| {
                let gate = handler.clone();
                async move { gate.pass().await }
            });
        let session = connector.await.expect("it is connected");
        for _ in 0..5 {
            peer.text("a message").await;
        }
        soon(gate.until(|gate| gate.waiting() == 3)).await;
        let start = Instant::now();
        match close {
            Some(payload) => peer.frame(CLOSE, payload).await,
            None => peer.finish().await,
        }
        soon(gate.until(|gate| gate.dropped() == 3)).await;
        let cause = soon(session.session().closed()).await;
        let way = close.map_or(Way::End(vec![]), |payload| Way::Close(payload.to_vec()));
        assert!(way.is_cause(&cause), "{at}: {cause}");
        assert_eq!((start.elapsed(), gate.entered()), (Duration::ZERO, 3), "{at}");
        assert_eq!(peer.next().await, close.map(|payload| (CLOSE, payload.to_vec())), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_it_is_while_a_session_drains() {
    for road in Road::ALL {
        for way in ways(road) {
            for shuts_down in [false, true] {
                let at = format!("{road:?}, {way:x?}, the server shuts down: {shuts_down}");
                if !shuts_down || road.is_server() {
                    drains(road, &way, shuts_down, &at).await;
                }
            }
        }
    }
}

/// The session has begun to close, and waits for a handler.
async fn drains(road: Road, way: &Way, shuts_down: bool, at: &str) {
    let gate = Gate::closed();
    let mut ends = road.open(waiting(&gate), patient(20)).await;
    ends.send(&wait(1, road)).await;
    let call = call_of_ours(&mut ends).await;
    soon(gate.until(|gate| gate.waiting() == 1)).await;
    let shutdown = match (&ends.server, shuts_down) {
        (Some(server), true) => {
            let server = server.clone();
            tokio::spawn(async move { server.shutdown().await })
        }
        _ => {
            let session = ends.session.clone();
            tokio::spawn(async move { drop(session.close().await) })
        }
    };
    settled().await;
    assert_eq!((gate.waiting(), shutdown.is_finished()), (1, false), "{at}");
    let start = Instant::now();
    way.take(&mut ends, b"").await;
    let cause = is_over(&ends, &gate, start, at).await;
    // It was decided before.
    let is_ours = |cause: &CloseReason| match shuts_down {
        true => matches!(cause, CloseReason::Shutdown),
        false => matches!(cause, CloseReason::Local),
    };
    assert!(is_ours(&cause), "{at}: {cause}");
    let told = soon(call).await.expect("no panic");
    assert!(
        matches!(&told, Err(CallError::Closed { reason: cause, .. }) if is_ours(cause)),
        "{at}: {told:?}"
    );
    soon(shutdown).await.expect("no panic");
    way.is_answered(&mut ends, at).await;
}

/// This side has said that it closes, and waits for the peer to have heard.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_answers_a_close_too() {
    for road in Road::IN_MEMORY {
        for way in ends(road) {
            let at = format!("{road:?}, {way:x?}");
            let mut ends = road.open((), patient(20)).await;
            ends.session.start_close();
            assert_eq!(ends.peer.closed().await, (1000, String::new()), "{at}");
            let start = Instant::now();
            way.take(&mut ends, b"").await;
            let cause = soon(ends.session.closed()).await;
            assert!(matches!(cause, CloseReason::Local), "{at}: {cause}");
            assert_eq!(start.elapsed(), Duration::ZERO, "{at}");
            assert_eq!(ends.peer.next().await, None, "{at}");
        }
    }
}

/// What a listener with one place answers.
async fn status(server: &ServerHandle) -> (WsPeer<TcpStream>, String) {
    let mut peer = WsPeer::connect(server.endpoint()).await;
    peer.write(request("localhost", "/", "")).await;
    let head = soon(peer.head()).await;
    (peer, head.get(9..12).expect("a status").to_owned())
}

#[tokio::test]
async fn the_place_of_a_connection_is_free_at_once() {
    for url in ["ws://127.0.0.1:0", "http://127.0.0.1:0"] {
        let gate = Gate::closed();
        let mut limits = patient(2);
        limits.connections = 1;
        let server = Server::builder().service(waiting(&gate)).limits(limits).bind(url).await;
        let server = server.expect("a port is free").start();
        for (nth, last) in [frame(CLOSE, b"\x03\xe8", true), frame(CLOSE, b"", true), vec![], vec![0x81]]
            .into_iter()
            .enumerate()
        {
            let (mut peer, let_in) = status(&server).await;
            assert_eq!(let_in, "101", "{url}, {nth}");
            // More than are worked on.
            peer.write((1..=4).flat_map(|id| wait(id, Road::Ws)).collect::<Vec<_>>()).await;
            soon(gate.until(|gate| gate.waiting() == 2)).await;
            assert_eq!(status(&server).await.1, "503", "{url}, {nth}");
            let session = server.sessions().pop().expect("one");
            peer.write(last).await;
            peer.finish().await;
            soon(gate.until(|gate| gate.waiting() == 0)).await;
            soon(session.closed()).await;
        }
        assert_eq!(gate.dropped(), 8, "{url}");
        soon(server.shutdown()).await;
    }
}
