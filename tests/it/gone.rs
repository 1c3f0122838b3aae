//! A peer that has gone is noticed at once, also while nothing is read from it; and after the end of a stream replies go out until a
//! write fails or the time for a close is over.

use std::{
    io,
    pin::Pin,
    task::{Context as Cx, Poll},
    time::Duration,
};

use rpc::{CloseReason, Connector, Limits, Listen, Server, ServerHandle, testing};
use rpc_tests::{Authority, Gate, Raw, Relay, Scratch, reset, settled, soon, waiting};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    time::Instant,
};

/// How many requests a session works on at once here, and has room for.
const SERVED: usize = 20;

/// One more: from here on nothing is read.
const MORE_THAN_ARE_SERVED: usize = SERVED + 1;

fn requests(count: usize) -> String {
    (1..=count).map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"wait\"}}\n")).collect()
}

/// Handlers do not end by themselves: neither `request_timeout` nor `close_timeout` has anything to do with it.
fn patient() -> Limits {
    Limits::server()
        .with_requests_in_flight(SERVED)
        .with_request_bytes(requests(SERVED).len())
        .with_request_timeout(None)
        .with_close_timeout(None)
        .with_send_timeout(None)
}

async fn serving(at: Listen, gate: &Gate) -> ServerHandle {
    let server = Server::builder().service(waiting(gate)).limits(patient()).bind(at).await;
    server.expect("the place is free").start()
}

/// Everything that the peer has asked for is dropped, and its session is not listed any more.
async fn is_noticed(gate: &Gate, server: &ServerHandle, what: &str) {
    let gone = async {
        gate.until(|gate| gate.entered() > 0 && gate.waiting() == 0).await;
        while let Some(session) = server.sessions().first() {
            session.closed().await;
        }
    };
    let noticed = tokio::time::timeout(Duration::from_secs(5), gone).await;
    assert!(noticed.is_ok(), "{what}: {} handlers still run for a peer that is gone", gate.waiting());
    assert_eq!(gate.passed(), 0, "{what}");
}

#[tokio::test]
async fn a_reset_is_noticed_however_much_is_held() {
    for (held, unread) in [(5, 0), (MORE_THAN_ARE_SERVED, 0), (MORE_THAN_ARE_SERVED, 300_000)] {
        let gate = Gate::closed();
        let server = serving(Listen::at("tcp://127.0.0.1:0").expect("a URL"), &gate).await;
        let addr = server.endpoint().socket_addr().expect("an address");
        let mut peer = TcpStream::connect(addr).await.expect("it listens");
        peer.write_all(requests(held).as_bytes()).await.expect("sent");
        soon(gate.until(|gate| gate.waiting() == held.min(SERVED))).await;
        // More than a session reads ahead.
        let more = vec![b'\n'; unread];
        let sent = tokio::time::timeout(Duration::from_millis(200), peer.write_all(&more)).await;
        assert!(sent.is_err() || unread < 300_000 || held > SERVED, "it was read");
        reset(&peer);
        drop(peer);
        is_noticed(&gate, &server, &format!("{held} requests and {unread} bytes")).await;
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn a_reset_is_noticed_over_every_transport() {
    let authority = Authority::new();
    for scheme in ["tcp", "tls", "ws", "wss"] {
        for ends_first in [false, true] {
            let gate = Gate::closed();
            let at = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
            let at = match scheme {
                "tls" | "wss" => at.tls(authority.issue(&["localhost"]).server()),
                _ => at,
            };
            let server = serving(at, &gate).await;
            let relay = Relay::before(server.endpoint()).await;
            let connector = Connector::new(&format!("{scheme}://localhost:{}", relay.port())).expect("a URL");
            let connector = match scheme {
                "tls" | "wss" => connector.tls(authority.trusted()),
                _ => connector,
            };
            let client = soon(connector.connect()).await.expect("it listens");
            // The end of a stream is seen where nothing is held.
            let held = if ends_first { 5 } else { MORE_THAN_ARE_SERVED };
            let calls: Vec<_> = (0..held)
                .map(|_| {
                    let client = client.clone();
                    tokio::spawn(async move { client.call::<Value>("wait", ()).await })
                })
                .collect();
            soon(gate.until(|gate| gate.waiting() == held.min(SERVED))).await;
            if ends_first {
                relay.end_stream();
                let session = server.sessions().pop().expect("it is open");
                soon(async {
                    while !session.is_closed() {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
            }
            relay.reset().await;
            is_noticed(&gate, &server, &format!("{scheme}, after the end of the stream: {ends_first}")).await;
            for call in calls {
                call.abort();
            }
            soon(server.shutdown()).await;
        }
    }
}

/// A Unix socket whose peer has closed it takes nothing any more.
#[tokio::test]
async fn a_unix_socket_that_its_peer_has_closed_is_noticed() {
    for held in [1, 5, MORE_THAN_ARE_SERVED] {
        let (gate, directory) = (Gate::closed(), Scratch::new());
        let path = directory.path("socket");
        let at = Listen::at(&format!("unix:{}", path.display())).expect("a URL");
        let server = serving(at, &gate).await;
        let mut peer = UnixStream::connect(&path).await.expect("it listens");
        peer.write_all(requests(held).as_bytes()).await.expect("sent");
        soon(gate.until(|gate| gate.waiting() == held.min(SERVED))).await;
        drop(peer);
        is_noticed(&gate, &server, &format!("{held} requests")).await;
        soon(server.shutdown()).await;
    }
}

/// Half a close is none.
#[tokio::test]
async fn a_peer_that_closes_its_side_alone_gets_its_replies() {
    for held in [5, MORE_THAN_ARE_SERVED] {
        let (gate, directory) = (Gate::closed(), Scratch::new());
        let path = directory.path("socket");
        let unix = serving(Listen::at(&format!("unix:{}", path.display())).expect("a URL"), &gate).await;
        let mut peer = Raw::on(UnixStream::connect(&path).await.expect("it listens"));
        peer.write(requests(held)).await;
        peer.finish().await;
        soon(gate.until(|gate| gate.waiting() == held.min(SERVED))).await;
        gate.open();
        assert_eq!(peer.rest().await.len(), held, "over a Unix socket");
        soon(unix.shutdown()).await;

        let gate = Gate::closed();
        let tcp = serving(Listen::at("tcp://127.0.0.1:0").expect("a URL"), &gate).await;
        let mut peer = Raw::connect(tcp.endpoint()).await;
        peer.write(requests(held)).await;
        peer.finish().await;
        soon(gate.until(|gate| gate.waiting() == held.min(SERVED))).await;
        gate.open();
        assert_eq!(peer.rest().await.len(), held, "over TCP");
        soon(tcp.shutdown()).await;
    }
}

/// What comes while nothing is read is not lost, whatever was asked of the socket meanwhile.
#[tokio::test]
async fn what_was_sent_while_nothing_was_read_is_served_when_there_is_room() {
    let gate = Gate::closed();
    let server = serving(Listen::at("tcp://127.0.0.1:0").expect("a URL"), &gate).await;
    let mut peer = Raw::connect(server.endpoint()).await;
    let other = rpc::connect(&server.endpoint().to_string()).await.expect("it listens");
    let mut sent = 0;
    // Each piece wakes the session, which asks the socket and does not read it.
    for piece in [MORE_THAN_ARE_SERVED, 1, 1, 500, 1] {
        peer.write(requests(piece)).await;
        sent += piece;
        // All sockets were looked at meanwhile.
        soon(other.call::<Value>("echo", (1,))).await.expect("a reply");
    }
    assert_eq!(gate.waiting(), SERVED);
    gate.open();
    for _ in 0..sent {
        assert!(peer.line().await.expect("a reply").contains("result"));
    }
    // And what comes afterwards.
    assert!(peer.ask(&requests(1)).await.contains("result"));
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_session_that_closes_notices_that_its_peer_is_gone() {
    let gate = Gate::closed();
    let server = serving(Listen::at("tcp://127.0.0.1:0").expect("a URL"), &gate).await;
    let addr = server.endpoint().socket_addr().expect("an address");
    let mut peer = TcpStream::connect(addr).await.expect("it listens");
    peer.write_all(requests(2).as_bytes()).await.expect("sent");
    soon(gate.until(|gate| gate.waiting() == 2)).await;
    let session = server.sessions().pop().expect("it is open");
    session.start_close();
    reset(&peer);
    drop(peer);
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::Local), "what began the close is the reason: {reason}");
    assert_eq!(gate.waiting(), 0);
}

/// A thousand connections that are made and reset take the server's places for no longer than that.
#[tokio::test]
async fn connections_that_are_made_and_reset_shut_nobody_out() {
    let gate = Gate::closed();
    let mut limits = patient();
    limits.connections = 50;
    let server = Server::builder().service(waiting(&gate)).limits(limits).bind("tcp://127.0.0.1:0").await;
    let server = server.expect("a port is free").start();
    let addr = server.endpoint().socket_addr().expect("an address");
    for _ in 0..4 {
        let mut peers = Vec::new();
        for _ in 0..40 {
            let mut peer = TcpStream::connect(addr).await.expect("it listens");
            peer.write_all(requests(MORE_THAN_ARE_SERVED).as_bytes()).await.expect("sent");
            peers.push(peer);
        }
        soon(gate.until(|gate| gate.waiting() == 40 * SERVED)).await;
        peers.iter().for_each(reset);
        drop(peers);
        is_noticed(&gate, &server, "forty at once").await;
    }
    let honest = rpc::connect(&server.endpoint().to_string()).await.expect("it listens");
    soon(honest.call::<Value>("echo", (1,))).await.expect("there is room for it");
}

/// A stream of the user's, which nobody can ask: it fails when it is read to its end.
struct Failing<T> {
    io: T,
    left: usize,
}

impl<T: AsyncRead + Unpin> AsyncRead for Failing<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Cx<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, "broken")));
        }
        let mut bytes = vec![0; this.left.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut this.io).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        this.left -= part.filled().len();
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Failing<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Cx<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_the_users_that_fails_is_noticed_while_requests_are_held() {
    for closing in [false, true] {
        let (gate, asked) = (Gate::closed(), requests(MORE_THAN_ARE_SERVED));
        let (mut here, there) = rpc::transport::memory(64 << 10);
        let io = Failing { io: there, left: asked.len() + 100 };
        let session = testing::session(io, waiting(&gate), patient());
        here.write_all(asked.as_bytes()).await.expect("sent");
        settled().await;
        assert_eq!(gate.waiting(), SERVED);
        if closing {
            session.start_close();
        }
        settled().await;
        here.write_all(&[b'\n'; 100]).await.expect("sent");
        let reason = soon(session.closed()).await;
        match closing {
            true => assert!(matches!(reason, CloseReason::Local), "{reason:?}"),
            false => assert!(matches!(reason, CloseReason::Io(_)), "{reason:?}"),
        }
        settled().await;
        assert_eq!((gate.waiting(), gate.passed()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_is_bounded_and_taken_in_its_turn() {
    const CAPACITY: usize = 1_000;
    let gate = Gate::closed();
    let (here, there) = rpc::transport::memory(CAPACITY);
    let session = testing::session(there, waiting(&gate), patient());
    let (read, mut write) = tokio::io::split(here);
    write.write_all(requests(MORE_THAN_ARE_SERVED).as_bytes()).await.expect("sent");
    let mut taken = 0;
    while let Ok(sent) = tokio::time::timeout(Duration::from_secs(1), write.write(&[b'\n'; 500])).await {
        taken += sent.expect("the session is there");
        assert!(taken < 1_000_000, "there is no end to it");
    }
    // 64 KiB, and what the connection itself holds.
    assert!((60_000..70_000).contains(&taken), "{taken}");
    assert_eq!((gate.waiting(), session.is_closed()), (SERVED, false));
    gate.open();
    let mut peer = Raw::on(tokio::io::join(read, write));
    for _ in 0..MORE_THAN_ARE_SERVED {
        assert!(peer.line().await.expect("a reply").contains("result"));
    }
    assert!(peer.ask(&requests(1)).await.contains("result"));
}

/// After the end of the stream there is as much time for replies as for a close, and no more.
#[tokio::test(start_paused = true)]
async fn replies_go_out_after_the_end_of_the_stream_until_the_time_for_a_close_is_over() {
    for held in [5, MORE_THAN_ARE_SERVED] {
        let gate = Gate::closed();
        let mut limits = patient();
        limits.close_timeout = Some(Duration::from_secs(7));
        let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
        peer.write(requests(held)).await;
        peer.finish().await;
        settled().await;
        gate.let_through(3);
        for _ in 0..3 {
            assert!(peer.line().await.expect("a reply").contains("result"));
        }
        let start = Instant::now();
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::Peer), "{held}: {reason:?}");
        let took = start.elapsed();
        assert!(took > Duration::from_secs(6) && took < Duration::from_secs(8), "{held}: {took:?}");
        assert_eq!(gate.waiting(), 0);
    }
}

/// A write that fails ends it before.
#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_written_ends_a_session_whose_stream_has_ended() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), patient());
    peer.write(requests(MORE_THAN_ARE_SERVED)).await;
    settled().await;
    drop(peer);
    settled().await;
    assert_eq!(gate.waiting(), SERVED, "nobody can know yet that it is no half a close");
    gate.let_through(1);
    let start = Instant::now();
    soon(session.closed()).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    settled().await;
    assert_eq!(gate.waiting(), 0);
}
