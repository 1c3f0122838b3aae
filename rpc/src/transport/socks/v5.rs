//! Version 5: RFC 1928, with user and password by RFC 1929.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{SocksAddress, SocksError, SocksReply, SocksStep, SocksVersion, credentials::Pair, talk::Talk};
use crate::transport::Host;

const VERSION: u8 = 5;
/// The version of the exchange of user and password.
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

/// What is sent, all of it made before the first byte goes out: what cannot be said is found out without a connection.
pub(super) struct Request {
    greeting: Vec<u8>,
    login: Option<Vec<u8>>,
    connect: Vec<u8>,
}

impl Request {
    pub(super) fn new(host: &Host, port: u16, credentials: Option<&Pair>) -> Result<Self, SocksError> {
        let greeting = match credentials {
            None => vec![VERSION, 1, WITHOUT],
            Some(_) => vec![VERSION, 2, WITHOUT, USER_AND_PASSWORD],
        };
        let login = credentials.map(login).transpose()?;
        Ok(Self { greeting, login, connect: connect(host, port)? })
    }

    /// Asks the proxy to connect. The answer is where it connects from.
    pub(super) async fn make<S>(&self, talk: &mut Talk<'_, S>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match (self.greet(talk).await?, &self.login) {
            (Method::Without, _) => {}
            (Method::UserAndPassword, Some(login)) => log_in(talk, login).await?,
            // It chose what was not offered to it.
            (Method::UserAndPassword, None) => {
                return Err(SocksError::NoAcceptableMethod { with_credentials: false });
            }
        }
        talk.say(SocksStep::Request, &self.connect).await?;
        let [version, reply] = talk.hear().await?;
        match (version, reply) {
            (VERSION, SUCCEEDED) => bound(talk).await,
            // Some close the connection after the code, though more should follow.
            (VERSION, code) => Err(SocksError::Refused(SocksReply::of_v5(code))),
            _ => Err(not_socks(talk, &[version, reply])),
        }
    }

    /// Whether a SOCKS 5 proxy answers the greeting: any of its answers will do.
    pub(super) async fn is_answered<S>(&self, talk: &mut Talk<'_, S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        matches!(self.greet(talk).await, Ok(_) | Err(SocksError::NoAcceptableMethod { .. }))
    }

    async fn greet<S>(&self, talk: &mut Talk<'_, S>) -> Result<Method, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        talk.say(SocksStep::Greeting, &self.greeting).await?;
        match talk.hear().await? {
            [VERSION, WITHOUT] => Ok(Method::Without),
            [VERSION, USER_AND_PASSWORD] => Ok(Method::UserAndPassword),
            [VERSION, NO_ACCEPTABLE_METHOD] => {
                Err(SocksError::NoAcceptableMethod { with_credentials: self.login.is_some() })
            }
            answer => Err(not_socks(talk, &answer)),
        }
    }
}

enum Method {
    Without,
    UserAndPassword,
}

async fn log_in<S>(talk: &mut Talk<'_, S>, login: &[u8]) -> Result<(), SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answered = async {
        talk.say(SocksStep::Credentials, login).await?;
        talk.hear().await
    };
    match answered.await {
        Ok([LOGIN_VERSION, SUCCEEDED]) => Ok(()),
        Ok([LOGIN_VERSION, status]) => Err(SocksError::CredentialsRefused { status: Some(status) }),
        Ok(answer) => Err(not_socks(talk, &answer)),
        Err(SocksError::Closed { .. }) => Err(SocksError::CredentialsRefused { status: None }),
        Err(error) => Err(error),
    }
}

/// The rest of a reply that grants the request.
async fn bound<S>(talk: &mut Talk<'_, S>) -> Result<SocksAddress, SocksError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let [reserved, kind] = talk.hear().await?;
    let ip: IpAddr = match kind {
        IPV4 => Ipv4Addr::from(talk.hear::<4>().await?).into(),
        IPV6 => Ipv6Addr::from(talk.hear::<16>().await?).into(),
        NAME => {
            let [length] = talk.hear().await?;
            let name = talk.hear_some(length).await?;
            let port = u16::from_be_bytes(talk.hear().await?);
            return Ok(SocksAddress::Name(String::from_utf8_lossy(&name).into_owned(), port));
        }
        _ => return Err(not_socks(talk, &[VERSION, SUCCEEDED, reserved, kind])),
    };
    let port = u16::from_be_bytes(talk.hear().await?);
    Ok(SocksAddress::Ip(SocketAddr::new(ip, port)))
}

fn not_socks<S: AsyncRead + AsyncWrite + Unpin>(talk: &Talk<'_, S>, answer: &[u8]) -> SocksError {
    SocksError::NotSocks { version: SocksVersion::V5, step: talk.step(), answer: answer.into() }
}

fn login(pair: &Pair) -> Result<Vec<u8>, SocksError> {
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
    let mut bytes = vec![VERSION, CONNECT, RESERVED];
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
