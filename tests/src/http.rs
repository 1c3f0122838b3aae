//! An HTTP server played by hand: it reads requests as they come, and answers with bytes as they are.

use std::{io, time::Duration};

use rpc::{HttpClient, HttpClientBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    time::timeout,
};

/// How long to wait before a test is given up that would wait for ever. With paused time it costs nothing.
const PATIENCE: Duration = Duration::from_secs(100 * 3600);

/// The server of an HTTP client, in memory: time may stand still.
#[derive(Debug)]
pub struct HttpPeer {
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    accepted: usize,
}

impl HttpPeer {
    /// The server of a client with everything as it is by default.
    pub fn of_client() -> (Self, HttpClient) {
        Self::with(|builder| builder)
    }

    /// The server of a client that is made as `with` says.
    pub fn with(with: impl FnOnce(HttpClientBuilder) -> HttpClientBuilder) -> (Self, HttpClient) {
        let (accept, connections) = mpsc::unbounded_channel();
        let builder = HttpClient::builder("http://server.test:8332/wallet/w?x=1").expect("a URL");
        let client = with(builder)
            .connect_with(move || {
                let (here, there) = rpc::transport::memory(64 << 10);
                let accepted = accept.send(here);
                std::future::ready(match accepted {
                    Ok(()) => Ok(there),
                    Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                })
            })
            .build()
            .expect("nothing is wrong with the client");
        (Self { connections, accepted: 0 }, client)
    }

    /// Waits for the next connection.
    pub async fn accept(&mut self) -> HttpConnection {
        let io = timeout(PATIENCE, self.connections.recv()).await.expect("the client connects");
        let io = io.expect("the client is there");
        self.accepted += 1;
        HttpConnection { io, unread: Vec::new() }
    }

    /// How many connections the client has made.
    pub fn connections(&self) -> usize {
        self.accepted + self.connections.len()
    }
}

/// One connection of the client's.
#[derive(Debug)]
pub struct HttpConnection {
    io: DuplexStream,
    unread: Vec<u8>,
}

/// A request, as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The request line.
    pub line: String,
    /// The headers, each a line.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

impl HttpRequest {
    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ String| line.strip_prefix(name)?.strip_prefix(": ").map(str::len);
        self.headers.iter().find_map(|line| value(line).map(|length| &line[line.len() - length..]))
    }
}

impl HttpConnection {
    /// The next request.
    pub async fn request(&mut self) -> HttpRequest {
        self.try_request().await.expect("a request")
    }

    /// The next request; `None` where the client has closed the connection.
    pub async fn try_request(&mut self) -> Option<HttpRequest> {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break self.take(end + 4);
            }
            if !self.read().await {
                assert_eq!(self.unread, b"", "the connection ends within a request");
                return None;
            }
        };
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let line = lines.next().expect("a line");
        let mut request = HttpRequest { line, headers: lines.collect(), body: String::new() };
        let length = request.header("content-length").expect("a length").parse().expect("a number");
        while self.unread.len() < length {
            assert!(self.read().await, "the connection ends within a request");
        }
        request.body = self.take(length);
        Some(request)
    }

    /// The client has closed the connection, and sent nothing before.
    pub async fn expect_end(&mut self) {
        assert_eq!(self.try_request().await, None);
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = timeout(PATIENCE, self.io.write_all(bytes.as_ref())).await;
        written.expect("the client reads").expect("the client is there");
    }

    /// Sends bytes until the client takes no more, and gives how many it has taken.
    pub async fn write_until_closed(&mut self, piece: &[u8]) -> usize {
        let mut written = 0;
        while timeout(PATIENCE, self.io.write_all(piece)).await.expect("the client reads, or closes").is_ok()
        {
            written += piece.len();
        }
        written
    }

    /// Answers with status 200 and `body`.
    pub async fn answer(&mut self, body: &str) {
        self.write(ok(body)).await;
    }

    /// Takes a request, and answers it with what `body` makes of it.
    pub async fn serve(&mut self, body: impl FnOnce(&HttpRequest) -> String) -> HttpRequest {
        let request = self.request().await;
        self.answer(&body(&request)).await;
        request
    }

    async fn read(&mut self) -> bool {
        let read = timeout(PATIENCE, self.io.read_buf(&mut self.unread)).await;
        read.expect("something arrives").expect("in memory nothing fails") > 0
    }

    fn take(&mut self, length: usize) -> String {
        String::from_utf8(self.unread.drain(..length).collect()).expect("what is sent is UTF-8")
    }
}

/// An answer with status 200.
pub fn ok(body: &str) -> String {
    response("200 OK", "content-type: application/json\r\n", body)
}

/// An answer with the status and headers as given.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
