//! The keep-alive of a library is answered while a large reply of ours is on its way to it over a slow line, and where nothing else is.

use std::net::Ipv4Addr;

use rpc::{
    Connector, Endpoint, Server, ServerHandle, Session,
    transport::websocket::{WebSocket, WebSocketClient, WebSocketServer},
};
use rpc_tests::Gate;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    peer::{Library, Peer},
    road::{Keys, patient, service},
};
use crate::driven::soon;

/// The size of the reply: more than `Limits::outgoing_bytes`, beyond which no requests are read.
const SIZE: usize = 6_000_000;

/// A line that passes `most` bytes of what we send for each piece that the peer sends. So the reply needs many pings; and as long as the
/// last ping was not answered, no peer sends another.
async fn pass(mut ours: DuplexStream, mut peer: TcpStream, most: usize, heard: watch::Sender<u32>) {
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut credit = most;
    loop {
        tokio::select! {
            read = peer.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                ours.write_all(&up[..read]).await.expect("our side is there");
                credit = most;
                heard.send_modify(|count| *count += 1);
            }
            read = ours.read(&mut down), if credit > 0 => {
                let Ok(read @ 1..) = read else { return };
                peer.write_all(&down[..read]).await.expect("the peer is there");
                credit = credit.saturating_sub(read);
            }
        }
    }
}

/// Where such a line is.
struct Slow {
    session: Session,
    /// How many pieces the peer has sent.
    heard: watch::Receiver<u32>,
    _server: Option<ServerHandle>,
}

impl Slow {
    /// Nothing but the line's own 64 KiB lies between our side and the peer's socket.
    async fn open(peer: &mut Peer, is_served: bool, heartbeat: f64, most: usize) -> Self {
        let mut limits = patient();
        limits.reply_size = 2 * SIZE;
        let service = service(&Gate::closed());
        let (line, io) = rpc::transport::memory(64 << 10);
        let (hears, heard) = watch::channel(0);
        if is_served {
            let port = peer.run("listen", json!([false, heartbeat])).await.as_u64().expect("a port");
            let port = u16::try_from(port).expect("a port");
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the peer listens");
            tokio::spawn(pass(line, stream, most, hears));
            let url: Endpoint = format!("ws://127.0.0.1:{port}/").parse().expect("a URL");
            let websocket = soon(WebSocket::connect(io, &url, &WebSocketClient::new())).await;
            let connector = Connector::over_websocket(websocket.expect("a handshake"));
            let session = connector.service(service).limits(limits).connect().await.expect("it is open");
            peer.run("accepted", json!([])).await;
            return Self { session, heard, _server: None };
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("ws://{}/", listener.local_addr().expect("it is bound"));
        let server = Server::builder().service(service).limits(limits).build().expect("one service").start();
        let accept = async {
            let (stream, _) = listener.accept().await.expect("the peer connects");
            tokio::spawn(pass(line, stream, most, hears));
            WebSocket::accept(io, &WebSocketServer::new()).await.expect("a handshake")
        };
        let opened = peer.run("open", json!([url, heartbeat]));
        let (websocket, opened) = soon(async { tokio::join!(accept, opened) }).await;
        assert_eq!(opened, Value::Null);
        Self { session: server.attach_websocket(websocket), heard, _server: Some(server) }
    }
}

/// The library pings so often, in seconds, and the line passes `most` bytes each time. It is a client, and a server.
async fn pings_are_answered(library: Library, heartbeat: f64, most: usize) {
    let keys = Keys::new();
    let it_is = async |is_served| {
        let mut peer = Peer::start(library, &keys).await;
        let mut slow = Slow::open(&mut peer, is_served, heartbeat, most).await;
        assert_eq!(peer.run("long", json!([SIZE])).await, true);

        // With the second of these, the first was answered.
        let before = *slow.heard.borrow();
        soon(slow.heard.wait_for(|heard| *heard >= before + 2)).await.expect("the peer is there");
        assert!(slow.session.close_reason().is_none());
        let echo = soon(slow.session.call::<[u8; 1]>("echo", (7,)).into_future()).await;
        assert_eq!(echo.expect("the peer is there"), [7]);
        slow.session.abort();
        assert_eq!(peer.run("ended", json!([])).await["code"], 1006);
    };
    tokio::join!(it_is(false), it_is(true));
}

#[tokio::test]
async fn pings_of_ws_are_answered_within_a_large_reply_and_while_nothing_else_is_said() {
    pings_are_answered(Library::Ws, 0.02, 300_000).await;
}

#[tokio::test]
async fn pings_of_websockets_are_answered_within_a_large_reply_and_while_nothing_else_is_said() {
    pings_are_answered(Library::Websockets, 0.02, 300_000).await;
}

/// It gives a pong half of the time between two pings, and sends none while anything comes.
#[tokio::test]
async fn pings_of_aiohttp_are_answered_within_a_large_reply_and_while_nothing_else_is_said() {
    pings_are_answered(Library::Aiohttp, 2.0, 3_000_000).await;
}
