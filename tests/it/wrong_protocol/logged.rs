//! What the log of a server has of peers that speak something else: what came and what to do, and not as often as they like.

use rpc::{Listen, Server, ServerHandle};
use rpc_tests::{Event, Events, Issued, echo, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tracing::Level;

const LINE: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What is sent to which listener, how that begins in the log, and what the advice names.
const STRANGERS: [(&str, &str, &str, &str); 6] = [
    ("tcp", REQUEST, r"GET / HTTP/1.1\r\n", "`http://`"),
    ("http", LINE, r#"{\"jsonrpc\":\"2.0\""#, "`NewlineFramer::new()`"),
    ("ws", LINE, r#"{\"jsonrpc\":\"2.0\""#, "`NewlineFramer::new()`"),
    ("tls", LINE, r#"{\"jsonrpc\":\"2.0\""#, "`tcp://`"),
    ("https", REQUEST, r"GET / HTTP/1.1\r\n", "`http://`"),
    ("wss", REQUEST, r"GET / HTTP/1.1\r\n", "`ws://`"),
];

async fn listening(scheme: &str) -> ServerHandle {
    let at = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
    let at = match scheme {
        "tls" | "https" | "wss" => at.tls(Issued::by_itself(&["localhost"]).server()),
        _ => at,
    };
    Server::builder().service(echo()).bind(at).await.expect("a port is free").start()
}

/// All that one is told that sends `bytes`.
async fn told(server: &ServerHandle, bytes: &str) -> String {
    let addr = server.endpoint().socket_addr().expect("an address");
    let mut peer = TcpStream::connect(addr).await.expect("it listens");
    peer.write_all(bytes.as_bytes()).await.expect("it is read");
    let mut told = Vec::new();
    soon(peer.read_to_end(&mut told)).await.expect("it ends well");
    String::from_utf8_lossy(&told).into_owned()
}

fn of_strangers(events: &Events) -> Vec<Event> {
    let is_one = |event: &Event| event.message.starts_with("a peer speaks another protocol");
    events.all().into_iter().filter(is_one).collect()
}

#[tokio::test]
async fn it_is_told_of_ten_a_minute_and_has_all_of_them_where_somebody_looks_closely() {
    for (scheme, bytes, beginning, advice) in STRANGERS {
        let server = listening(scheme).await;
        let events = Events::capture();
        for _ in 0..25 {
            told(&server, bytes).await;
        }
        soon(events.until(|events| of_strangers(events).len() == 25)).await;
        let all = of_strangers(&events);
        let shown: Vec<_> = all.iter().filter(|event| event.level == Level::INFO).collect();
        assert_eq!(shown.len(), 10, "{scheme}");
        assert!(all.iter().all(|event| event.level >= Level::INFO), "{scheme}: {all:?}");
        for event in all {
            assert!(event.field("found").starts_with(beginning), "{scheme}: {event:?}");
            // It is escaped already.
            assert!(!event.texts.contains("found"), "{scheme}: {event:?}");
            assert!(event.field("advice").contains(advice), "{scheme}: {event:?}");
            assert_ne!(event.field("network.peer.address"), "", "{scheme}");
        }
        assert!(
            !events.all().iter().any(|event| event.message == "a handshake has failed"),
            "{scheme}: twice"
        );
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn a_client_without_websocket_is_told_what_to_do_on_its_own_side() {
    let server = listening("ws").await;
    let told = told(&server, LINE).await;
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    for fact in
        ["JSON-RPC in lines", "connect to `ws://`", "server listen at `tcp://`", "`NewlineFramer::new()`"]
    {
        assert!(told.contains(fact), "{fact}: {told}");
    }
    // That would be the server's.
    assert!(!told.contains("this side"), "{told}");
    soon(server.shutdown()).await;
}
