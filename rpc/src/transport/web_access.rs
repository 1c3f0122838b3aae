//! Which pages in a browser may reach a server: the checks of `Origin` and `Host`.
//!
//! A browser lets any page open a WebSocket to any server, and send it some kinds of requests, with the user's cookies and from within
//! the user's network. All that the server has to tell by is what the browser says of the page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderValue, header, request::Parts, uri::Authority};

/// Which pages in a browser may reach a server, and under which names of the server.
///
/// By default:
///
/// - A request without an `Origin` header is let in: it comes from no page. One with an `Origin` is let in only where that is the
///   server itself, as far as it can tell: the same host and port as in the `Host` header. [`allow_origin`](Self::allow_origin) lets other
///   pages in.
/// - A request from this machine (the peer's address is a loopback address) has to call the server by an IP address, or `localhost` or a
///   name below it. Otherwise a page of any site could be given the address 127.0.0.1 by the name server of that site, and reach
///   what only programs on this machine should (DNS rebinding). Behind a proxy on this machine that passes `Host` on,
///   [`allow_host`](Self::allow_host) names what it passes.
///
/// What is refused is answered with 403 and a line that says why.
///
/// ```
/// use rpc::WebAccess;
///
/// let access = WebAccess::new().allow_origin("https://wallet.example.org").allow_host("node.example.org");
/// # let _ = access;
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebAccess {
    origins: Allowed,
    hosts: Allowed,
}

#[derive(Debug, Clone)]
enum Allowed {
    Any,
    /// In lower case.
    These(Vec<String>),
}

impl Default for Allowed {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Allowed {
    fn add(&mut self, one: String) {
        if let Self::These(these) = self {
            these.push(one);
        }
    }

    /// Whether `host` is an IP address (of version 6, with a port), and that is enough. It nearly always is where no page asks.
    fn are_any_address(&self, host: &str) -> bool {
        let any = match self {
            Self::Any => true,
            Self::These(hosts) => hosts.is_empty(),
        };
        any && (host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok())
    }
}

impl WebAccess {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pages of `origin` in, written as browsers do: `https://example.org`, with a port where it is not the scheme's own, or `null`
    /// (pages from files, and sandboxed ones).
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into().to_ascii_lowercase();
        // People write a slash that browsers do not; the two of `file://` are the origin's own.
        let bare = origin.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        self.origins.add(bare.unwrap_or(&origin).to_owned());
        self
    }

    /// Lets every page in. Only for what every site in the world may call, with the rights that the user's machine gives it.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// Lets requests in that call the server `host`, with or without a port. Where one is named, other names are refused from everywhere,
    /// and not from this machine only; IP addresses and `localhost` stay allowed from this machine.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.add(host.into().to_ascii_lowercase());
        self
    }

    /// Lets requests in whatever they call the server.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts = Allowed::Any;
        self
    }

    /// Whether a request may come in that says of itself what it calls the server.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub(crate) fn check_request(&self, request: &Parts, is_local: bool) -> Result<(), String> {
        let host = host_of(request.uri.authority().map(Authority::as_str), &request.headers)?;
        self.check(host, &request.headers, is_local)
    }

    /// Whether a request may come in: `host` is what it calls the server (of HTTP/2, the `:authority`), and `is_local` whether it comes
    /// from this machine.
    ///
    /// # Errors
    ///
    /// Why not, for the peer to read.
    pub(crate) fn check(
        &self,
        host: Option<&str>,
        headers: &HeaderMap,
        is_local: bool,
    ) -> Result<(), String> {
        if !headers.contains_key(header::ORIGIN) && host.is_some_and(|host| self.hosts.are_any_address(host))
        {
            return Ok(());
        }
        let server = host.map(Server::parse).transpose()?;
        self.check_host(server.as_ref(), is_local)?;
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) => self.check_origin(origin, server.as_ref()),
            (Some(_), Some(_)) => Err("there is more than one Origin header".to_owned()),
        }
    }

    fn check_host(&self, server: Option<&Server>, is_local: bool) -> Result<(), String> {
        let (Allowed::These(hosts), Some(server)) = (&self.hosts, server) else { return Ok(()) };
        let is_named = hosts.iter().any(|host| *host == server.host || *host == server.with_port());
        let is_plain = (is_local || hosts.is_empty()) && server.needs_no_name_server();
        if is_named || is_plain || (hosts.is_empty() && !is_local) {
            return Ok(());
        }
        Err(format!("the host `{}` is not one of this server's names", server.with_port()))
    }

    fn check_origin(&self, origin: &HeaderValue, server: Option<&Server>) -> Result<(), String> {
        let Allowed::These(origins) = &self.origins else { return Ok(()) };
        let origin = String::from_utf8_lossy(origin.as_bytes()).to_ascii_lowercase();
        let is_server = || match (page(&origin), server) {
            (Some((host, port)), Some(server)) => {
                let default = default_port(&origin);
                server.host == host && server.port.or(default) == port.or(default)
            }
            _ => false,
        };
        if origins.contains(&origin) || is_server() {
            return Ok(());
        }
        Err(format!("pages of the origin `{}` may not come in", origin.escape_debug()))
    }
}

/// What a request calls the server: the one that HTTP/2 names by itself, or the `Host` header.
///
/// # Errors
///
/// Where there is more than one, or it is no text.
pub(crate) fn host_of<'a>(
    authority: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Option<&'a str>, String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err("there is more than one Host header".to_owned()),
        (Some(host), None) if authority.is_none() => {
            host.to_str().map(Some).map_err(|_| "the Host header is no text".to_owned())
        }
        _ => Ok(authority),
    }
}

#[derive(Debug)]
struct Server {
    /// In lower case; an IPv6 address in brackets.
    host: String,
    port: Option<u16>,
}

impl Server {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<Authority>() {
            Ok(authority) if !text.contains('@') && !authority.host().is_empty() => {
                Ok(Self { host: authority.host().to_ascii_lowercase(), port: authority.port_u16() })
            }
            _ => Err(format!("`{}` names no host", text.escape_debug())),
        }
    }

    fn with_port(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Whether no name server has a say in where it leads.
    fn needs_no_name_server(&self) -> bool {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        let ip = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.ends_with(".localhost") || ip.parse::<IpAddr>().is_ok()
    }
}

/// The host and the port of a page's origin.
fn page(origin: &str) -> Option<(&str, Option<u16>)> {
    let (_, authority) = origin.split_once("://")?;
    let host_end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    match port.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None => port.is_empty().then_some((host, None)),
    }
}

/// The port of an origin, and of a `Host` header beside it, that say none.
fn default_port(origin: &str) -> Option<u16> {
    match origin.split_once("://")?.0 {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
#[path = "web_access_tests.rs"]
mod tests;
