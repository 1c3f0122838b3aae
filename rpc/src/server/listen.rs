//! Where a server listens, and how.

use std::convert::Infallible;

use super::BindError;
#[cfg(feature = "http")]
use super::HttpOptions;
#[cfg(feature = "tls")]
use crate::transport::tls::TlsServer;
use crate::{
    framing::{AnyFramer, Framer},
    transport::{Endpoint, EndpointError},
};

/// A place to listen at, with what a URL cannot say. [`ServerBuilder::bind`](super::ServerBuilder::bind) takes a URL, too.
///
/// ```
/// use rpc::{Listen, Server, framing::LengthPrefixedFramer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().service(())
///     .bind("tcp://127.0.0.1:0").await?
///     .and_bind(Listen::at("tcp://[::1]:0")?.framer(LengthPrefixedFramer::u32_be())).await?;
/// assert_eq!(server.endpoints().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Listen {
    pub(super) endpoint: Endpoint,
    pub(super) framer: Option<Box<dyn AnyFramer>>,
    #[cfg(feature = "http")]
    pub(super) http: Option<HttpOptions>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsServer>,
    #[cfg(feature = "ws")]
    pub(super) websocket: crate::transport::websocket::WebSocketServer,
}

impl Listen {
    /// Listens at `url`, for example `tcp://127.0.0.1:8000` (port 0 is any free port).
    ///
    /// # Errors
    ///
    /// Where the URL is wrong.
    pub fn at(url: &str) -> Result<Self, EndpointError> {
        Ok(Self::from(url.parse::<Endpoint>()?))
    }

    /// How messages are told apart here. Default: as everywhere, by [`ServerBuilder::framer`](super::ServerBuilder::framer).
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.framer = Some(Box::new(framer));
        self
    }

    /// How a `ws://` or `wss://` URL is listened at: which pages may come in, sub-protocols. Default:
    /// [`WebSocketServer::new()`](crate::transport::websocket::WebSocketServer::new).
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: crate::transport::websocket::WebSocketServer) -> Self {
        self.websocket = websocket;
        self
    }

    /// What is shown over TLS, and who is let in. There is no default: a `tls://` URL needs it, and one without TLS is refused with it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Listen, Server, transport::tls::TlsServer};
    ///
    /// let tls = TlsServer::from_pem_files("chain.pem", "key.pem")?;
    /// let server = Server::builder().service(())
    ///     .bind(Listen::at("tls://0.0.0.0:50002")?.tls(tls)).await?;
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How HTTP is spoken here. Default: [`HttpOptions::new()`] where the URL is `http://` or `https://`; with it, HTTP is spoken at any place,
    /// a Unix socket for one.
    ///
    /// ```
    /// use rpc::{HttpOptions, Listen, Server, WebAccess};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = HttpOptions::new().access(WebAccess::new().allow_host("node.example.org"));
    /// let server = Server::builder().service(()).bind(Listen::at("http://127.0.0.1:0/rpc")?.http(options)).await?;
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "http")]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = Some(options);
        self
    }
}

impl From<Endpoint> for Listen {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            framer: None,
            #[cfg(feature = "http")]
            http: None,
            #[cfg(feature = "ws")]
            websocket: Default::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl From<&Endpoint> for Listen {
    fn from(endpoint: &Endpoint) -> Self {
        Self::from(endpoint.clone())
    }
}

impl TryFrom<&str> for Listen {
    type Error = EndpointError;

    fn try_from(url: &str) -> Result<Self, EndpointError> {
        Self::at(url)
    }
}

impl TryFrom<&String> for Listen {
    type Error = EndpointError;

    fn try_from(url: &String) -> Result<Self, EndpointError> {
        Self::at(url)
    }
}

impl TryFrom<String> for Listen {
    type Error = EndpointError;

    fn try_from(url: String) -> Result<Self, EndpointError> {
        Self::at(&url)
    }
}

/// For what cannot fail to be a place to listen at.
impl From<Infallible> for BindError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
