//! How connections to the server are made, as hyper asks for them.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "socks")]
use crate::transport::socks::{ByWayOf, SocksError, SocksProxy};
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls::{AgreedProtocol, TlsError};
use crate::{
    client::dial::{Dial, in_time},
    jsonrpc::clean_io,
    transport::{self, ByteStream, Endpoint, Foreign, HttpError, Net, Scheme, Start},
};

/// Makes connections to one server, whatever it is asked for: a client has only one.
#[derive(Clone)]
pub(super) struct HyperConnector {
    pub(super) by: ConnectBy,
    /// How long making one may take.
    pub(super) limit: Option<Duration>,
}

#[derive(Clone)]
pub(super) enum ConnectBy {
    Dialing(Arc<Endpoint>, Net, Box<Dial>),
    Custom(Arc<OpenFn>),
}

/// Makes a connection as the user says.
pub(super) type OpenFn = dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> + Send + Sync;

/// Why there is no connection. It reaches the caller as it was, past hyper, which only lends errors.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error(transparent)]
    Io(Arc<io::Error>),
    #[cfg(feature = "tls-no-provider")]
    #[error(transparent)]
    Tls(Arc<TlsError>),
    #[cfg(feature = "socks")]
    #[error("by way of {0}")]
    Socks(SocksProxy, #[source] Arc<SocksError>),
}

impl HyperConnector {
    async fn open(self) -> io::Result<HttpStream> {
        match self.by {
            ConnectBy::Custom(open) => Ok(HttpStream::over(open().await?, false)),
            ConnectBy::Dialing(endpoint, net, dial) => {
                Ok(HttpStream::of(dial.over_network(&endpoint, &net).await?))
            }
        }
    }

    async fn open_in_time(self) -> io::Result<HttpStream> {
        in_time(self.limit, self.open()).await.unwrap_or_else(|limit| {
            let late = format!("not within {limit:?} (`handshake_timeout`)");
            Err(io::Error::new(io::ErrorKind::TimedOut, late))
        })
    }
}

impl tower::Service<Uri> for HyperConnector {
    type Response = TokioIo<HttpStream>;
    type Error = ConnectFailure;
    type Future = BoxFuture<'static, Result<TokioIo<HttpStream>, ConnectFailure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let opened = self.clone().open_in_time();
        Box::pin(async { opened.await.map(TokioIo::new).map_err(ConnectFailure::from) })
    }
}

impl fmt::Debug for HyperConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperConnector").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl From<io::Error> for ConnectFailure {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls-no-provider")]
        let error = match error.downcast() {
            Ok(error) => return Self::Tls(Arc::new(error)),
            Err(error) => error,
        };
        #[cfg(feature = "socks")]
        let error = match error.downcast() {
            Ok(ByWayOf { proxy, source }) => return Self::Socks(proxy, Arc::new(source)),
            Err(error) => error,
        };
        Self::Io(Arc::new(clean_io(error)))
    }
}

impl ConnectFailure {
    /// What the caller is told, of the server at `url`.
    pub(super) fn into_http_error(self, url: String) -> HttpError {
        match self {
            Self::Io(source) => HttpError::Connect { url, source },
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(source) => HttpError::Tls { url, source },
            #[cfg(feature = "socks")]
            Self::Socks(proxy, source) => HttpError::Socks { url, proxy, source },
        }
    }
}

/// A connection, as hyper wants to know it.
pub(super) struct HttpStream {
    io: Box<dyn ByteStream>,
    /// Whether both sides have agreed on HTTP/2.
    is_http2: bool,
    answered: ServerGreeting,
    /// Whether as much is kept of what was read as is to be.
    is_known: bool,
}

/// What a server has said first on a connection: it goes with an error of the connection.
#[derive(Debug, Clone)]
pub(super) struct ServerGreeting(Arc<Mutex<Start>>);

impl ServerGreeting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Start::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Start> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server speaks, if it has said anything and that is no HTTP; or where that is
    /// version 1, and version 2 alone was asked for.
    pub(super) fn foreign(&self, http2_only: bool) -> Option<Foreign> {
        let start = self.lock();
        let bytes = start.bytes();
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
        // The first frame of a server is one of SETTINGS, of less than 64 KiB (RFC 9113, 3.4).
        let is_http2 = matches!(bytes, [0, _, _, 4, ..]);
        let is_http1 = begins(b"HTTP/") && !http2_only;
        (!bytes.is_empty() && !is_http1 && !is_http2).then(|| start.seen())
    }
}

impl HttpStream {
    fn of(connection: transport::Connection) -> Self {
        #[cfg(feature = "tls-no-provider")]
        let is_http2 = connection.extensions.get::<AgreedProtocol>().is_some_and(|agreed| agreed.0 == b"h2");
        #[cfg(not(feature = "tls-no-provider"))]
        let is_http2 = false;
        Self::over(Box::new(connection.io), is_http2)
    }

    fn over(io: Box<dyn ByteStream>, is_http2: bool) -> Self {
        Self { io, is_http2, answered: ServerGreeting::new(), is_known: false }
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.answered.clone());
        match self.is_http2 {
            true => connected.negotiated_h2(),
            false => connected,
        }
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if !self.is_known {
            let this = &mut *self;
            let mut start = this.answered.lock();
            start.add(&buffer.filled()[before..]);
            this.is_known = start.is_full();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// What opens connections, where the two sides will agree on a version of HTTP.
#[cfg(feature = "tls-no-provider")]
pub(super) fn dial_for_http(dial: Dial, net: &Net, http2_only: bool) -> io::Result<Dial> {
    match (net.scheme, &dial.tls) {
        (Scheme::Https, _) | (_, None) => {}
        // Who has said how to speak TLS does not want to go without it.
        (_, Some(_)) => {
            let problem = "it was said how to speak TLS, and the scheme is not https";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    }
    let http_versions: &[&[u8]] = if http2_only { &[b"h2"] } else { &[b"h2", b"http/1.1"] };
    if let Some(tls) = &dial.tls {
        tls.must_offer(http_versions)?;
    }
    Ok(Dial { http_versions, ..dial })
}

#[cfg(not(feature = "tls-no-provider"))]
pub(super) fn dial_for_http(dial: Dial, net: &Net, _: bool) -> io::Result<Dial> {
    match net.scheme {
        Scheme::Https => Err(transport::built_without("tls")),
        _ => Ok(dial),
    }
}
