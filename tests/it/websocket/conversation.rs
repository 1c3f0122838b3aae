//! What goes over a WebSocket, and in what it is packed.

use std::sync::Arc;

use futures::StreamExt;
use rpc::{CallError, Connector, Limits, Server, Session, transport::websocket::WebSocketServer};
use rpc_tests::{
    CalcClient, CalcServer, Counts, DivError, MyCalc, WorkClient, WorkServer, Worker, echo,
    websocket::{BINARY, TEXT, WsPeer, served},
};

/// A client and a server over TCP, each serving the other.
async fn pair(url: &str, limits: Limits) -> (Session, Session) {
    let (sessions, mut accepted) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::builder()
        .service(CalcServer::new(MyCalc))
        .limits(limits.clone())
        .session(move |session: &Session| {
            sessions.send(session.clone()).expect("the test waits for it");
            WorkServer::new(Worker(Arc::new(Counts::default())))
        })
        .bind(url)
        .await
        .expect("it is free")
        .start();
    let connector = Connector::new(&server.endpoint().to_string()).expect("a URL").limits(limits);
    let session = connector.service(CalcServer::new(MyCalc)).connect().await.expect("it listens");
    (session, accepted.recv().await.expect("a session"))
}

#[tokio::test]
async fn both_sides_call_each_other_and_subscribe() {
    for url in ["ws://127.0.0.1:0", "ws://localhost:0/some/path?and=query", "ws://[::1]:0/"] {
        let (session, accepted) = pair(url, Limits::server()).await;
        for caller in [&session, &accepted] {
            let calc = CalcClient::from(caller.clone());
            assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
            assert!(matches!(calc.div(1, 0).await, Err(CallError::Service(DivError::ByZero))));
            calc.log("unanswered").await.expect("sent");
            let (sum, greeting) = caller.batch((calc.add(1, 2), calc.greet("Änn"))).await.expect("answered");
            assert_eq!((sum.expect("a sum"), greeting.expect("one").as_str()), (3, "Hello, Änn"));
            let sums = futures::future::join_all((0..300).map(|n| calc.add_later(n, 1).into_future())).await;
            assert!(sums.into_iter().zip(1..).all(|(sum, expected)| sum.expect("a sum") == expected));
        }
        let counted = WorkClient::from(session.clone()).count(0, 100).await.expect("subscribed");
        let counted: Vec<u64> = counted.map(|item| item.expect("a number")).collect().await;
        assert_eq!(counted, (0..100).collect::<Vec<_>>());
        assert_eq!(session.peer().scheme(), "ws");
        assert_eq!(accepted.peer().scheme(), "ws");
    }
}

#[tokio::test]
async fn messages_of_many_megabytes_pass_both_ways() {
    let mut limits = Limits::server();
    (limits.frame_size, limits.outgoing_bytes) = (20 << 20, 20 << 20);
    let (session, accepted) = pair("ws://127.0.0.1:0", limits).await;
    for caller in [&session, &accepted] {
        let calc = CalcClient::from(caller.clone());
        for characters in [1 << 15, (1 << 16) - 40, 1 << 16, 3 << 20] {
            // Characters of three bytes fall on every place where fragments may be cut.
            let long = "€".repeat(characters);
            let calls = (0..2).map(|_| calc.greet(&long).into_future());
            for greeting in futures::future::join_all(calls).await {
                assert_eq!(greeting.expect("a greeting").len(), "Hello, ".len() + long.len());
            }
        }
    }
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["ü"]}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":["ü"]}"#;

#[tokio::test(start_paused = true)]
async fn texts_go_out_and_either_kind_comes_in() {
    let (mut peer, session) = served(echo()).await;
    peer.text(CALL).await;
    peer.expect(ANSWER).await;
    // Binary with text inside.
    peer.frame(BINARY, CALL).await;
    peer.expect(ANSWER).await;
    assert_eq!(session.statistics().errors, 0);
    // And with none: that is the message's own affair, and not the connection's.
    peer.frame(BINARY, b"\xff\xfe").await;
    let (first, answer) = peer.next().await.expect("an error");
    assert_eq!(first, TEXT);
    assert!(answer.starts_with(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"#));
    peer.text(CALL).await;
    peer.expect(ANSWER).await;
}

#[tokio::test(start_paused = true)]
async fn binary_messages_go_out_where_that_is_asked_for() {
    let options = WebSocketServer::new().binary();
    let (mut peer, _session) =
        WsPeer::client_of_narrow(4096, &options, |connector| connector.service(echo())).await;
    for first in [TEXT, BINARY] {
        peer.frame(first, CALL).await;
        assert_eq!(peer.next().await, Some((BINARY, ANSWER.into())));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_together_is_answered_together() {
    // The answers leave in one write: a pipe that holds no more would give them in pieces otherwise.
    let (mut peer, session) = served(echo()).await;
    let asked = rpc_tests::websocket::frame(TEXT, CALL.as_bytes(), true).repeat(100);
    peer.write(asked).await;
    for _ in 0..100 {
        peer.expect(ANSWER).await;
    }
    let statistics = session.statistics();
    assert_eq!((statistics.messages_received, statistics.messages_sent), (100, 100));
}
