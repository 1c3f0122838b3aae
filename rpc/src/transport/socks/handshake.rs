//! Client side of the SOCKS handshake: versions 4 and 4a (Ying-Da Lee's "SOCKS: A protocol for TCP
//! proxy across firewalls" and "SOCKS 4A: A Simple Extension"), and version 5 (RFC 1928, with user
//! and password by RFC 1929).

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    error::{SocksError, SocksReply, SocksStep},
    proxy::{SocksVersion, UserAndPassword},
};
use crate::{jsonrpc::shown::escaped, transport::Host};

/// The exchange of bytes with a proxy. It never reads more than it needs: bytes after the last
/// reply belong to the host.
pub(super) struct SocksExchange<'a, S> {
    io: &'a mut S,
    /// The step that was sent last.
    step: SocksStep,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> SocksExchange<'a, S> {
    pub(super) const fn new(io: &'a mut S, first: SocksStep) -> Self {
        Self { io, step: first }
    }

    pub(super) const fn step(&self) -> SocksStep {
        self.step
    }

    pub(super) async fn send(&mut self, step: SocksStep, bytes: &[u8]) -> Result<(), SocksError> {
        self.step = step;
        self.io.write_all(bytes).await.map_err(|error| self.failed(error))
    }

    pub(super) async fn receive<const N: usize>(&mut self) -> Result<[u8; N], SocksError> {
        let mut bytes = [0; N];
        self.io.read_exact(&mut bytes).await.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// Like [`receive`](Self::receive), for a length of at most 255 bytes that the proxy declared.
    async fn receive_some(&mut self, length: u8) -> Result<Vec<u8>, SocksError> {
        let mut bytes = vec![0; usize::from(length)];
        self.io.read_exact(&mut bytes).await.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// A proxy that closes with unread bytes resets the connection.
    fn failed(&self, source: io::Error) -> SocksError {
        use io::ErrorKind as Kind;
        let step = self.step;
        match source.kind() {
            Kind::UnexpectedEof | Kind::BrokenPipe | Kind::ConnectionReset | Kind::ConnectionAborted => {
                SocksError::Closed { step, source }
            }
            _ => SocksError::Io { step, source },
        }
    }
}

/// A host, by address or by name, and a port, as sent by a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocksAddress {
    /// An address.
    Ip(SocketAddr),
    /// A name, with invalid UTF-8 replaced, and a port.
    Name(String, u16),
}

impl fmt::Display for SocksAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{}:{port}", escaped(name)),
        }
    }
}

const VERSION_4: u8 = 4;
const GRANTED: u8 = 90;

/// An invalid address, `0.0.0.x` with x not 0, which announces that a name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// Whether a proxy takes `ip` for that announcement.
const fn announces_a_name(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [0, 0, 0, x] if x > 0)
}

/// The only message of versions 4 and 4a.
pub(super) struct RequestV4 {
    version: SocksVersion,
    connect: Vec<u8>,
}

impl RequestV4 {
    /// `version` is 4 or 4a.
    pub(super) fn new(
        version: SocksVersion,
        host: &Host,
        port: u16,
        credentials: Option<&UserAndPassword>,
    ) -> Result<Self, SocksError> {
        let (ip, name) = match host {
            Host::V4(ip) if announces_a_name(*ip) => {
                let reason = "an address 0.0.0.x says that a name follows";
                return Err(SocksError::Host { version, host: ip.to_string().into(), reason });
            }
            Host::V4(ip) => (*ip, None),
            Host::V6(_) | Host::Zoned(_) => {
                let (host, reason) = (host.to_string().into(), "it knows no IPv6");
                return Err(SocksError::Host { version, host, reason });
            }
            Host::Name(name) if version == SocksVersion::V4a => (NAME_FOLLOWS, Some(name)),
            Host::Name(name) => {
                let reason =
                    "it knows no names: resolve them on this machine (`resolve_locally`), or use 4a or 5";
                return Err(SocksError::Host { version, host: name.clone(), reason });
            }
        };
        let mut connect = vec![VERSION_4, CONNECT];
        connect.extend_from_slice(&port.to_be_bytes());
        connect.extend_from_slice(&ip.octets());
        if credentials.is_some_and(|pair| !pair.password.is_empty()) {
            let reason = "it has none: give the user and an empty password, or use version 5";
            return Err(SocksError::Credentials { version, part: "password", reason });
        }
        let user = credentials.map_or("", |pair| &pair.user);
        if user.contains('\0') {
            let reason = "there is a zero in it, which would end it";
            return Err(SocksError::Credentials { version, part: "user", reason });
        }
        connect.extend_from_slice(user.as_bytes());
        connect.push(0);
        if let Some(name) = name {
            connect.extend_from_slice(name.as_bytes());
            connect.push(0);
        }
        Ok(Self { version, connect })
    }

    /// Requests the connection. Returns the address that the proxy connects from.
    pub(super) async fn make<S>(
        &self,
        exchange: &mut SocksExchange<'_, S>,
    ) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        exchange.send(SocksStep::Request, &self.connect).await?;
        let [version, code] = exchange.receive().await?;
        match (version, code) {
            // Version of the reply format, not of the protocol.
            (0, GRANTED) => {
                let port = u16::from_be_bytes(exchange.receive().await?);
                let ip = Ipv4Addr::from(exchange.receive::<4>().await?);
                Ok(SocksAddress::Ip(SocketAddr::new(ip.into(), port)))
            }
            (0, code) => Err(SocksError::Refused(SocksReply::of_v4(code, self.version))),
            answer => Err(SocksError::NotSocks {
                version: self.version,
                step: exchange.step(),
                answer: [answer.0, answer.1].into(),
            }),
        }
    }

    /// Whether a proxy of this version answers. Any reply with a code that the protocol defines
    /// counts.
    pub(super) async fn is_answered<S>(&self, exchange: &mut SocksExchange<'_, S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.make(exchange).await {
            Ok(_) => true,
            Err(SocksError::Refused(reply)) => !matches!(reply, SocksReply::Other { .. }),
            Err(_) => false,
        }
    }
}

const VERSION_5: u8 = 5;
/// Version of the user and password exchange.
const LOGIN_VERSION: u8 = 1;

const WITHOUT: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xFF;

const CONNECT: u8 = 1;
const RESERVED: u8 = 0;
const SUCCEEDED: u8 = 0;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The messages of version 5, encoded before the first byte is sent: an invalid request is detected
/// without a connection.
pub(super) struct RequestV5 {
    greeting: Vec<u8>,
    login: Option<Vec<u8>>,
    connect: Vec<u8>,
}

impl RequestV5 {
    pub(super) fn new(
        host: &Host,
        port: u16,
        credentials: Option<&UserAndPassword>,
    ) -> Result<Self, SocksError> {
        let greeting = match credentials {
            None => vec![VERSION_5, 1, WITHOUT],
            Some(_) => vec![VERSION_5, 2, WITHOUT, USER_AND_PASSWORD],
        };
        let login = credentials.map(login).transpose()?;
        Ok(Self { greeting, login, connect: connect(host, port)? })
    }

    /// Requests the connection. Returns the address that the proxy connects from.
    pub(super) async fn make<S>(
        &self,
        exchange: &mut SocksExchange<'_, S>,
    ) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match (self.greet(exchange).await?, &self.login) {
            (Method::Without, _) => {}
            (Method::UserAndPassword, Some(login)) => log_in(exchange, login).await?,
            // The proxy chose a method that was not offered.
            (Method::UserAndPassword, None) => {
                return Err(SocksError::NoAcceptableMethod { with_credentials: false });
            }
        }
        exchange.send(SocksStep::Request, &self.connect).await?;
        let [version, reply] = exchange.receive().await?;
        match (version, reply) {
            (VERSION_5, SUCCEEDED) => bound(exchange).await,
            // Some proxies close after the code, without the rest of the reply.
            (VERSION_5, code) => Err(SocksError::Refused(SocksReply::of_v5(code))),
            _ => Err(not_socks(exchange, &[version, reply])),
        }
    }

    /// Whether a SOCKS 5 proxy answers the greeting. Any valid answer counts.
    pub(super) async fn is_answered<S>(&self, exchange: &mut SocksExchange<'_, S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        matches!(self.greet(exchange).await, Ok(_) | Err(SocksError::NoAcceptableMethod { .. }))
    }

    async fn greet<S>(&self, exchange: &mut SocksExchange<'_, S>) -> Result<Method, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        exchange.send(SocksStep::Greeting, &self.greeting).await?;
        match exchange.receive().await? {
            [VERSION_5, WITHOUT] => Ok(Method::Without),
            [VERSION_5, USER_AND_PASSWORD] => Ok(Method::UserAndPassword),
            [VERSION_5, NO_ACCEPTABLE_METHOD] => {
                Err(SocksError::NoAcceptableMethod { with_credentials: self.login.is_some() })
            }
            answer => Err(not_socks(exchange, &answer)),
        }
    }
}

enum Method {
    Without,
    UserAndPassword,
}

async fn log_in<S>(exchange: &mut SocksExchange<'_, S>, login: &[u8]) -> Result<(), SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answered = async {
        exchange.send(SocksStep::Credentials, login).await?;
        exchange.receive().await
    };
    match answered.await {
        Ok([LOGIN_VERSION, SUCCEEDED]) => Ok(()),
        Ok([LOGIN_VERSION, status]) => Err(SocksError::CredentialsRefused { status: Some(status) }),
        Ok(answer) => Err(not_socks(exchange, &answer)),
        Err(SocksError::Closed { .. }) => Err(SocksError::CredentialsRefused { status: None }),
        Err(error) => Err(error),
    }
}

/// Reads the rest of a successful reply.
async fn bound<S>(exchange: &mut SocksExchange<'_, S>) -> Result<SocksAddress, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let [reserved, kind] = exchange.receive().await?;
    let ip: IpAddr = match kind {
        IPV4 => Ipv4Addr::from(exchange.receive::<4>().await?).into(),
        IPV6 => Ipv6Addr::from(exchange.receive::<16>().await?).into(),
        NAME => {
            let [length] = exchange.receive().await?;
            let name = exchange.receive_some(length).await?;
            let port = u16::from_be_bytes(exchange.receive().await?);
            return Ok(SocksAddress::Name(String::from_utf8_lossy(&name).into_owned(), port));
        }
        _ => return Err(not_socks(exchange, &[VERSION_5, SUCCEEDED, reserved, kind])),
    };
    let port = u16::from_be_bytes(exchange.receive().await?);
    Ok(SocksAddress::Ip(SocketAddr::new(ip, port)))
}

fn not_socks<S: AsyncRead + AsyncWrite + Unpin>(
    exchange: &SocksExchange<'_, S>,
    answer: &[u8],
) -> SocksError {
    SocksError::NotSocks { version: SocksVersion::V5, step: exchange.step(), answer: answer.into() }
}

fn login(pair: &UserAndPassword) -> Result<Vec<u8>, SocksError> {
    let mut bytes = vec![LOGIN_VERSION];
    for (part, text) in [("user", &pair.user), ("password", &pair.password)] {
        let problem = |reason| SocksError::Credentials { version: SocksVersion::V5, part, reason };
        let length = u8::try_from(text.len()).map_err(|_| problem("it is longer than 255 bytes"))?;
        if length == 0 && part == "user" {
            return Err(problem("it is empty"));
        }
        bytes.push(length);
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(bytes)
}

fn connect(host: &Host, port: u16) -> Result<Vec<u8>, SocksError> {
    let mut bytes = vec![VERSION_5, CONNECT, RESERVED];
    match host {
        Host::V4(ip) => {
            bytes.push(IPV4);
            bytes.extend_from_slice(&ip.octets());
        }
        Host::Zoned(_) => return Err(SocksError::zoned(SocksVersion::V5, host)),
        Host::V6(ip) => {
            bytes.push(IPV6);
            bytes.extend_from_slice(&ip.octets());
        }
        Host::Name(name) => {
            let length = u8::try_from(name.len()).map_err(|_| SocksError::Host {
                version: SocksVersion::V5,
                host: name.clone(),
                reason: "the name is longer than 255 bytes",
            })?;
            bytes.extend_from_slice(&[NAME, length]);
            bytes.extend_from_slice(name.as_bytes());
        }
    }
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}
