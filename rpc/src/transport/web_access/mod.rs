//! Access control for browsers: the checks of `Origin` and `Host`.
//!
//! A browser lets any page open a WebSocket to any server, and send it some kinds of requests, with
//! the user's cookies and from inside the user's network. The server can only rely on the browser's
//! headers about the page.

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

/// Which web pages may access a server, and under which host names.
///
/// By default:
///
/// - A request without an `Origin` header is allowed: it does not come from a page. One with an
///   `Origin` is allowed only if that is the server itself: the same scheme, host and port (RFC
///   6454, section 5), with the scheme's default for a missing port. Host and port are those of the
///   `Host` header; the scheme is `http` for listeners at `ws://` and `http://`, and `https` for
///   those at `wss://` and `https://`. [`allow_origin`](Self::allow_origin) allows other pages.
/// - A request from this machine (the peer's address is one of this machine's) must name the server
///   by an IP address, `localhost`, or a name below it. Otherwise the name server of any site could
///   resolve its name to this machine, and its pages could access servers that are meant for local
///   programs (DNS rebinding). Behind a proxy on this machine that forwards `Host`, allow that name
///   with [`allow_host`](Self::allow_host).
///
/// A denied request is answered with 403 and one line with the reason, and an event at level `WARN`
/// says how to allow it, once per name (for the first 32). An invalid `Host` (or `:authority`) is
/// answered with 400, as is an HTTP/1.1 request without or with more than one `Host`, whatever is
/// allowed (RFC 9112, section 3.2).
///
/// # Behind a proxy
///
/// If a proxy speaks TLS with browsers and plain HTTP with the server, the server's own pages are
/// `https`. A listener at `ws://` or `http://` cannot know that: set
/// [`behind_tls`](Self::behind_tls), or allow the origin with [`allow_origin`](Self::allow_origin).
/// A service that is mounted in another server, or that is given streams accepted by the
/// application, does not know the scheme: pages of `http` and of `https` are then both its own,
/// unless `behind_tls` is set. Requests over a Unix socket come from a program and not from a
/// browser, and may use any host.
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
    /// Fast path for requests without an `Origin`: whether `host` is an IP address (of version 6,
    /// with a port), and any is allowed.
    fn allow_address(&self, host: &str) -> bool {
        let any = match self {
            Self::Any => true,
            Self::These(hosts) => hosts.is_empty(),
        };
        // An invalid zone needs an error message.
        any && !host.contains('%') && (host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok())
    }
}

impl WebAccess {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows pages of `origin`, as browsers write it: `https://example.org`, with a port unless it
    /// is the scheme's default, or `null` (pages from files, and sandboxed ones).
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        // People add a slash that browsers do not; those of `file://` belong to the origin.
        let bare = origin.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        self.origins.add(Origin::parse(bare.unwrap_or(&origin)));
        self
    }

    /// Allows every page. Only for servers that every site in the world may call, with the access
    /// rights of the user's machine.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// Allows requests that name the server `host`, with or without a port. Once a host is set,
    /// other names are denied from everywhere, not from this machine only; IP addresses and
    /// `localhost` remain allowed from this machine.
    ///
    /// An invalid host, such as a URL or `127.1`, allows nothing, and is logged as a warning.
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
                self.hosts.add(HostAndPort::unmatchable());
            }
        }
        self
    }

    /// Allows requests with any host.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts = Allowed::Any;
        self
    }

    /// Declares that browsers use TLS, whatever the server listens at: its own pages are `https`.
    /// For a server behind a proxy that terminates TLS. Default: as it listens.
    pub fn behind_tls(mut self) -> Self {
        self.behind_tls = true;
        self
    }

    /// Checks a request. `own` is the scheme of the server's own pages, if known, and `is_local`
    /// tells whether the request comes from this machine; it is called only if that matters.
    ///
    /// # Errors
    ///
    /// Why the request is denied.
    pub(crate) fn check(
        &self,
        request: &Parts,
        own: Option<PageScheme>,
        is_local: impl FnOnce() -> bool,
    ) -> Result<(), Denied> {
        let host = origin::host_of(request)?;
        let headers = &request.headers;
        if !headers.contains_key(header::ORIGIN) && host.is_some_and(|host| self.hosts.allow_address(host)) {
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

/// Limit of names that are logged. An untrusted peer chooses them: it must not fill the log, or the
/// memory.
const NAMES: usize = 32;

/// The names already logged, shared by all copies of the same settings.
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

    /// `own` is the scheme of the server's own pages, if known.
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
