//! Which web pages may call. A browser sends what any page asks it to send, from where the browser is: behind the firewall, and to the
//! machine's own loopback interface. Two headers, which pages cannot set, say who asks and for whom.

use std::{fmt, net::IpAddr};

use http::{HeaderMap, Uri, header, uri::Authority};

/// Which web pages may call a server by HTTP or WebSocket, and under which names it is known.
///
/// Programs are not concerned: what is checked are the headers `Origin`, which only browsers send, and `Host`. Without further ado
///
/// - pages may call that come from the very host that they call, where that is `localhost` or an IP address;
/// - on a loopback address (`127.0.0.1`, `[::1]`) every request must name a loopback address or `localhost` as its host. A page of
///   `evil.example` that has its own name point to `127.0.0.1` (DNS rebinding) comes with that name, and is refused.
///
/// Everything else is allowed here by name. What is refused is answered with the status 403.
///
/// ```
/// use rpc::WebOrigins;
///
/// let origins = WebOrigins::new()
///     .allow_origin("https://app.example.org") // pages of another host
///     .allow_host("node.example.org");         // what this server is called
/// # let _ = origins;
/// ```
///
/// A browser also wants to be told by the server that a page of another origin may read the answer (CORS): see
/// [`HttpOptions::layer`](crate::HttpOptions::layer).
#[derive(Debug, Clone, Default)]
pub struct WebOrigins {
    origins: Allowed,
    hosts: Allowed,
}

#[derive(Debug, Clone)]
enum Allowed {
    Any,
    These(Vec<Box<str>>),
}

impl Default for Allowed {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Allowed {
    fn add(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.push(name.into());
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(names) => names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)),
        }
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }
}

impl WebOrigins {
    /// Pages of the host itself, by its address or as `localhost`.
    pub fn new() -> Self {
        Self::default()
    }

    /// No page is refused, and no name: for a server that gives everybody the same, or that asks everybody for a password.
    pub const fn any() -> Self {
        Self { origins: Allowed::Any, hosts: Allowed::Any }
    }

    /// Pages of `origin` may call: a scheme, a host, and the port where it is not the scheme's usual one, as browsers write it
    /// (`https://app.example.org`, `http://localhost:3000`). `null` is what pages have that come from a file.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.add(origin.strip_suffix('/').unwrap_or(origin));
        self
    }

    /// The server is known as `host`: a name with a port, or without one, which then may be any. Where a host is allowed, others (but for
    /// addresses and `localhost`) are not, on whatever address the server listens.
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.add(host);
        self
    }

    /// Pages of any origin may call.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// The server may be called anything: for one behind a proxy that checks the name.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts = Allowed::Any;
        self
    }

    /// Judges a request by its target and its headers. `on_loopback` says whether it has come in on a loopback address.
    pub(crate) fn check(&self, target: &Uri, headers: &HeaderMap, on_loopback: bool) -> Result<(), Stranger> {
        let by_name = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let hosts: Vec<&str> = target.authority().map(Authority::as_str).into_iter().chain(by_name).collect();
        // Without a list, and elsewhere than on loopback, programs may use whatever name leads here.
        let is_strict = on_loopback || !self.hosts.is_none();
        if is_strict && let Some(stranger) = hosts.iter().find(|host| !self.knows(host, on_loopback)) {
            return Err(Stranger::host(stranger));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if self.origins.has(origin) {
                continue;
            }
            let page = origin.split_once("://").map(|(_, host)| host);
            if hosts.is_empty()
                || !hosts.iter().all(|host| page.is_some_and(|page| page.eq_ignore_ascii_case(host)))
            {
                return Err(Stranger::origin(origin));
            }
            // The page comes from here, says the name. Any name may be made to lead here.
            if let Some(stranger) = hosts.iter().find(|host| !self.knows(host, on_loopback)) {
                return Err(Stranger::host(stranger));
            }
        }
        Ok(())
    }

    fn knows(&self, host: &str, on_loopback: bool) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host();
        let bare = name.strip_suffix('.').unwrap_or(name);
        let address = bare.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_local = match address {
            // No page of another's can have an address as its host.
            Ok(address) => !on_loopback || address.to_canonical().is_loopback(),
            Err(_) => bare.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost")),
        };
        is_local || self.hosts.has(name) || self.hosts.has(authority.as_str())
    }
}

/// Who was refused, and what to do where that was not meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Stranger {
    what: What,
    name: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Host,
    Origin,
}

/// How much of a name is shown.
const SHOWN: usize = 100;

impl Stranger {
    fn host(name: &str) -> Self {
        Self { what: What::Host, name: name.chars().take(SHOWN).collect() }
    }

    fn origin(name: &str) -> Self {
        Self { what: What::Origin, name: name.chars().take(SHOWN).collect() }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Host => write!(f, "the host `{}` is not known here: the server has to allow it", self.name),
            What::Origin => {
                write!(f, "pages of the origin `{}` may not call here: the server has to allow it", self.name)
            }
        }
    }
}

#[cfg(test)]
#[path = "web_origin_tests.rs"]
mod tests;
