//! What is logged: the attributes have the names that OpenTelemetry gives them.

use rpc::{Connector, Limits, Server, Session, framing::ContentLengthFramer, testing};
use rpc_tests::{CalcClient, CalcServer, Events, Gate, MyCalc, Raw, echo, settled, waiting};
use serde_json::Value;
use tracing::Level;

#[tokio::test(start_paused = true)]
async fn the_life_of_a_session_is_logged() {
    let events = Events::capture();
    let (here, there) = rpc::transport::memory(64);
    let session = testing::session(there, echo(), Limits::server());
    drop(here);
    session.closed().await;
    settled().await;
    let [opened] = &events.of("session opened")[..] else { panic!("{:?}", events.all()) };
    assert_eq!(opened.field("rpc.system.name"), "jsonrpc");
    assert_eq!(opened.field("network.peer.address"), "memory:");
    assert_eq!(opened.field("network.transport"), "memory");
    assert_eq!(opened.field("session"), session.id().to_string());
    let [closed] = &events.of("session closed")[..] else { panic!("{:?}", events.all()) };
    assert_eq!(closed.field("rpc.system.name"), "jsonrpc");
    assert_eq!(closed.field("network.peer.address"), "memory:");
    assert_eq!(closed.field("reason"), "closed by the peer");
}

#[tokio::test(start_paused = true)]
async fn calls_and_requests_are_logged() {
    let events = Events::capture();
    let (session, peer) = testing::pair((), CalcServer::new(MyCalc));
    CalcClient::from(session.clone()).add(1, 2).await.expect("add");
    let [call] = &events.of("call")[..] else { panic!("{:?}", events.all()) };
    assert_eq!((call.field("rpc.system.name"), call.field("rpc.method")), ("jsonrpc", "add"));
    assert_eq!(call.field("session"), session.id().to_string());
    let [request] = &events.of("request")[..] else { panic!("{:?}", events.all()) };
    assert_eq!((request.field("rpc.system.name"), request.field("rpc.method")), ("jsonrpc", "add"));
    assert_eq!(request.field("jsonrpc.request.id"), "1");
    assert_eq!(request.field("session"), peer.id().to_string());
}

#[tokio::test(start_paused = true)]
async fn errors_are_logged_with_their_code_and_who_caused_them() {
    let events = Events::capture();
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    for (line, message, code, id) in [
        (r#"{"jsonrpc":"2.0","id":"x","method":"unknown"}"#, "request", "-32601", "\"x\""),
        (r#"{"jsonrpc":"2.0","id":5}"#, "request refused", "-32600", "5"),
        ("rubbish", "request refused", "-32700", "null"),
    ] {
        peer.ask(line).await;
        let refused = events.of(message).pop().expect("an event");
        assert_eq!(refused.field("rpc.response.status_code"), code);
        assert_eq!(refused.field("jsonrpc.request.id"), id);
        assert_eq!(refused.field("network.peer.address"), "memory:");
        assert_eq!(refused.field("rpc.system.name"), "jsonrpc");
        assert!(!refused.field("error").is_empty());
    }
}

#[tokio::test]
async fn a_peer_over_tcp_is_logged_with_its_address() {
    let events = Events::capture();
    let server = Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free");
    let endpoint = server.endpoint().to_string();
    let handle = server.start();
    let session = Connector::new(&endpoint).expect("an endpoint").connect().await.expect("it listens");
    session.call::<Vec<u8>>("echo", (1,)).await.expect("echo");
    let opened = events.of("session opened");
    let addresses: Vec<_> = opened.iter().map(|event| event.field("network.peer.address")).collect();
    assert!(addresses.contains(&endpoint.as_str()), "the client's: {addresses:?}");
    assert_eq!(addresses.len(), 2);
    handle.shutdown().await;
}

/// Framed in whatever way, split or not, and waiting for a place or not.
#[tokio::test(start_paused = true)]
async fn every_message_is_shown_once_to_whoever_asks_for_it() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    // So narrow that everything leaves in several pieces.
    let (here, there) = rpc::transport::memory(16);
    let events = Events::capture();
    let server = Connector::over(there).framer(ContentLengthFramer::new()).limits(limits);
    let server = server.service(waiting(&gate)).connect().await.expect("connected already");
    let client =
        Connector::over(here).framer(ContentLengthFramer::new()).connect().await.expect("it is there");
    let (waited, echoed, noted, ()) = tokio::join!(
        client.call::<Value>("wait", (1,)),
        client.call::<Value>("echo", ("two\n",)),
        client.notify("echo", ()),
        async {
            settled().await;
            gate.open();
        }
    );
    assert!(waited.is_ok() && echoed.is_ok() && noted.is_ok());
    settled().await;
    let requests = [
        r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":["two\n"]}"#,
        r#"{"jsonrpc":"2.0","method":"echo"}"#,
    ];
    let replies =
        [r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#, r#"{"jsonrpc":"2.0","id":2,"result":["two\n"]}"#];
    let shown = |message, session: &Session| {
        let events = events.of(message).into_iter();
        let own = events.filter(|event| event.field("session") == session.id().to_string());
        own.map(|event| {
            assert_eq!((event.level, event.field("rpc.system.name")), (Level::TRACE, "jsonrpc"));
            event.field("text").to_owned()
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(shown("message sent", &client), requests);
    assert_eq!(shown("message received", &server), requests);
    assert_eq!(shown("message sent", &server), replies);
    assert_eq!(shown("message received", &client), replies);
}
