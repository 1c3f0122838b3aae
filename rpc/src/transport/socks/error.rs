//! Errors of a SOCKS proxy connection, and the reply codes of proxies.

use std::{
    fmt::{self, Write as _},
    io,
    net::SocketAddr,
    time::Duration,
};

use super::proxy::{SocksProxy, SocksVersion};
use crate::{jsonrpc::chain, transport::Host};

/// Why there is no connection through a SOCKS proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocksError {
    /// Connecting to the proxy failed.
    #[error("the proxy cannot be connected to")]
    Unreachable {
        /// The cause.
        source: io::Error,
    },

    /// The answer is not one of this SOCKS version.
    #[error("what listens there is no SOCKS {version} proxy: {step} it sent {}", Hex(.answer))]
    NotSocks {
        /// The version that was used.
        version: SocksVersion,
        /// The step that was being answered.
        step: SocksStep,
        /// The bytes received instead, as far as they were read.
        answer: Box<[u8]>,
    },

    /// The proxy accepts none of the offered authentication methods: it demands credentials, which
    /// are not set ([`SocksProxy::credentials`](super::SocksProxy::credentials)), or another method
    /// such as GSSAPI.
    #[error("the proxy accepts none of the ways to log in that were offered: {}", offers(*.with_credentials))]
    NoAcceptableMethod {
        /// Whether user and password were offered, in addition to no authentication.
        with_credentials: bool,
    },

    /// The proxy rejects the user and the password, with a status or by closing the connection.
    #[error("the proxy refuses the credentials: {}", refusal(*.status))]
    CredentialsRefused {
        /// The status of RFC 1929; `None` if the connection was closed instead.
        status: Option<u8>,
    },

    /// The proxy understood the request, and did not connect.
    #[error("the proxy did not connect: {0}")]
    Refused(SocksReply),

    /// The proxy closed the connection without an answer.
    #[error("the proxy closed the connection without an answer {step}")]
    Closed {
        /// The step that was not answered.
        step: SocksStep,
        /// The cause: `UnexpectedEof` for an orderly close, otherwise a reset.
        source: io::Error,
    },

    /// The proxy did not answer within the time limit.
    #[error("the proxy did not answer {step}: not within {limit:?}")]
    TimedOut {
        /// The step that was not answered.
        step: SocksStep,
        /// The limit: [`SocksProxy::timeout`](super::SocksProxy::timeout).
        limit: Duration,
    },

    /// I/O with the proxy failed.
    #[error("talking to the proxy failed {step}")]
    Io {
        /// The step that was not answered.
        step: SocksStep,
        /// The cause.
        source: io::Error,
    },

    /// The version cannot express this host.
    #[error("SOCKS {version} cannot ask for {host}: {reason}")]
    Host {
        /// The version that was used.
        version: SocksVersion,
        /// The requested host.
        host: Box<str>,
        /// The problem.
        reason: &'static str,
    },

    /// The version cannot express this user or password. Neither is shown.
    #[error("SOCKS {version} cannot send the {part}: {reason}")]
    Credentials {
        /// The version that was used.
        version: SocksVersion,
        /// `user` or `password`.
        part: &'static str,
        /// The problem.
        reason: &'static str,
    },

    /// The host name could not be resolved on this machine
    /// ([`SocksProxy::resolve_locally`](super::SocksProxy::resolve_locally)).
    #[error("the name cannot be resolved")]
    Resolve {
        /// The cause.
        source: io::Error,
    },

    /// The host name was resolved on this machine, and the proxy connected to none of its
    /// addresses.
    #[error("the proxy did not connect to any of the name's addresses: {}", Each(.0))]
    Addresses(Vec<(SocketAddr, SocksError)>),
}

impl SocksError {
    pub(super) fn zoned(version: SocksVersion, host: &Host) -> Self {
        let reason = "its zone means something on this machine only, and not where the proxy is";
        Self::Host { version, host: host.to_string().into(), reason }
    }
}

/// A failure with its proxy, as the source of an I/O error.
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

/// The step that a proxy has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksStep {
    /// The greeting, which offers authentication methods (version 5).
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

/// Reply codes of all versions: why a proxy did not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksReply {
    /// 5: `01`. General failure.
    GeneralFailure,
    /// 5: `02`. Not allowed by the proxy's rules.
    NotAllowed,
    /// 5: `03`. Network unreachable.
    NetworkUnreachable,
    /// 5: `04`. Host unreachable, or its name does not resolve.
    HostUnreachable,
    /// 5: `05`. Connection refused by the host.
    ConnectionRefused,
    /// 5: `06`. TTL expired; Tor uses it for a timeout.
    TtlExpired,
    /// 5: `07`. Command not supported: the proxy does not make connections.
    CommandNotSupported,
    /// 5: `08`. Address type not supported: IPv6, or names.
    AddressTypeNotSupported,

    /// 5: `F0`, by Tor with `ExtendedErrors`. The onion service's descriptor is not found: no such
    /// service exists now.
    OnionNotFound,
    /// 5: `F1`, by Tor. The onion service's descriptor is invalid.
    OnionInvalid,
    /// 5: `F2`, by Tor. The onion service's introduction failed.
    OnionIntroductionFailed,
    /// 5: `F3`, by Tor. The rendezvous with the onion service failed.
    OnionRendezvousFailed,
    /// 5: `F4`, by Tor. The onion service requires client authorization.
    OnionNeedsAuthorization,
    /// 5: `F5`, by Tor. The onion service's authorization is wrong.
    OnionWrongAuthorization,
    /// 5: `F6`, by Tor. The name is not a valid onion address.
    OnionBadAddress,
    /// 5: `F7`, by Tor. The onion service's introduction timed out.
    OnionIntroductionTimedOut,

    /// 4 and 4a: `5B` (91). Rejected or failed, for an unknown reason.
    Rejected,
    /// 4 and 4a: `5C` (92). The proxy requires an identd on this machine, and there is none.
    NoIdentd,
    /// 4 and 4a: `5D` (93). The identd of this machine reports another user.
    IdentdDisagrees,

    /// A code that the version does not define.
    Other {
        /// The version that was used.
        version: SocksVersion,
        /// The code.
        code: u8,
    },
}

impl SocksReply {
    /// A code other than 0 of version 5: RFC 1928, section 6, and Tor's proposal 304.
    pub(super) const fn of_v5(code: u8) -> Self {
        match code {
            0x01 => Self::GeneralFailure,
            0x02 => Self::NotAllowed,
            0x03 => Self::NetworkUnreachable,
            0x04 => Self::HostUnreachable,
            0x05 => Self::ConnectionRefused,
            0x06 => Self::TtlExpired,
            0x07 => Self::CommandNotSupported,
            0x08 => Self::AddressTypeNotSupported,
            0xF0 => Self::OnionNotFound,
            0xF1 => Self::OnionInvalid,
            0xF2 => Self::OnionIntroductionFailed,
            0xF3 => Self::OnionRendezvousFailed,
            0xF4 => Self::OnionNeedsAuthorization,
            0xF5 => Self::OnionWrongAuthorization,
            0xF6 => Self::OnionBadAddress,
            0xF7 => Self::OnionIntroductionTimedOut,
            code => Self::Other { version: SocksVersion::V5, code },
        }
    }

    /// A code other than 90 of versions 4 and 4a: Ying-Da Lee's "SOCKS: A protocol for TCP proxy
    /// across firewalls".
    pub(super) const fn of_v4(code: u8, version: SocksVersion) -> Self {
        match code {
            91 => Self::Rejected,
            92 => Self::NoIdentd,
            93 => Self::IdentdDisagrees,
            code => Self::Other { version, code },
        }
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general failure (01)",
            Self::NotAllowed => "not allowed by its rules (02)",
            Self::NetworkUnreachable => "network unreachable (03)",
            Self::HostUnreachable => "host unreachable (04)",
            Self::ConnectionRefused => "connection refused (05)",
            Self::TtlExpired => "time to live expired (06)",
            Self::CommandNotSupported => "command not supported (07)",
            Self::AddressTypeNotSupported => "address type not supported (08)",
            Self::OnionNotFound => "onion service not found (F0)",
            Self::OnionInvalid => "onion service's descriptor invalid (F1)",
            Self::OnionIntroductionFailed => "onion service's introduction failed (F2)",
            Self::OnionRendezvousFailed => "rendezvous with the onion service failed (F3)",
            Self::OnionNeedsAuthorization => "onion service needs authorization (F4)",
            Self::OnionWrongAuthorization => "wrong authorization for the onion service (F5)",
            Self::OnionBadAddress => "no address of an onion service (F6)",
            Self::OnionIntroductionTimedOut => "onion service's introduction timed out (F7)",
            Self::Rejected => "rejected or failed (5B)",
            Self::NoIdentd => "no identd on this machine (5C)",
            Self::IdentdDisagrees => "identd on this machine names another user (5D)",
            Self::Other { version, code } => {
                return write!(f, "code {code:02X}, unknown in version {version}");
            }
        })
    }
}
