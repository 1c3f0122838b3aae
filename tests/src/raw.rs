//! A peer played by hand: it writes bytes and compares bytes.

use std::time::Duration;

use rpc::{Connector, Endpoint, Limits, Service, Session, testing};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, SimplexStream, WriteHalf,
    },
    net::TcpStream,
    time::timeout,
};

/// The other end of a session, over any stream of bytes.
#[derive(Debug)]
pub struct Raw<T> {
    io: T,
    unread: Vec<u8>,
    /// How long to wait before a test is given up that would wait for ever.
    patience: Duration,
}

impl Raw<DuplexStream> {
    /// The peer of a session that serves `service`.
    pub fn peer_of(service: impl Service, limits: Limits) -> (Self, Session) {
        Self::narrow_peer_of(64 << 10, service, limits)
    }

    /// The peer of a session that is made as `with` says.
    pub async fn peer_with(with: impl FnOnce(Connector) -> Connector) -> (Self, Session) {
        let (here, there) = rpc::transport::memory(64 << 10);
        let session = with(Connector::over(there)).connect().await.expect("the two are connected already");
        (Self::over(here), session)
    }

    /// Like [`peer_of`](Self::peer_of), over a connection that holds no more than `capacity` bytes each way.
    pub fn narrow_peer_of(capacity: usize, service: impl Service, limits: Limits) -> (Self, Session) {
        let (here, there) = rpc::transport::memory(capacity);
        (Self::over(here), testing::session(there, service, limits))
    }

    /// The peer of a session that serves `service`: it sends as much as it likes, and reads nothing. The session can write
    /// `capacity` bytes, and reads what the peer sends in large pieces.
    pub fn deaf_peer_of(capacity: usize, service: impl Service, limits: Limits) -> (DeafPeer, Session) {
        let (read, sent) = tokio::io::simplex(8 << 20);
        let (unread, write) = tokio::io::simplex(capacity);
        let session = testing::session(tokio::io::join(read, write), service, limits);
        (DeafPeer { sent, _unread: unread }, session)
    }

    /// In memory and with paused time, waiting costs nothing.
    pub fn over(io: DuplexStream) -> Self {
        Self { io, unread: Vec::new(), patience: Duration::from_secs(100 * 3600) }
    }
}

/// What stands at the end of a request that begins a subscription, where its sender takes notices.
const MARK: &str = " \t}";

/// The same request, of a peer that takes notices.
pub fn marked(request: &str) -> String {
    format!("{}{MARK}", request.strip_suffix('}').expect("an object"))
}

fn unmarked(line: String) -> String {
    line.strip_suffix(MARK).map(|request| format!("{request}}}")).unwrap_or(line)
}

/// A peer that does not read.
#[derive(Debug)]
pub struct DeafPeer {
    sent: WriteHalf<SimplexStream>,
    _unread: ReadHalf<SimplexStream>,
}

impl DeafPeer {
    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.sent.write_all(bytes.as_ref()).await.expect("the session is there");
    }
}

impl Raw<TcpStream> {
    /// Connects to a server that listens.
    pub async fn connect(endpoint: &Endpoint) -> Self {
        let addr = endpoint.socket_addr().expect("an address");
        Self::on(TcpStream::connect(addr).await.expect("the server listens"))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Raw<T> {
    /// Over a stream that is no memory, and takes real time.
    pub fn on(io: T) -> Self {
        Self { io, unread: Vec::new(), patience: Duration::from_secs(10) }
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(self.patience, self.io.write_all(bytes.as_ref())).await;
        sent.expect("the session reads").expect("the session is there");
    }

    /// Sends a line.
    pub async fn send(&mut self, line: &str) {
        self.write(format!("{line}\n")).await;
    }

    /// The next line; `None` at the end of the stream. The mark of a request that begins a subscription is taken off.
    pub async fn line(&mut self) -> Option<String> {
        Some(unmarked(self.exact_line().await?))
    }

    /// The next line, to the byte.
    pub async fn exact_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line = self.unread.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).expect("what is sent is UTF-8"));
            }
            let read = timeout(self.patience, self.io.read_buf(&mut self.unread)).await;
            // A connection that was reset is at its end, too.
            if read.expect("something arrives").unwrap_or(0) == 0 {
                assert!(self.unread.is_empty(), "the stream ends within a message");
                return None;
            }
        }
    }

    /// Sends a line, and gives the next one that comes.
    pub async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await.expect("an answer")
    }

    /// Sends a request that begins a subscription, as a peer that takes notices does, and gives the next line that comes.
    pub async fn subscribe(&mut self, request: &str) -> String {
        self.ask(&marked(request)).await
    }

    /// The next line is this one.
    pub async fn expect(&mut self, line: &str) {
        assert_eq!(self.line().await.as_deref(), Some(line));
    }

    /// Every line until the stream ends.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }

    /// The stream has ended, and nothing else came.
    pub async fn expect_end(&mut self) {
        assert_eq!(self.rest().await, Vec::<String>::new());
    }

    /// Nothing comes, however long one waits. For paused time.
    pub async fn expect_silence(&mut self) {
        if let Ok(line) = timeout(Duration::from_millis(500), self.line()).await {
            panic!("not silent: {line:?}");
        }
    }

    /// Takes as many bytes as there are and fit into `buffer`: for reading slowly.
    pub async fn read_some(&mut self, buffer: &mut [u8]) -> usize {
        timeout(self.patience, self.io.read(buffer))
            .await
            .expect("something arrives")
            .expect("the session is there")
    }

    /// Ends this direction; the other one stays open.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("the session is there");
    }

    /// The stream itself.
    pub fn into_inner(self) -> T {
        self.io
    }
}
