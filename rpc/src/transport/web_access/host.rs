//! What a request calls the server.

use http::{HeaderMap, HeaderValue, Version, header, request::Parts, uri::Authority};

use super::Denied;
use crate::transport::{Host, endpoint::host_and_port};

/// A host and a port, which may be missing: of a `Host` header, an `:authority`, or a name that is
/// allowed. What means the same is equal: names in lower case, addresses as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

impl Named {
    /// What no request calls a server.
    pub(super) fn nothing() -> Self {
        Self { host: Host::Name("".into()), port: None }
    }

    /// RFC 3986, section 3.2.2 and 3.2.3: a host, and a port, which may be empty.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix(':').unwrap_or(text).to_ascii_lowercase();
        match host_and_port("http", &text)? {
            (Some(Host::Zoned(_)), _) => {
                Err("a zone means something on the machine of the client only (RFC 6874, section 4)"
                    .to_owned())
            }
            (Some(host), port) => Ok(Self { host, port }),
            (None, _) => Err("the host is missing".to_owned()),
        }
    }

    /// Whether no name server has a say in where it leads.
    pub(super) fn needs_no_name_server(&self) -> bool {
        match &self.host {
            Host::V4(_) | Host::V6(_) | Host::Zoned(_) => true,
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.host.in_url())?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The text of what a request calls the server: its target where that names one (`:authority`, the
/// absolute form), else the `Host` header.
///
/// # Errors
///
/// Where there is more than one `Host`, it is no text, or it is another one than the `:authority`;
/// where a request of HTTP/1.1 has none, whatever its target says: RFC 9112, section 3.2, and RFC
/// 9113, section 8.3.1.
pub(super) fn of_request(request: &Parts) -> Result<Option<&str>, Denied> {
    let authority = request.uri.authority().map(Authority::as_str);
    let Some(host) = single(&request.headers)? else {
        return match request.version {
            Version::HTTP_11 => Err(Denied::malformed("the Host header is missing")),
            _ => Ok(authority),
        };
    };
    let host = host.to_str().map_err(|_| Denied::malformed("the Host header is no text"))?;
    match authority {
        None => Ok(Some(host)),
        Some(authority) if request.version == Version::HTTP_2 && !host.eq_ignore_ascii_case(authority) => {
            let (host, authority) = (host.escape_debug(), authority.escape_debug());
            Err(Denied::Malformed(format!("the Host `{host}` is not the :authority, `{authority}`")))
        }
        // The target counts, and what cannot be right is refused all the same.
        Some(authority) => named(host).map(|_| Some(authority)),
    }
}

/// The same, as a host and a port.
pub(super) fn named(text: &str) -> Result<Named, Denied> {
    Named::parse(text).map_err(|reason| {
        Denied::Malformed(format!(
            "`{}` is not what a server is called: {}",
            text.escape_debug(),
            reason.escape_debug()
        ))
    })
}

fn single(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Denied> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(Denied::malformed("there is more than one Host header")),
        (host, _) => Ok(host),
    }
}
