//! What clients and servers of this crate speak, and how they are made.

use std::fmt;

use rpc::{
    Connector, Context, Endpoint, ErrorObject, HttpClient, HttpOptions, Listen, Params, Router, Server,
    ServerHandle,
    framing::{
        ContentLengthFramer, Framer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
    },
    transport::tls::{TlsClient, TlsServer},
};

use super::endless;

/// How messages of a session are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Lines,
    Values,
    Headers,
    Netstrings,
    U8,
    U16,
    U32,
    U32Little,
    U64,
}

pub(super) const FRAMINGS: [Framing; 9] = [
    Framing::Lines,
    Framing::Values,
    Framing::Headers,
    Framing::Netstrings,
    Framing::U8,
    Framing::U16,
    Framing::U32,
    Framing::U32Little,
    Framing::U64,
];

/// What goes over the connection, within TLS if that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Messages(Framing),
    Http,
    /// By a client that takes nothing else.
    Http2,
    WebSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) tls: bool,
    pub(super) layer: Layer,
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.layer, if self.tls { " over TLS" } else { "" })
    }
}

/// Certificates of one server, and who trusts it.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) server: TlsServer,
    pub(super) client: TlsClient,
}

impl Framing {
    /// What the error calls it, how its framer is written in code, and how a message in it begins.
    pub(super) fn facts(self) -> [&'static str; 3] {
        match self {
            // What is sent as values stands in lines, too.
            Self::Lines => ["JSON-RPC in lines", "`NewlineFramer::new()`", r#"`{\"jsonrpc"#],
            Self::Values => ["JSON-RPC in values", "`JsonFramer::new()`", r#"`{\"jsonrpc"#],
            Self::Headers => {
                ["`Content-Length` headers", "`ContentLengthFramer::new()`", "`Content-Length: "]
            }
            Self::Netstrings => ["JSON-RPC in netstrings", "`NetstringFramer::new()`", r#":{\"jsonrpc"#],
            Self::U8 => ["lengths of 1 byte", "`LengthPrefixedFramer::u8()`", r#"{\"jsonrpc"#],
            Self::U16 => ["lengths of 2 bytes", "`LengthPrefixedFramer::u16_be()`", r#"{\"jsonrpc"#],
            Self::U32 => ["lengths of 4 bytes", "`LengthPrefixedFramer::u32_be()`", r#"`\x00\x00\x00"#],
            Self::U32Little => {
                ["little-endian lengths of 4 bytes", "`LengthPrefixedFramer::u32_le()`", r#"\x00\x00\x00{"#]
            }
            Self::U64 => ["lengths of 8 bytes", "`LengthPrefixedFramer::u64_be()`", r#"`\x00\x00\x00\x00"#],
        }
    }

    /// Whether a stream of the one may be a stream of the other.
    pub(super) fn fits(self, other: Self) -> bool {
        let are_values = |framing| matches!(framing, Self::Lines | Self::Values);
        self == other || (are_values(self) && are_values(other))
    }

    fn listen(self, listen: Listen) -> Listen {
        self.with(listen, FramedListen)
    }

    pub(super) fn connect(self, connector: Connector) -> Connector {
        self.with(connector, FramedConnector)
    }

    fn with<T>(self, to: T, framed: impl Framed<T>) -> T {
        match self {
            Self::Lines => framed.with(to, NewlineFramer::new()),
            Self::Values => framed.with(to, JsonFramer::new()),
            Self::Headers => framed.with(to, ContentLengthFramer::new()),
            Self::Netstrings => framed.with(to, NetstringFramer::new()),
            Self::U8 => framed.with(to, LengthPrefixedFramer::u8()),
            Self::U16 => framed.with(to, LengthPrefixedFramer::u16_be()),
            Self::U32 => framed.with(to, LengthPrefixedFramer::u32_be()),
            Self::U32Little => framed.with(to, LengthPrefixedFramer::u32_le()),
            Self::U64 => framed.with(to, LengthPrefixedFramer::u64_be()),
        }
    }
}

/// What takes a framer of any type.
trait Framed<T> {
    fn with(self, to: T, framer: impl Framer) -> T;
}

struct FramedListen;
struct FramedConnector;

impl Framed<Listen> for FramedListen {
    fn with(self, to: Listen, framer: impl Framer) -> Listen {
        to.framer(framer)
    }
}

impl Framed<Connector> for FramedConnector {
    fn with(self, to: Connector, framer: impl Framer) -> Connector {
        to.framer(framer)
    }
}

impl Speech {
    pub(super) const fn new(layer: Layer, tls: bool) -> Self {
        Self { tls, layer }
    }

    /// Whether a client that speaks so is understood by a server that speaks like `server`.
    pub(super) fn is_understood_by(self, server: Self) -> bool {
        let layers = match (self.layer, server.layer) {
            (Layer::Messages(one), Layer::Messages(other)) => one.fits(other),
            // A server of HTTP speaks either version, and opens WebSockets, too.
            (Layer::Http | Layer::Http2 | Layer::WebSocket, Layer::Http) => true,
            (one, other) => one == other,
        };
        self.tls == server.tls && layers
    }

    const fn scheme(self) -> &'static str {
        match (self.layer, self.tls) {
            (Layer::Messages(_), false) => "tcp",
            (Layer::Messages(_), true) => "tls",
            (Layer::Http | Layer::Http2, false) => "http",
            (Layer::Http | Layer::Http2, true) => "https",
            (Layer::WebSocket, false) => "ws",
            (Layer::WebSocket, true) => "wss",
        }
    }

    pub(super) async fn serve(self, tls: &Tls) -> ServerHandle {
        let listen = Listen::at(&format!("{}://127.0.0.1:0", self.scheme())).expect("a URL");
        let listen = if self.tls { listen.tls(tls.server.clone()) } else { listen };
        self.serve_at(listen).await
    }

    /// At a place of any kind.
    pub(super) async fn serve_at(self, listen: Listen) -> ServerHandle {
        let listen = match self.layer {
            Layer::Messages(framing) => framing.listen(listen),
            Layer::Http => listen.http(HttpOptions::new()),
            Layer::Http2 | Layer::WebSocket => listen,
        };
        let ping = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
        let server = Server::builder().service(ping).limits(endless()).bind(listen).await;
        server.expect("the place is free").start()
    }

    /// Calls the server at `place`: what the error says, if there is one.
    pub(super) async fn call(self, place: &Endpoint, tls: &Tls) -> Result<String, String> {
        let port = place.port().expect("it has one");
        let url = format!("{}://localhost:{port}", self.scheme());
        match self.layer {
            Layer::Http | Layer::Http2 => {
                let client = HttpClient::builder(&url).expect("a URL").limits(endless());
                let client = if self.tls { client.tls(tls.client.clone()) } else { client };
                let client = if self.layer == Layer::Http2 { client.http2_only() } else { client };
                let client = client.build().expect("nothing is wrong with it");
                client.call("ping", ()).await.map_err(|error| rpc::chain(&error).to_string())
            }
            Layer::Messages(_) | Layer::WebSocket => {
                let connector = Connector::new(&url).expect("a URL");
                self.call_by(if self.tls { connector.tls(tls.client.clone()) } else { connector }).await
            }
        }
    }

    pub(super) async fn call_by(self, connector: Connector) -> Result<String, String> {
        let connector = match self.layer {
            Layer::Messages(framing) => framing.connect(connector),
            _ => connector,
        };
        let session = connector.limits(endless()).connect().await;
        let session = session.map_err(|error| rpc::chain(&error).to_string())?;
        session.call("ping", ()).await.map_err(|error| rpc::chain(&error).to_string())
    }
}
