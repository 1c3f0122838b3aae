//! Where a page in a browser is from.

use super::host::Named;
use crate::transport::{Endpoint, Host, Scheme};

/// How pages of a server are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageScheme {
    Http,
    Https,
}

impl PageScheme {
    /// Of a listener at `endpoint`, or of one that a peer came to which is there. `None` where it
    /// does not say: what carries the bytes may have a proxy before it.
    pub(crate) fn of(endpoint: &Endpoint) -> Option<Self> {
        match endpoint.as_net()?.scheme {
            Scheme::Http | Scheme::Ws => Some(Self::Http),
            Scheme::Https | Scheme::Wss | Scheme::Tls => Some(Self::Https),
            Scheme::Tcp => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Where none is written.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A scheme, a host and a port, which are compared: RFC 6454, section 5. What means the same is
/// equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Web(PageScheme, Host, u16),
    /// `null`, `file://`, those of extensions: in lower case.
    Other(String),
}

impl Origin {
    /// As a browser serialises it (RFC 6454, section 6.1), or a person, who may add a slash.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        Self::of_web(&text).unwrap_or(Self::Other(text))
    }

    fn of_web(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme =
            [PageScheme::Http, PageScheme::Https].into_iter().find(|known| known.name() == scheme)?;
        let Named { host, port } = Named::parse(authority).ok()?;
        Some(Self::Web(scheme, host, port.unwrap_or(scheme.port())))
    }

    /// Whether it is that of a server which a request calls `server`, and whose pages are fetched
    /// by `own`, as far as that is known.
    pub(super) fn is_of(&self, server: &Named, own: Option<PageScheme>) -> bool {
        let Self::Web(scheme, host, port) = self else { return false };
        own.is_none_or(|own| own == *scheme)
            && *host == server.host
            && *port == server.port.unwrap_or(scheme.port())
    }
}
