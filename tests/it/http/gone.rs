//! A client that is gone is noticed while its requests are held, and nothing is read from it.

use std::time::Duration;

use rpc::{Limits, Listen, Server, ServerHandle};
use rpc_tests::{Authority, Gate, reset, soon, waiting};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::tls::stranger;

/// A call that waits, as it is over HTTP/1.1.
fn request(id: u32) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait","params":[]}}"#);
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// A server with room for one connection, where no time limit ends anything.
async fn serving(gate: &Gate, at: Listen) -> ServerHandle {
    let mut limits = Limits::server();
    (limits.request_timeout, limits.close_timeout, limits.send_timeout) = (None, None, None);
    limits.connections = 1;
    let server = Server::builder().service(waiting(gate)).limits(limits).bind(at).await;
    server.expect("a port is free").start()
}

/// Has as many requests on their way as `held`, of which the first is worked on.
async fn ask(peer: &mut (impl AsyncWrite + Unpin), held: u32, gate: &Gate) {
    let requests: String = (1..=held).map(request).collect();
    peer.write_all(requests.as_bytes()).await.expect("it reads");
    peer.flush().await.expect("it reads");
    soon(gate.until(|gate| gate.waiting() == 1)).await;
}

/// The handler is dropped, nothing else has begun, and there is room for another connection.
async fn expect_noticed(server: &ServerHandle, gate: &Gate, what: &str) {
    let noticed = tokio::time::timeout(Duration::from_secs(5), gate.until(|gate| gate.dropped() == 1)).await;
    assert!(noticed.is_ok(), "{what}: the handler still runs for a client that is gone");
    assert_eq!((gate.entered(), gate.passed()), (1, 0), "{what}");
    // A moment after the handler is dropped.
    soon(async {
        while stranger_is_refused(server).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whether there is no room for another connection. In TLS, one that is refused hears nothing.
async fn stranger_is_refused(server: &ServerHandle) -> bool {
    let addr = server.endpoint().socket_addr().expect("an address");
    let mut next = TcpStream::connect(addr).await.expect("it listens");
    let mut said = [0; 1];
    tokio::time::timeout(Duration::from_millis(20), next.read(&mut said)).await.is_ok()
}

#[tokio::test]
async fn a_reset_is_noticed_however_many_requests_are_held() {
    for held in [1, 2, 3, 100] {
        let gate = Gate::closed();
        let server = serving(&gate, Listen::at("http://127.0.0.1:0").expect("a URL")).await;
        let addr = server.endpoint().socket_addr().expect("an address");
        let mut peer = TcpStream::connect(addr).await.expect("it listens");
        ask(&mut peer, held, &gate).await;
        reset(&peer);
        drop(peer);
        expect_noticed(&server, &gate, &format!("{held} requests")).await;
    }
}

#[tokio::test]
async fn a_reset_is_noticed_over_tls() {
    for held in [1, 2, 100] {
        let (gate, authority) = (Gate::closed(), Authority::new());
        let at = Listen::at("https://127.0.0.1:0").expect("a URL");
        let server = serving(&gate, at.tls(authority.issue(&["localhost"]).server())).await;
        let mut peer = stranger(&authority, &server).await;
        ask(&mut peer, held, &gate).await;
        reset(peer.get_ref().0);
        drop(peer);
        expect_noticed(&server, &gate, &format!("{held} requests")).await;
    }
}

/// The end of a stream is no hang-up as long as there are requests behind the one at hand.
#[tokio::test]
async fn requests_before_the_end_of_a_stream_are_answered() {
    let gate = Gate::closed();
    let server = serving(&gate, Listen::at("http://127.0.0.1:0").expect("a URL")).await;
    let addr = server.endpoint().socket_addr().expect("an address");
    let mut peer = TcpStream::connect(addr).await.expect("it listens");
    ask(&mut peer, 2, &gate).await;
    peer.shutdown().await.expect("it is there");
    // The handler of the second begins when the first is answered.
    gate.let_through(1);
    soon(gate.until(|gate| gate.passed() == 1)).await;
    let mut said = [0; 15];
    soon(peer.read_exact(&mut said)).await.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 200 OK");
}
