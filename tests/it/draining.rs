//! A session that this side closes finishes what it has begun, and says of everything else that it was not begun. A server that shuts
//! down says so first, to peers that know what that means.

use rpc::{
    CallError, CloseReason, Connector, ErrorCode, Executed, Limits, Listen, Server, Session,
    transport::websocket::{WebSocket, WebSocketServer},
};
use rpc_tests::{
    Gate, Raw, echo, is_pending, marked, settled, soon, waiting,
    websocket::{WsPeer, request as handshake},
};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

fn request(id: u32, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[{id}]}}"#)
}

fn result(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#)
}

/// How a request is answered that is not begun any more.
fn refused(id: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-102,"message":"the session is closing","data":{{"executed":false}}}}}}"#
    )
}

const CLOSING: &str = r#"{"jsonrpc":"2.0","method":"rpc.closing"}"#;

/// A session of a server by hand that is over a stream, and the server.
fn served(gate: &Gate) -> (Raw<DuplexStream>, rpc::ServerHandle) {
    let limits = Limits::server().with_requests_in_flight(2);
    let server = Server::builder().service(waiting(gate)).limits(limits).build().expect("a server").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    server.attach(there);
    (Raw::over(here), server)
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_session_drains_was_not_executed() {
    for shuts_down in [false, true] {
        let gate = Gate::closed();
        let (mut peer, server) = served(&gate);
        for id in 1..=3 {
            peer.send(&request(id, "wait")).await;
        }
        settled().await;
        let session = server.sessions().pop().expect("it is open");
        if shuts_down {
            tokio::spawn(async move { server.shutdown().await });
        } else {
            session.start_close();
        }
        // The one that waited for a permit.
        peer.expect(&refused(3)).await;
        peer.send(&request(4, "echo")).await;
        peer.expect(&refused(4)).await;
        peer.send(&format!("[{},{}]", request(5, "wait"), request(6, "nowhere"))).await;
        peer.expect(&format!("[{},{}]", refused(5), refused(6))).await;
        // Nobody would learn what became of it.
        peer.send(r#"{"jsonrpc":"2.0","method":"wait"}"#).await;
        peer.send("{").await;
        assert!(peer.line().await.expect("an answer").contains("-32700"));
        // What is taken back ends: there is less to wait for.
        peer.send(r#"{"jsonrpc":"2.0","method":"rpc.cancel","params":{"id":1}}"#).await;
        assert!(peer.line().await.expect("an answer").contains("-32800"));
        assert_eq!((gate.entered(), gate.waiting(), session.requests_in_flight()), (2, 1, 1));
        gate.open();
        peer.expect(&result(2)).await;
        peer.expect_end().await;
    }
}

/// It sees no end to what it asks.
#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_on_asking_does_not_keep_the_session() {
    let gate = Gate::closed();
    let (mut peer, server) = served(&gate);
    peer.send(&request(1, "wait")).await;
    settled().await;
    let session = server.sessions().pop().expect("it is open");
    session.start_close();
    let start = tokio::time::Instant::now();
    let mut asked = 1;
    while start.elapsed().as_secs() < 29 {
        asked += 1;
        peer.send(&request(asked, "echo")).await;
        peer.expect(&refused(asked)).await;
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Local), "{reason:?}");
    assert!((29..=31).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(gate.waiting(), 0);
}

/// One that has said in one way or another that it knows of this crate.
#[tokio::test(start_paused = true)]
async fn a_peer_that_knows_what_it_means_is_told_of_a_shutdown_and_no_other() {
    let said = [
        (None, false),
        (Some(marked(r#"{"jsonrpc":"2.0","id":1,"method":"nowhere"}"#)), false),
        (Some(r#"{"jsonrpc":"2.0","id":1,"method":"rpc.cancel","params":{"id":7}}"#.to_owned()), true),
    ];
    for (said, told) in said {
        for shuts_down in [true, false] {
            let gate = Gate::closed();
            let (mut peer, server) = served(&gate);
            if let Some(said) = &said {
                peer.ask(said).await;
            }
            peer.send(&request(2, "wait")).await;
            settled().await;
            match shuts_down {
                true => drop(tokio::spawn(async move { server.shutdown().await })),
                false => server.sessions().pop().expect("it is open").start_close(),
            }
            if told && shuts_down {
                peer.expect(CLOSING).await;
            }
            peer.expect_silence().await;
            gate.open();
            peer.expect(&result(2)).await;
            peer.expect_end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn over_websocket_the_handshake_says_who_is_told() {
    for (headers, told) in [("", false), ("Rpc-Notices: rpc.closing\r\n", true)] {
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = WsPeer::over(here, true);
        let asking = async {
            peer.write(handshake("localhost", "/", headers)).await;
            peer.head().await
        };
        let options = WebSocketServer::new();
        let (accepted, _) = tokio::join!(WebSocket::accept(there, &options), asking);
        let gate = Gate::closed();
        let server = Server::builder().service(waiting(&gate)).build().expect("a server").start();
        server.attach_websocket(accepted.expect("a handshake"));
        peer.text(&request(1, "wait")).await;
        settled().await;
        let stopping = tokio::spawn(async move { server.shutdown().await });
        settled().await;
        if told {
            peer.expect(CLOSING).await;
        }
        peer.text(&request(2, "wait")).await;
        peer.expect(&refused(2)).await;
        gate.open();
        peer.expect(&result(1)).await;
        assert_eq!(peer.closed().await.0, 1001);
        peer.answer_close(1001).await;
        stopping.await.expect("no panic");
    }
}

/// A server with one session of a client that is told of its shutdown.
async fn knowing(at: Listen, gate: &Gate) -> (rpc::ServerHandle, Session) {
    let server = Server::builder().service(waiting(gate)).bind(at).await.expect("a place is free").start();
    let client =
        Connector::new(&server.endpoint().to_string()).expect("a URL").connect().await.expect("it listens");
    // Where there is no handshake, a call that is given up says it.
    let mut given_up = Box::pin(client.call::<Value>("wait", ()).into_future());
    assert!(is_pending(&mut given_up));
    drop(given_up);
    soon(client.call::<Value>("echo", ())).await.expect("a reply");
    (server, client)
}

#[tokio::test]
async fn a_client_that_is_told_sends_nothing_more_and_is_still_answered() {
    for scheme in ["tcp", "ws"] {
        let gate = Gate::closed();
        let (server, client) =
            knowing(Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL"), &gate).await;
        let mut under_way = Box::pin(client.call::<Value>("wait", (5,)).into_future());
        assert!(is_pending(&mut under_way));
        soon(gate.until(|gate| gate.waiting() == 1)).await;
        let stopping = tokio::spawn(async move { server.shutdown().await });
        let refused = soon(async {
            loop {
                match client.call::<Value>("echo", (1,)).await {
                    Ok(_) => {}
                    // It had left before this side was told.
                    Err(CallError::Rpc(error)) => {
                        assert_eq!(error.code(), ErrorCode::SERVER_BUSY, "{error:?}");
                        assert_eq!(error.executed(), Executed::No, "{error:?}");
                    }
                    Err(other) => break other,
                }
            }
        })
        .await;
        assert!(
            matches!(refused, CallError::Closed { reason: CloseReason::Shutdown, .. }),
            "{scheme}: {refused:?}"
        );
        assert!(!client.is_closed());
        gate.open();
        assert_eq!(soon(under_way).await.expect("its reply"), json!([5]));
        let reason = soon(client.closed()).await;
        assert!(matches!(reason, CloseReason::Shutdown), "{scheme}: {reason:?}");
        soon(stopping).await.expect("no panic");
    }
}

/// A service may have a method of that name.
#[tokio::test(start_paused = true)]
async fn a_method_of_that_name_is_called() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    peer.send(CLOSING).await;
    settled().await;
    let refused = session.call::<Value>("a", ()).await;
    assert!(matches!(refused, Err(CallError::Closed { reason: CloseReason::Shutdown, .. })), "{refused:?}");
    let own = rpc::Router::new()
        .method("rpc.closing", async |_: rpc::Params, _: rpc::Context| Ok::<_, rpc::ErrorObject>(()));
    let (mut peer, session) = Raw::peer_of(own, Limits::server());
    peer.send(CLOSING).await;
    settled().await;
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
}

#[tokio::test]
async fn a_client_that_is_told_knows_the_cause_where_the_shutdown_is_forced() {
    for scheme in ["tcp", "ws"] {
        let gate = Gate::closed();
        let mut limits = Limits::server();
        limits.close_timeout = Some(std::time::Duration::from_millis(200));
        let at = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL").limits(limits);
        let (server, client) = knowing(at, &gate).await;
        let calls = [1, 2].map(|n| client.call::<Value>("wait", (n,)).without_timeout().into_future());
        let [mut one, mut other] = calls.map(Box::pin);
        assert!(is_pending(&mut one) && is_pending(&mut other));
        soon(gate.until(|gate| gate.waiting() == 2)).await;
        soon(server.shutdown()).await;
        for call in [one, other] {
            let error = soon(call).await.expect_err("it was given up");
            assert!(
                matches!(error, CallError::Closed { reason: CloseReason::Shutdown, .. }),
                "{scheme}: {error:?}"
            );
        }
        assert_eq!(soon(client.closed()).await, CloseReason::Shutdown, "{scheme}");
    }
}
