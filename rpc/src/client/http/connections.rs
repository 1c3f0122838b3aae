//! The connector that hyper opens connections with, and the streams that it returns.

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

/// Opens connections to the client's one server, whatever URI hyper asks for.
#[derive(Clone)]
pub(super) struct HyperConnector {
    pub(super) by: ConnectBy,
    /// The limit of opening one connection.
    pub(super) limit: Option<Duration>,
}

#[derive(Clone)]
pub(super) enum ConnectBy {
    Dialing(Arc<Endpoint>, Net, Box<Dial>),
    Custom(Arc<OpenFn>),
}

/// The user's function that opens a connection.
pub(super) type OpenFn = dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> + Send + Sync;

/// Why no connection could be opened. Cloned out of hyper's error, which lends its source and does
/// not give it away.
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
    /// The error of a call to the server at `url`.
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

/// A connection, with the facts that hyper asks for.
pub(super) struct HttpStream {
    io: Box<dyn ByteStream>,
    /// True if TLS has negotiated HTTP/2.
    is_http2: bool,
    answered: ServerGreeting,
    /// True when the greeting has all the bytes that it keeps.
    is_known: bool,
}

/// The first bytes of the server on a connection. Hyper attaches them to an error of the
/// connection.
#[derive(Debug, Clone)]
pub(super) struct ServerGreeting(Arc<Mutex<Start>>);

impl ServerGreeting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Start::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Start> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The protocol of a server that does not speak HTTP, or that speaks HTTP/1 where only HTTP/2
    /// is accepted. `None` if the server has not sent anything.
    pub(super) fn foreign(&self, http2_only: bool) -> Option<Foreign> {
        let start = self.lock();
        let bytes = start.bytes();
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
        // A server's first frame is SETTINGS, of less than 64 KiB (RFC 9113, section 3.4).
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

/// Checks that the TLS options fit the scheme, and sets the versions of HTTP to offer.
#[cfg(feature = "tls-no-provider")]
pub(super) fn dial_for_http(dial: Dial, net: &Net, http2_only: bool) -> io::Result<Dial> {
    match (net.scheme, &dial.tls) {
        (Scheme::Https, _) | (_, None) => {}
        // A user who sets TLS options does not expect a plain connection.
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
