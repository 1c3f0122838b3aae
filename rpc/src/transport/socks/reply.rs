//! What a proxy answers to a request that it does not grant.

use std::fmt;

use super::SocksVersion;

/// Why a proxy did not connect, as it says itself: the reply codes of every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksReply {
    /// 5: `01`. Something failed, and the proxy does not say what.
    GeneralFailure,
    /// 5: `02`. The proxy's rules do not allow this connection.
    NotAllowed,
    /// 5: `03`. The proxy has no way to the network.
    NetworkUnreachable,
    /// 5: `04`. The proxy does not reach the host, or cannot resolve its name.
    HostUnreachable,
    /// 5: `05`. The host refuses the connection.
    ConnectionRefused,
    /// 5: `06`. A packet's time to live ran out; Tor says so where it took too long.
    TtlExpired,
    /// 5: `07`. The proxy does not connect for others.
    CommandNotSupported,
    /// 5: `08`. The proxy does not know the kind of address: IPv6, or names.
    AddressTypeNotSupported,

    /// 5: `F0`, by Tor with `ExtendedErrors`. The onion service's descriptor is not found: there is none of this name now.
    OnionNotFound,
    /// 5: `F1`, by Tor. The onion service's descriptor is invalid.
    OnionInvalid,
    /// 5: `F2`, by Tor. The onion service's introduction failed.
    OnionIntroductionFailed,
    /// 5: `F3`, by Tor. The rendezvous with the onion service failed.
    OnionRendezvousFailed,
    /// 5: `F4`, by Tor. The onion service wants its clients' authorization.
    OnionNeedsAuthorization,
    /// 5: `F5`, by Tor. The onion service's authorization is wrong.
    OnionWrongAuthorization,
    /// 5: `F6`, by Tor. The name is no address of an onion service.
    OnionBadAddress,
    /// 5: `F7`, by Tor. The onion service's introduction took too long.
    OnionIntroductionTimedOut,

    /// 4 and 4a: `5B` (91). Refused or failed, and the proxy does not say why.
    Rejected,
    /// 4 and 4a: `5C` (92). The proxy asked for an identd on this machine, and there is none.
    NoIdentd,
    /// 4 and 4a: `5D` (93). The identd of this machine names another user.
    IdentdDisagrees,

    /// A code that the version does not have.
    Other {
        /// The version that was spoken.
        version: SocksVersion,
        /// The code as it was sent.
        code: u8,
    },
}

impl SocksReply {
    /// What a code other than 0 means in version 5: RFC 1928, section 6, and Tor's proposal 304.
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

    /// What a code other than 90 means in versions 4 and 4a: Ying-Da Lee's "SOCKS: A protocol for TCP proxy across firewalls".
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
