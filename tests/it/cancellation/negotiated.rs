//! Unless something else is chosen: by `rpc.cancel`, with peers that know it.

use std::time::Duration;

use rpc::{
    CallError, Cancellation, Connector, Context, ErrorObject, KeepAlive, Limits, Params, Protocol, Router,
    Server, Session,
    transport::websocket::{WebSocket, WebSocketClient, WebSocketServer},
};
use rpc_tests::{
    Events, Gate, Raw, is_pending, settled, waiting,
    websocket::{WsPeer, answer, header, request as handshake},
};
use serde_json::Value;
use tokio::io::DuplexStream;
use tracing::Level;

use super::{CANCELLED, NOT_BEGUN, gated, request};

/// A caller as it is made where nothing is said of cancellation, and its peer.
async fn caller() -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| connector).await
}

/// A call that was sent and is given up.
fn given_up(session: &Session, method: &str) {
    let mut call = Box::pin(session.call::<Value>(method, ()).into_future());
    assert!(is_pending(&mut call));
}

fn asked(id: u32, call: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"rpc.cancel","params":{{"id":{call}}}}}"#)
}

fn told(call: impl std::fmt::Display) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"rpc.cancel","params":{{"id":{call}}}}}"#)
}

fn null(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":null}}"#)
}

// Ours.

#[tokio::test(start_paused = true)]
async fn the_first_call_that_is_given_up_asks_and_the_others_tell() {
    let (mut peer, session) = caller().await;
    given_up(&session, "a");
    given_up(&session, "b");
    let late = session.call::<Value>("c", ()).timeout(Duration::from_secs(1)).await;
    assert!(matches!(late, Err(CallError::Timeout(_))), "{late:?}");
    assert_eq!(session.calls_in_flight(), 0, "the question is no call of the application's");
    assert_eq!(session.statistics().calls_in_flight, 0);
    peer.expect(&request("1", "a")).await;
    peer.expect(&asked(2, 1)).await;
    peer.expect(&request("3", "b")).await;
    peer.expect(&request("4", "c")).await;
    peer.expect_silence().await;
    // Those that were given up meanwhile are not forgotten.
    peer.send(&null(2)).await;
    peer.expect(&told(3)).await;
    peer.expect(&told(4)).await;
    given_up(&session, "d");
    peer.expect(&request("5", "d")).await;
    peer.expect(&told(5)).await;
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_refuses_or_does_not_answer_is_told_no_more() {
    for refusal in [
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}"#,
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"not logged in"}}"#,
        // In no way that the version allows.
        r#"{"jsonrpc":"2.0","id":2,"result":1,"error":{"code":1,"message":"both"}}"#,
        "",
    ] {
        let events = Events::capture();
        let (mut peer, session) = caller().await;
        given_up(&session, "a");
        given_up(&session, "b");
        peer.expect(&request("1", "a")).await;
        peer.expect(&asked(2, 1)).await;
        peer.expect(&request("3", "b")).await;
        match refusal {
            "" => tokio::time::sleep(Duration::from_secs(31)).await,
            _ => peer.send(refusal).await,
        }
        settled().await;
        given_up(&session, "c");
        peer.expect(&request("4", "c")).await;
        peer.expect_silence().await;
        assert!(!session.is_closed());
        assert_eq!(session.calls_in_flight(), 0);
        let logged = events.of("the peer was asked whether calls can be taken back by `rpc.cancel`");
        assert_eq!(logged.len(), 1, "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_and_what_is_no_call_of_the_application_s_asks_nothing() {
    let (mut peer, session) = Raw::peer_with(|connector| {
        connector.keep_alive(KeepAlive::call("ping").interval(Duration::from_secs(20)))
    })
    .await;
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    peer.expect(&request("1", "a")).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":2}"#).await;
    settled().await;
    drop(call);
    // Pings whose answers come too late.
    for id in 2..5 {
        peer.expect(&request(&id.to_string(), "ping")).await;
        peer.send(r#"{"jsonrpc":"2.0","method":"alive"}"#).await;
    }
    session.close().await;
    while let Some(line) = peer.line().await {
        assert!(line.contains("ping"), "{line}");
    }
}

/// 1.0 cannot say it: whether that was chosen, or the peer has turned out to speak it.
#[tokio::test(start_paused = true)]
async fn a_peer_of_1_0_is_not_asked_and_nothing_is_said_of_it() {
    let events = Events::capture();
    for protocol in [Protocol::V1, Protocol::Detect] {
        let (mut peer, session) = Raw::peer_with(|connector| connector.protocol(protocol)).await;
        peer.send(r#"{"method":"news","params":[],"id":null}"#).await;
        settled().await;
        given_up(&session, "a");
        peer.expect(r#"{"method":"a","params":[],"id":1}"#).await;
        peer.expect_silence().await;
    }
    let warned: Vec<_> = events.all().into_iter().filter(|event| event.level <= Level::WARN).collect();
    assert!(warned.is_empty(), "{warned:?}");
}

// The peer's.

#[tokio::test(start_paused = true)]
async fn a_request_or_a_notification_takes_a_request_back() {
    for asks in [true, false] {
        let gate = Gate::closed();
        let (mut peer, session) = Raw::peer_with(|connector| connector.service(gated(&gate))).await;
        peer.send(&request("1", "wait")).await;
        settled().await;
        peer.send(&if asks { asked(7, 1) } else { told(1) }).await;
        peer.expect(CANCELLED).await;
        if asks {
            peer.expect(&null(7)).await;
        }
        assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));
        // What is done already is no mistake.
        peer.send(&told(1)).await;
        peer.send(&asked(8, 1)).await;
        peer.expect(&null(8)).await;
        assert_eq!(session.statistics().errors, 0);
        // It knows the custom: it is not asked.
        given_up(&session, "a");
        peer.expect(&request("1", "a")).await;
        peer.expect(&told(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_names_nothing_is_answered_and_does_nothing() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_with(|connector| connector.service(gated(&gate))).await;
    peer.send(&request("1", "wait")).await;
    for params in ["", r#","params":{}"#, r#","params":[2]"#, r#","params":{"id":"1"}"#, r#","params":[]"#] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":9,"method":"rpc.cancel"{params}}}"#)).await;
        peer.expect(&null(9)).await;
    }
    // What is no JSON is refused as everywhere.
    peer.send(r#"{"jsonrpc":"2.0","id":9,"method":"rpc.cancel","params":{"id":1,}}"#).await;
    let refused = peer.line().await.expect("an answer");
    assert!(refused.contains("-32700"), "{refused}");
    assert_eq!((gate.dropped(), session.requests_in_flight()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn it_works_within_a_batch_and_on_what_waits_for_its_turn() {
    let gate = Gate::closed();
    let (mut peer, _session) = Raw::peer_with(|connector| connector.service(gated(&gate))).await;
    peer.send(&request("0", "turn")).await;
    peer.send(&format!("[{},{},{}]", request("1", "turn"), asked(2, 1), request("3", "echo"))).await;
    peer.expect(&format!(r#"[{NOT_BEGUN},{},{{"jsonrpc":"2.0","id":3,"result":[]}}]"#, null(2))).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_a_method_of_that_name_is_called() {
    let own =
        || Router::new().method("rpc.cancel", async |_: Params, _: Context| Ok::<_, ErrorObject>("own"));
    let (mut peer, _session) = Raw::peer_with(|connector| connector.service(own())).await;
    peer.send(&asked(1, 1)).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":"own"}"#).await;
}

// Two of ours.

#[tokio::test(start_paused = true)]
async fn calls_that_were_given_up_do_not_keep_their_permits() {
    let gate = Gate::closed();
    let limits = Limits::server().with_requests_in_flight(4);
    let (here, there) = rpc::transport::memory(64 << 10);
    let serves =
        Connector::over(there).limits(limits).service(waiting(&gate)).connect().await.expect("connected");
    let calls = Connector::over(here).connect().await.expect("connected");
    // More than there are permits: those behind them wait over there.
    let late: Vec<_> = (0..20)
        .map(|_| {
            let call = calls.call::<Value>("wait", ()).timeout(Duration::from_secs(1));
            Box::pin(call.into_future())
        })
        .collect();
    for outcome in futures::future::join_all(late).await {
        assert!(matches!(outcome, Err(CallError::Timeout(_))), "{outcome:?}");
    }
    let start = tokio::time::Instant::now();
    assert_eq!(calls.call::<Value>("echo", (5,)).await.expect("a permit"), serde_json::json!([5]));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((serves.requests_in_flight(), gate.waiting()), (0, 0));
}

/// What each side says in the handshake decides, and no question is asked.
#[tokio::test(start_paused = true)]
async fn over_websocket_the_handshake_says_it() {
    for (headers, knows) in
        [("", false), ("Rpc-Notices: rpc.cancel\r\n", true), ("Rpc-Notices: rpc.ended\r\n", false)]
    {
        // The client is ours.
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = WsPeer::over(there, false);
        let url = "ws://localhost/".parse().expect("a URL");
        let options = WebSocketClient::new();
        let serving = async {
            let head = peer.head().await;
            let says = header(&head, "rpc-notices").expect("what it takes");
            assert!(says.split(", ").any(|word| word == "rpc.cancel"), "{says}");
            peer.write(answer(header(&head, "sec-websocket-key").expect("a key"), headers)).await;
        };
        let (connected, ()) = tokio::join!(WebSocket::connect(here, &url, &options), serving);
        let session =
            Connector::over_websocket(connected.expect("a handshake")).connect().await.expect("connected");
        expect_told(&mut peer, &session, knows).await;
        // The server is.
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = WsPeer::over(here, true);
        let asking = async {
            peer.write(handshake("localhost", "/", headers)).await;
            peer.head().await
        };
        let options = WebSocketServer::new();
        let (accepted, head) = tokio::join!(WebSocket::accept(there, &options), asking);
        assert_eq!(header(&head, "rpc-notices").is_some(), !headers.is_empty(), "{head}");
        let server = Server::builder().service(()).build().expect("a server").start();
        let session = server.attach_websocket(accepted.expect("a handshake"));
        expect_told(&mut peer, &session, knows).await;
    }
}

/// A call is given up; the next message is that, or a notification of the application's.
async fn expect_told(peer: &mut WsPeer<DuplexStream>, session: &Session, knows: bool) {
    given_up(session, "a");
    session.notify("next", ()).await.expect("sent");
    peer.expect(&request("1", "a")).await;
    if knows {
        peer.expect(&told(1)).await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","method":"next"}"#).await;
}

/// A peer was told in the handshake that this side takes it. Where it does not, that is no mistake of the peer's.
#[tokio::test(start_paused = true)]
async fn over_websocket_one_that_is_not_wanted_is_passed_over() {
    for chosen in [None, Some(Cancellation::LSP)] {
        let gate = Gate::closed();
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = WsPeer::over(here, true);
        let asking = async {
            peer.write(handshake("localhost", "/", "Rpc-Notices: rpc.cancel\r\n")).await;
            peer.head().await
        };
        let options = WebSocketServer::new();
        let (accepted, _) = tokio::join!(WebSocket::accept(there, &options), asking);
        let connector = Connector::over_websocket(accepted.expect("a handshake"));
        let session =
            connector.service(waiting(&gate)).cancellation(chosen).connect().await.expect("connected");
        peer.text(&request("1", "wait")).await;
        peer.text(&told(1)).await;
        settled().await;
        assert_eq!((gate.dropped(), session.statistics().errors), (0, 0));
        gate.open();
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#).await;
    }
}
