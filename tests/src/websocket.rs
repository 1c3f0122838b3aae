//! A WebSocket's other end, played by hand: it writes frames as they are told, and reads frames.

use std::time::Duration;

use rpc::{
    Connector, Endpoint, Service, Session,
    transport::websocket::{WebSocket, WebSocketClient, WebSocketServer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::TcpStream,
    time::timeout,
};

/// The first byte of a whole text message.
pub const TEXT: u8 = 0x81;
/// The first byte of a whole binary message.
pub const BINARY: u8 = 0x82;
/// The first byte of a close frame.
pub const CLOSE: u8 = 0x88;
/// The first byte of a ping.
pub const PING: u8 = 0x89;
/// The first byte of a pong.
pub const PONG: u8 = 0x8a;

/// A frame: its first byte, and what it carries.
pub type Frame = (u8, Vec<u8>);

/// The other end of a WebSocket.
#[derive(Debug)]
pub struct WsPeer<T> {
    io: T,
    unread: Vec<u8>,
    /// A client masks what it sends.
    is_client: bool,
    patience: Duration,
}

impl WsPeer<DuplexStream> {
    /// A client by hand, of a session that is made as `with` says.
    pub async fn client_of(with: impl FnOnce(Connector) -> Connector) -> (Self, Session) {
        Self::client_of_narrow(64 << 10, &WebSocketServer::new(), with).await
    }

    /// The same, over a connection that holds no more than `capacity` bytes each way.
    pub async fn client_of_narrow(
        capacity: usize,
        options: &WebSocketServer,
        with: impl FnOnce(Connector) -> Connector,
    ) -> (Self, Session) {
        let (peer, connector) = Self::client_before(capacity, options).await;
        (peer, with(connector).connect().await.expect("the two are connected already"))
    }

    /// A client by hand whose handshake is done, and what begins the session at the other end.
    pub async fn client_before(capacity: usize, options: &WebSocketServer) -> (Self, Connector) {
        let (here, there) = rpc::transport::memory(capacity);
        let mut peer = Self::over(here, true);
        let request = async {
            peer.write(request("localhost", "/", "")).await;
            let answer = peer.head().await;
            assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        };
        let (accepted, ()) = tokio::join!(WebSocket::accept(there, options), request);
        (peer, Connector::over_websocket(accepted.expect("a handshake")))
    }

    /// A server by hand, of a session that is made as `with` says. The handshake is the library's.
    pub async fn server_of(with: impl FnOnce(Connector) -> Connector) -> (Self, Session) {
        let (peer, connector) = Self::server_before(&WebSocketClient::new()).await;
        (peer, with(connector).connect().await.expect("the two are connected already"))
    }

    /// A server by hand whose handshake is done, and what begins the session at the other end.
    pub async fn server_before(options: &WebSocketClient) -> (Self, Connector) {
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = Self::over(here, false);
        let url: Endpoint = "ws://localhost/".parse().expect("a URL");
        let (connected, ()) = tokio::join!(WebSocket::connect(there, &url, options), peer.answer_request());
        (peer, Connector::over_websocket(connected.expect("a handshake")))
    }
}

impl WsPeer<TcpStream> {
    /// A client by hand that has connected and asked for nothing yet.
    pub async fn connect(endpoint: &Endpoint) -> Self {
        let addr = endpoint.socket_addr().expect("an address");
        Self::on(TcpStream::connect(addr).await.expect("the server listens"), true)
    }
}

impl<T> WsPeer<T> {
    /// In memory and with paused time, waiting costs nothing.
    pub const fn over(io: T, is_client: bool) -> Self {
        Self { io, unread: Vec::new(), is_client, patience: Duration::from_secs(100 * 3600) }
    }

    /// Over a stream that is no memory, and takes real time.
    pub const fn on(io: T, is_client: bool) -> Self {
        Self { io, unread: Vec::new(), is_client, patience: Duration::from_secs(10) }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WsPeer<T> {
    /// Answers the request for a WebSocket that comes.
    pub async fn answer_request(&mut self) {
        let request = self.head().await;
        let key = header(&request, "sec-websocket-key").expect("a key");
        self.write(answer(key, "")).await;
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.patience, self.io.write_all(bytes.as_ref())).await;
        sent.expect("the other side reads").expect("it is there");
        self.io.flush().await.expect("it is there");
    }

    /// Sends bytes as they are to a session that may have ended.
    pub async fn offer(&mut self, bytes: impl AsRef<[u8]>) {
        drop(timeout(self.patience, self.io.write_all(bytes.as_ref())).await.expect("the other side reads"));
        drop(self.io.flush().await);
    }

    /// Ends this direction; the other one stays open.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("it is there");
    }

    /// Sends a text.
    pub async fn text(&mut self, text: &str) {
        self.frame(TEXT, text).await;
    }

    /// Sends a frame.
    pub async fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let frame = frame(first, payload.as_ref(), self.is_client);
        self.write(frame).await;
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        Some(self.next_masked().await?.0)
    }

    /// The next frame and its mask; `None` at the end of the stream.
    pub async fn next_masked(&mut self) -> Option<(Frame, [u8; 4])> {
        loop {
            if let Some((frame, mask, length)) = parse(&self.unread, !self.is_client) {
                self.unread.drain(..length);
                return Some((frame, mask));
            }
            if !self.read_more().await {
                assert_eq!(self.unread, b"", "the stream ends within a frame");
                return None;
            }
        }
    }

    /// The next frame is a text, this one.
    pub async fn expect(&mut self, text: &str) {
        let (first, payload) = self.next().await.expect("a frame");
        assert_eq!((first, String::from_utf8_lossy(&payload).as_ref()), (TEXT, text));
    }

    /// Sends a text, and gives what comes for it.
    pub async fn ask(&mut self, text: &str) -> String {
        self.text(text).await;
        let (first, payload) = self.next().await.expect("an answer");
        assert_eq!(first, TEXT);
        String::from_utf8(payload).expect("a text is UTF-8")
    }

    /// The next frame that is neither a text nor a pong is a close; its code, and what it says.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let (first, payload) = self.next().await.expect("a close frame");
            if first != CLOSE {
                assert!(matches!(first, TEXT | PONG), "{first:x}");
                continue;
            }
            let (code, reason) = payload.split_first_chunk::<2>().expect("a code");
            return (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("a text"));
        }
    }

    /// Answers a close with the same code, as one does, and finds that the stream has ended.
    pub async fn answer_close(mut self, code: u16) {
        self.frame(CLOSE, code.to_be_bytes()).await;
        assert_eq!(self.next().await, None);
    }

    /// The head of a request or an answer.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            assert!(self.read_more().await, "the stream ends within a head");
        }
    }

    /// Everything until the stream ends.
    pub async fn rest(mut self) -> String {
        while self.read_more().await {}
        String::from_utf8(self.unread).expect("a text")
    }

    /// Whether nothing comes for so long.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        self.unread.is_empty() && timeout(time, self.io.read_u8()).await.is_err()
    }

    async fn read_more(&mut self) -> bool {
        let read = timeout(self.patience, self.io.read_buf(&mut self.unread)).await;
        // A connection that was reset is at its end, too.
        read.expect("something arrives").unwrap_or(0) > 0
    }
}

/// The bytes of a frame.
pub fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(mask_bit | length as u8),
        length @ 126..65536 => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if !masked {
        bytes.extend_from_slice(payload);
        return bytes;
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn parse(bytes: &[u8], masked: bool) -> Option<(Frame, [u8; 4], usize)> {
    let (first, length) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(length & 0x80 != 0, masked, "clients mask, and servers do not");
    let (length, mut at) = match length & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let mask = match masked {
        true => {
            at += 4;
            *bytes.get(at - 4..)?.first_chunk::<4>()?
        }
        false => [0; 4],
    };
    let end = at + usize::try_from(length).ok()?;
    let payload = bytes.get(at..end)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(((first, payload), mask, end))
}

/// A request for a WebSocket, with `more` headers.
pub fn request(host: &str, target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// An answer to a request that had `key`, with `more` headers.
pub fn answer(key: &str, more: &str) -> String {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// The value of a header.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A session that serves `service` to a client by hand.
pub async fn served(service: impl Service) -> (WsPeer<DuplexStream>, Session) {
    WsPeer::client_of(|connector| connector.service(service)).await
}
