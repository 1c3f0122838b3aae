//! Versions 4 and 4a: Ying-Da Lee's "SOCKS: A protocol for TCP proxy across firewalls" and "SOCKS 4A: A Simple Extension".

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{SocksAddress, SocksError, SocksReply, SocksStep, SocksVersion, credentials::Pair, talk::Talk};
use crate::transport::Host;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;

/// In place of an address, it says that a name follows: an address that nobody has, `0.0.0.x` where x is not 0.
const A_NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// What a proxy takes for it.
const fn announces_a_name(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [0, 0, 0, x] if x > 0)
}

/// What is sent: there is one message only.
pub(super) struct Request {
    version: SocksVersion,
    connect: Vec<u8>,
}

impl Request {
    /// `version` is 4 or 4a.
    pub(super) fn new(
        version: SocksVersion,
        host: &Host,
        port: u16,
        credentials: Option<&Pair>,
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
            Host::Name(name) if version == SocksVersion::V4a => (A_NAME_FOLLOWS, Some(name)),
            Host::Name(name) => {
                let reason =
                    "it knows no names: resolve them on this machine (`resolve_locally`), or use 4a or 5";
                return Err(SocksError::Host { version, host: name.clone(), reason });
            }
        };
        let mut connect = vec![VERSION, CONNECT];
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

    /// Asks the proxy to connect. The answer is where it connects from.
    pub(super) async fn make<S>(&self, talk: &mut Talk<'_, S>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        talk.say(SocksStep::Request, &self.connect).await?;
        let [version, code] = talk.hear().await?;
        match (version, code) {
            // The version of the reply, not of the protocol.
            (0, GRANTED) => {
                let port = u16::from_be_bytes(talk.hear().await?);
                let ip = Ipv4Addr::from(talk.hear::<4>().await?);
                Ok(SocksAddress::Ip(SocketAddr::new(ip.into(), port)))
            }
            (0, code) => Err(SocksError::Refused(SocksReply::of_v4(code, self.version))),
            answer => Err(SocksError::NotSocks {
                version: self.version,
                step: talk.step(),
                answer: [answer.0, answer.1].into(),
            }),
        }
    }

    /// Whether a proxy of this version answers: any of its answers will do, but no code that the protocol does not have.
    pub(super) async fn is_answered<S>(&self, talk: &mut Talk<'_, S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.make(talk).await {
            Ok(_) => true,
            Err(SocksError::Refused(reply)) => !matches!(reply, SocksReply::Other { .. }),
            Err(_) => false,
        }
    }
}
