//! Why a proxy did not connect.

use std::{
    fmt::{self, Write as _},
    io,
    net::SocketAddr,
    time::Duration,
};

use super::{SocksProxy, SocksReply, SocksVersion};
use crate::{jsonrpc::chain, transport::Host};

/// Why there is no connection by way of a SOCKS proxy. Each kind of failure is its own variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocksError {
    /// The proxy itself cannot be connected to.
    #[error("the proxy cannot be connected to")]
    Unreachable {
        /// Why not.
        source: io::Error,
    },

    /// What answered does not speak this version of SOCKS.
    #[error("what listens there is no SOCKS {version} proxy: {step} it sent {}", Hex(.answer))]
    NotSocks {
        /// The version that was spoken to it.
        version: SocksVersion,
        /// What it was to answer.
        step: SocksStep,
        /// What it sent instead, as far as it was read.
        answer: Box<[u8]>,
    },

    /// The proxy accepts none of our ways to log in: credentials are wanted that it was not told ([`SocksProxy::credentials`](super::SocksProxy::credentials)),
    /// or another way, such as GSSAPI.
    #[error("the proxy accepts none of the ways to log in that were offered: {}", offers(*.with_credentials))]
    NoAcceptableMethod {
        /// Whether a user and a password were offered, and not only to do without.
        with_credentials: bool,
    },

    /// The proxy does not accept the user and the password: it said so, or it hung up on them.
    #[error("the proxy refuses the credentials: {}", refusal(*.status))]
    CredentialsRefused {
        /// The status that it sent, of RFC 1929; `None` where it closed the connection instead.
        status: Option<u8>,
    },

    /// The proxy understood, and did not connect.
    #[error("the proxy did not connect: {0}")]
    Refused(SocksReply),

    /// The proxy closed the connection and said nothing.
    #[error("the proxy closed the connection without an answer {step}")]
    Closed {
        /// What it was to answer.
        step: SocksStep,
        /// How it ended: `UnexpectedEof` where it was closed in good order, else a reset.
        source: io::Error,
    },

    /// The proxy did not answer in time.
    #[error("the proxy did not answer {step}: not within {limit:?}")]
    TimedOut {
        /// What it was to answer.
        step: SocksStep,
        /// [`SocksProxy::timeout`](super::SocksProxy::timeout).
        limit: Duration,
    },

    /// Talking to the proxy failed.
    #[error("talking to the proxy failed {step}")]
    Io {
        /// What it was to answer.
        step: SocksStep,
        /// What failed.
        source: io::Error,
    },

    /// The version has no way to ask for this host.
    #[error("SOCKS {version} cannot ask for {host}: {reason}")]
    Host {
        /// The version that was to be spoken.
        version: SocksVersion,
        /// The host that was to be asked for.
        host: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The version has no way to send this user or this password. They are not shown.
    #[error("SOCKS {version} cannot send the {part}: {reason}")]
    Credentials {
        /// The version that was to be spoken.
        version: SocksVersion,
        /// `user` or `password`.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// This machine cannot resolve the host's name, as it was to ([`SocksProxy::resolve_locally`](super::SocksProxy::resolve_locally)).
    #[error("the name cannot be resolved")]
    Resolve {
        /// Why not.
        source: io::Error,
    },

    /// This machine has resolved the host's name, and the proxy connected to none of its addresses.
    #[error("the proxy did not connect to any of the name's addresses: {}", Each(.0))]
    Addresses(Vec<(SocketAddr, SocksError)>),
}

impl SocksError {
    pub(super) fn zoned(version: SocksVersion, host: &Host) -> Self {
        let reason = "its zone means something on this machine only, and not where the proxy is";
        Self::Host { version, host: host.to_string().into(), reason }
    }
}

/// Which proxy it was: how a failure travels within an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("by way of {proxy}")]
pub(crate) struct ByWayOf {
    pub(crate) proxy: SocksProxy,
    pub(crate) source: SocksError,
}

impl From<ByWayOf> for io::Error {
    fn from(error: ByWayOf) -> Self {
        Self::other(error)
    }
}

/// What a proxy was to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksStep {
    /// The greeting, which offers ways to log in (version 5).
    Greeting,
    /// The user and the password (version 5).
    Credentials,
    /// The request to connect.
    Request,
}

impl fmt::Display for SocksStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "to the greeting",
            Self::Credentials => "to the credentials",
            Self::Request => "to the request",
        })
    }
}

const fn offers(with_credentials: bool) -> &'static str {
    match with_credentials {
        true => "none at all, and user with password",
        false => "none at all (no credentials are set)",
    }
}

fn refusal(status: Option<u8>) -> String {
    match status {
        Some(status) => format!("status {status:02X}"),
        None => "it closed the connection on them".to_owned(),
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

struct Each<'a>(&'a [(SocketAddr, SocksError)]);

impl fmt::Display for Each<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (address, error)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", address.ip(), chain(error))?;
        }
        Ok(())
    }
}
