//! A peer that says nothing is asked whether it is there.

use std::time::Duration;

use rpc::{CloseReason, KeepAlive, Limits, Server, Session};
use rpc_tests::{Gate, Raw, settled, waiting};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// Pings after 30 s, and waits for 40 s more.
async fn pinged(limits: Limits) -> (Raw<DuplexStream>, Session) {
    pinged_by(&Gate::closed(), limits).await
}

async fn pinged_by(gate: &Gate, limits: Limits) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| {
        connector.service(waiting(gate)).limits(limits).keep_alive(KeepAlive::call("ping"))
    })
    .await
}

fn ping(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_to_a_ping_is_gone() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    let start = Instant::now();
    peer.expect(&ping(1)).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(session.calls_in_flight(), 1);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Silent { after } if after == SECOND * 70), "{reason}");
    assert_eq!(start.elapsed().as_secs(), 70);
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_by_anything_and_nobody_learns_of_it() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    let errors = session.statistics().errors;
    let replies = [
        r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#,
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no such method"}}"#,
        r#"{"jsonrpc":"2.0","method":"echo","params":[]}"#,
        "",
    ];
    let mut start = Instant::now();
    for (id, reply) in (1..).zip(replies) {
        peer.expect(&ping(id)).await;
        assert_eq!(start.elapsed().as_secs(), 30, "{reply}");
        sleep(SECOND * 39).await;
        peer.send(reply).await;
        start = Instant::now();
        settled().await;
        assert!(!session.is_closed(), "{reply}");
    }
    // Those that were not answered are forgotten, and may be answered late.
    sleep(SECOND * 2).await;
    assert_eq!(session.calls_in_flight(), 0);
    peer.send(r#"{"jsonrpc":"2.0","id":4,"result":"pong"}"#).await;
    settled().await;
    assert_eq!(session.statistics().errors, errors);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_peer_talks() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    for byte in "  \r\n{\"jsonrpc\"".bytes() {
        sleep(SECOND * 29).await;
        peer.write([byte]).await;
    }
    peer.expect_silence().await;
    assert_eq!(session.statistics().messages_sent, 0);
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_put_off_our_own_idle_timeout() {
    let mut limits = Limits::unlimited();
    limits.idle_timeout = Some(SECOND * 100);
    // Answered at once, or with the last ping still in flight.
    for answers in [3, 2] {
        let (mut peer, session) = pinged(limits.clone()).await;
        let start = Instant::now();
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}"#).await;
        for id in 1..4 {
            peer.expect(&ping(id)).await;
            if id <= answers {
                peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
            }
        }
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::Idle { .. }), "{reason}");
        assert_eq!(start.elapsed().as_secs(), 100, "{answers}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_else_comes_or_goes_still_puts_it_off() {
    let mut limits = Limits::unlimited();
    limits.idle_timeout = Some(SECOND * 100);
    let (mut peer, session) = pinged(limits).await;
    peer.expect(&ping(1)).await;
    session.notify("note", ()).await.expect("sent");
    sleep(SECOND * 10).await;
    let last = Instant::now();
    session.notify("note", ()).await.expect("sent");
    settled().await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    for _ in 0..2 {
        peer.line().await.expect("a note");
    }
    for id in 2..5 {
        peer.expect(&ping(id)).await;
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
    }
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Idle { .. }), "{reason}");
    assert_eq!(last.elapsed().as_secs(), 100);
}

/// What is not read cannot be heard.
#[tokio::test(start_paused = true)]
async fn time_in_which_nothing_is_read_does_not_count() {
    let mut limits = Limits::unlimited();
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#;
    // Nor is there room for one that waits.
    (limits.requests_in_flight, limits.request_bytes) = (1, request.len());
    let (mut peer, session) = pinged(limits).await;
    peer.write(format!("{request}\n{request}\n")).await;
    sleep(SECOND * 1000).await;
    assert!(!session.is_closed());
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_closing_finishes_its_requests_whatever_became_of_a_ping() {
    let gate = Gate::closed();
    let (mut peer, session) = pinged_by(&gate, Limits::unlimited()).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#).await;
    peer.expect(&ping(1)).await;
    session.start_close();
    sleep(SECOND * 1000).await;
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#).await;
    assert!(matches!(session.closed().await, CloseReason::Local));
}

#[tokio::test(start_paused = true)]
async fn a_server_asks_its_peers_too() {
    let server = Server::builder().keep_alive(KeepAlive::call("ping")).build().expect("no services");
    let handle = server.start();
    let (here, there) = rpc::transport::memory(1 << 10);
    let session = handle.attach(there);
    Raw::over(here).expect(&ping(1)).await;
    drop(session);
}
