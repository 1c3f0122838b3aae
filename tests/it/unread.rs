//! Peers that take nothing of what is sent, or little by little: what counts is what has left.

use std::time::Duration;

use rpc::{
    CloseReason, Connector, Limits, Session, testing,
    transport::websocket::{WebSocket, WebSocketServer},
};
use rpc_tests::{
    Hoard, echo,
    websocket::{TEXT, frame, request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};

const LIMIT: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    let mut limits = Limits::server();
    (limits.send_timeout, limits.idle_timeout) = (Some(LIMIT), None);
    limits
}

fn call(text: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"{text}\"]}}")
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_although_its_stream_takes_more() {
    let (mut peer, io) = tokio::io::duplex(50);
    let session = testing::session(Hoard::new(io), echo(), limits());
    let since = Instant::now();
    while peer.write_all(format!("{}\n", call("y")).as_bytes()).await.is_ok() {
        assert!(since.elapsed() < Duration::from_secs(100), "it is there for ever");
        sleep(Duration::from_secs(1)).await;
    }
    // It notices when it next asks.
    assert!((20..=21).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::SendTimeout { after: LIMIT, .. }), "{reason}");
}

/// A client, and the session that serves it over a WebSocket.
async fn over_websocket(mut peer: DuplexStream, io: DuplexStream) -> (DuplexStream, Session) {
    let options = WebSocketServer::new();
    let ask = async {
        peer.write_all(request("localhost", "/", "").as_bytes()).await.expect("it reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(peer.read_u8().await.expect("an answer"));
        }
    };
    let (accepted, ()) = tokio::join!(WebSocket::accept(io, &options), ask);
    let connector =
        Connector::over_websocket(accepted.expect("a handshake")).service(echo()).limits(limits());
    (peer, connector.connect().await.expect("the two are connected already"))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_its_answer_little_by_little_is_kept() {
    for is_websocket in [false, true] {
        let (peer, io) = tokio::io::duplex(1_000);
        let (mut peer, session) = match is_websocket {
            true => over_websocket(peer, io).await,
            false => (peer, testing::session(io, echo(), limits())),
        };
        let call = call(&"x".repeat(900_000));
        let call = match is_websocket {
            true => frame(TEXT, call.as_bytes(), true),
            false => format!("{call}\n").into_bytes(),
        };
        peer.write_all(&call).await.expect("it reads");
        let since = Instant::now();
        while since.elapsed() < 10 * LIMIT {
            sleep(LIMIT / 2).await;
            peer.read_u8().await.expect("the answer goes on");
        }
        assert!(session.close_reason().is_none());
        // It has stopped.
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::SendTimeout { after: LIMIT, .. }), "{reason}");
        assert_eq!(since.elapsed().as_secs(), (11 * LIMIT).as_secs());
    }
}
