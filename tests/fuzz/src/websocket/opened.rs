//! A session over a WebSocket, and the other end of its connection, where bytes are bytes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc::{
    Connector, Endpoint, Limits, Message, MessageSession,
    framing::FrameError,
    transport::websocket::{WebSocket, WebSocketClient, WebSocketServer},
};
use rpc_tests::websocket::{answer, header, request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::watch,
    time::Instant,
};

use super::schedule::Setup;

/// A peer that reads nothing, and a handler, are not waited for without end: then a close is forced.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A message that may be anything.
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Message for Raw {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        Ok(Self(frame.to_vec()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Messages, and when their handlers began.
pub(crate) type Taken = Arc<Mutex<Vec<(Instant, Vec<u8>)>>>;

pub(crate) struct Opened {
    pub(crate) session: MessageSession<Raw>,
    /// What the session's handlers have been given.
    pub(crate) taken: Taken,
    /// Whether handlers wait.
    pub(crate) holds: watch::Sender<bool>,
    pub(crate) from: ReadHalf<DuplexStream>,
    pub(crate) to: WriteHalf<DuplexStream>,
}

/// Opens a session of messages. `early` comes from the peer in one piece with its part of the handshake.
pub(crate) async fn open(setup: &Setup, early: &[u8]) -> Opened {
    let (holds, held) = watch::channel(false);
    let taken = Taken::default();
    let take = {
        let taken = Arc::clone(&taken);
        move |_: MessageSession<Raw>, Raw(message): Raw| {
            taken.lock().expect("nothing panics").push((Instant::now(), message));
            let mut held = held.clone();
            async move { drop(held.wait_for(|held| !held).await) }
        }
    };
    let over = |websocket| Connector::over_websocket(websocket).limits(limits(setup));
    let (session, (from, to)) = shaken(setup, early, async |websocket| {
        over(websocket).connect_messages(take).await.expect("the two are connected already")
    })
    .await;
    Opened { session, taken, holds, from, to }
}

/// Nothing is bounded but what the schedule says.
pub(crate) fn limits(setup: &Setup) -> Limits {
    let mut limits = Limits::unlimited();
    (limits.frame_size, limits.frame_timeout) = (setup.limit, setup.frame_timeout);
    // So that handlers that wait are waited for.
    limits.requests_in_flight = 1;
    limits.close_timeout = Some(CLOSE_TIMEOUT);
    // Cost is counted in bytes.
    limits.cost_per_byte = 1.0;
    limits
}

/// Both sides' handshakes, and what the session's side makes of its WebSocket.
pub(crate) async fn shaken<S>(
    setup: &Setup,
    early: &[u8],
    open: impl AsyncFnOnce(WebSocket) -> S,
) -> (S, (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>)) {
    let (here, there) = rpc::transport::memory(setup.capacity);
    let (mut from, mut to) = tokio::io::split(here);
    let session = async {
        let websocket = match setup.is_server {
            true => {
                let options = WebSocketServer::new();
                let options = if setup.is_binary { options.binary() } else { options };
                WebSocket::accept(there, &options).await.expect("a handshake")
            }
            false => {
                let options = WebSocketClient::new();
                let options = if setup.is_binary { options.binary() } else { options };
                let url: Endpoint = "ws://localhost/".parse().expect("a URL");
                WebSocket::connect(there, &url, &options).await.expect("a handshake")
            }
        };
        open(websocket).await
    };
    let peer = async {
        // A session that ends with a frame that comes early does not read what follows it.
        if setup.is_server {
            let request = [request("localhost", "/", "").as_bytes(), early].concat();
            let (_, _) = tokio::join!(to.write_all(&request), head(&mut from));
        } else {
            let request = head(&mut from).await;
            let key = header(&request, "sec-websocket-key").expect("a key");
            let answer = [answer(key, "").as_bytes(), early].concat();
            drop(to.write_all(&answer).await);
        }
    };
    let (session, ()) = tokio::join!(session, peer);
    (session, (from, to))
}

/// The head of a request or an answer, and nothing of what follows.
async fn head(from: &mut ReadHalf<DuplexStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("a text")
}
