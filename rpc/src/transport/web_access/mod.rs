//! Which pages in a browser may reach a server: the checks of `Origin` and `Host`.
//!
//! A browser lets any page open a WebSocket to any server, and send it some kinds of requests, with
//! the user's cookies and from within the user's network. All that the server has to tell by is
//! what the browser says of the page.

mod origin;

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, header, request::Parts};

use crate::jsonrpc::shown::brief;
pub(crate) use origin::{Denied, FromItself, PageScheme, has_address};
use origin::{HostAndPort, Origin};

/// Which pages in a browser may reach a server, and under which names of the server.
///
/// By default:
///
/// - A request without an `Origin` header is let in: it comes from no page. One with an `Origin` is
///   let in only where that is the server itself: the same scheme, host and port (RFC 6454, section
///   5), of which a port that is not written is that of the scheme. Host and port are those of the
///   `Host` header; pages of `http` belong to listeners at `ws://` and `http://`, pages of `https`
///   to those at `wss://` and `https://`. [`allow_origin`](Self::allow_origin) lets other pages in.
/// - A request from this machine (the peer's address is one of this machine's) has to call the
///   server by an IP address, or `localhost` or a name below it. Otherwise a page of any site could
///   be given the address of this machine by the name server of that site, and reach what only
///   programs on this machine should (DNS rebinding). Behind a proxy on this machine that passes
///   `Host` on, [`allow_host`](Self::allow_host) names what it passes.
///
/// What is refused is answered with 403 and a line that says why, and an event at the level `WARN`
/// names what lets it in, once for each name (of the first 32); a `Host` (or `:authority`) that
/// no server can have is answered with 400. So is a request of HTTP/1.1 that has no `Host`, or more than one,
/// whatever is allowed (RFC 9112, section 3.2).
///
/// # Behind a proxy
///
/// A proxy that speaks TLS with browsers, and none with the server, makes `https` pages of the
/// server's own. A listener at `ws://` or `http://` does not know: [`behind_tls`](Self::behind_tls)
/// says so, or [`allow_origin`](Self::allow_origin) names the origin. A service that is mounted in
/// another server, or given streams that the application has accepted, does not know what browsers
/// speak: there pages of `http` and of `https` are both its own, unless `behind_tls` says which.
/// Requests that come over a Unix socket are from a program and not from a browser, and may call
/// the server what they like.
///
/// ```
/// use rpc::WebAccess;
///
/// let wallet = "https://wallet.example.org";
/// let access = WebAccess::new().allow_origin(wallet).allow_host("node.example.org");
/// # let _ = access;
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebAccess {
    origins: Allowed<Origin>,
    hosts: Allowed<HostAndPort>,
    behind_tls: bool,
    reported: Reported,
}

#[derive(Debug, Clone)]
enum Allowed<T> {
    Any,
    These(Vec<T>),
}

impl<T> Default for Allowed<T> {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl<T> Allowed<T> {
    fn add(&mut self, one: T) {
        if let Self::These(these) = self {
            these.push(one);
        }
    }
}

impl Allowed<HostAndPort> {
    /// Whether `host` is an IP address (of version 6, with a port), and that is enough. It nearly
    /// always is where no page asks.
    fn are_any_address(&self, host: &str) -> bool {
        let any = match self {
            Self::Any => true,
            Self::These(hosts) => hosts.is_empty(),
        };
        // A zone is for the errors of what cannot be right.
        any && !host.contains('%') && (host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok())
    }
}

impl WebAccess {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pages of `origin` in, written as browsers do: `https://example.org`, with a port where
    /// it is not the scheme's own, or `null` (pages from files, and sandboxed ones).
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        // People write a slash that browsers do not; the two of `file://` are the origin's own.
        let bare = origin.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        self.origins.add(Origin::parse(bare.unwrap_or(&origin)));
        self
    }

    /// Lets every page in. Only for what every site in the world may call, with the rights that the
    /// user's machine gives it.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// Lets requests in that call the server `host`, with or without a port. Where one is named,
    /// other names are refused from everywhere, and not from this machine only; IP addresses and
    /// `localhost` stay allowed from this machine.
    ///
    /// What is no host, such as a URL or `127.1`, is in no request that is let in. It allows
    /// nothing, and a warning in the log says so.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        match HostAndPort::parse(&host) {
            Ok(named) => self.hosts.add(named),
            Err(reason) => {
                let (host, reason) = (host.escape_debug(), reason.escape_debug());
                tracing::warn!(
                    rpc.system.name = "jsonrpc", %host, %reason,
                    "a host that is to be allowed is none: write HOST or HOST:PORT"
                );
                self.hosts.add(HostAndPort::nothing());
            }
        }
        self
    }

    /// Lets requests in whatever they call the server.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts = Allowed::Any;
        self
    }

    /// Says that browsers reach the server over TLS, whatever it listens at: pages of the server's
    /// own are those of `https`. For a server behind a proxy that terminates TLS. Default: as it
    /// listens.
    pub fn behind_tls(mut self) -> Self {
        self.behind_tls = true;
        self
    }

    /// Whether a request may come in. Pages of the server itself are fetched by `own`, as far as
    /// that is known, and `is_local` says whether the request comes from this machine, where that
    /// matters.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn check(
        &self,
        request: &Parts,
        own: Option<PageScheme>,
        is_local: impl FnOnce() -> bool,
    ) -> Result<(), Denied> {
        let host = origin::host_of(request)?;
        let headers = &request.headers;
        if !headers.contains_key(header::ORIGIN) && host.is_some_and(|host| self.hosts.are_any_address(host))
        {
            return Ok(());
        }
        let server = host.map(origin::named).transpose()?;
        self.check_host(server.as_ref(), is_local)?;
        match sole_origin(headers)? {
            None => Ok(()),
            Some(origin) => self.check_origin(origin, server.as_ref(), own),
        }
    }

    fn check_host(
        &self,
        server: Option<&HostAndPort>,
        is_local: impl FnOnce() -> bool,
    ) -> Result<(), Denied> {
        let (Allowed::These(hosts), Some(server)) = (&self.hosts, server) else { return Ok(()) };
        let is_named = |allowed: &HostAndPort| {
            allowed.host == server.host && (allowed.port.is_none() || allowed.port == server.port)
        };
        let may = if hosts.iter().any(is_named) {
            true
        } else if hosts.is_empty() {
            server.needs_no_name_server() || !is_local()
        } else {
            server.needs_no_name_server() && is_local()
        };
        if may {
            return Ok(());
        }
        self.reported.host(&server.to_string());
        Err(Denied::Forbidden(format!("the host `{server}` is not one of this server's names")))
    }

    fn check_origin(
        &self,
        origin: &HeaderValue,
        server: Option<&HostAndPort>,
        own: Option<PageScheme>,
    ) -> Result<(), Denied> {
        let Allowed::These(origins) = &self.origins else { return Ok(()) };
        let shown = String::from_utf8_lossy(origin.as_bytes());
        let origin = Origin::parse(&shown);
        let own = if self.behind_tls { Some(PageScheme::Https) } else { own };
        if origins.contains(&origin) || server.is_some_and(|server| origin.is_of(server, own)) {
            return Ok(());
        }
        let shown = shown.to_ascii_lowercase();
        self.reported.origin(&shown, own.map_or("unknown", PageScheme::name));
        Err(Denied::Forbidden(format!("pages of the origin `{}` may not come in", shown.escape_debug())))
    }
}

fn sole_origin(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Denied> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(_), Some(_)) => Err(Denied::Forbidden("there is more than one Origin header".to_owned())),
        (origin, _) => Ok(origin),
    }
}

/// So many names are told of. What a peer calls the server is for the peer to say: it cannot fill the log, or the memory.
const NAMES: usize = 32;

/// The names that were told of, by all copies of the same settings.
#[derive(Debug, Clone, Default)]
struct Reported(Arc<Mutex<HashSet<String>>>);

impl Reported {
    fn host(&self, host: &str) {
        if self.is_new("host", host) {
            tracing::warn!(
                rpc.system.name = "jsonrpc", host = %brief(host),
                "a request was refused for what it calls this server: if that is one of its names, let it in with `WebAccess::allow_host`"
            );
        }
    }

    /// `own` is how pages of the server itself are fetched, as far as that is known.
    fn origin(&self, origin: &str, own: &str) {
        if self.is_new("origin", origin) {
            tracing::warn!(
                rpc.system.name = "jsonrpc", origin = %brief(origin), own,
                "a page was refused for its origin: let it in with `WebAccess::allow_origin`; if it is a page of this server behind a proxy \
                 that speaks TLS, `WebAccess::behind_tls` says so"
            );
        }
    }

    fn is_new(&self, kind: &str, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.len() < NAMES && names.insert(format!("{kind} {}", brief(name)))
    }
}

#[cfg(test)]
mod tests;
