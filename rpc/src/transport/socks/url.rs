//! The URLs of proxies.

use super::{SocksProxy, SocksVersion};
use crate::transport::{
    endpoint::{host_and_port, percent_decoded},
    redact::shown,
};

/// The port of SOCKS, by its entry at IANA.
const DEFAULT_PORT: u16 = 1080;

/// A text that names no SOCKS proxy. What in it may be secret is
/// [not shown](crate::Endpoint#what-is-shown).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no SOCKS proxy: {reason}")]
pub struct SocksUrlError {
    shown: Box<str>,
    reason: Box<str>,
}

pub(super) fn parse(url: &str) -> Result<SocksProxy, SocksUrlError> {
    parts(url).map_err(|reason| SocksUrlError { shown: shown(url).into(), reason: reason.into() })
}

fn parts(url: &str) -> Result<SocksProxy, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the scheme is missing: write socks5://HOST:PORT")?;
    let version = match scheme {
        "socks4" => SocksVersion::V4,
        "socks4a" => SocksVersion::V4a,
        "socks5" | "socks5h" => SocksVersion::V5,
        // It may be anything, a password too.
        _ => return Err("the scheme is unknown: socks5, socks4a and socks4 are known".to_owned()),
    };
    let (credentials, authority) = match rest.rsplit_once('@') {
        Some((credentials, authority)) => (Some(credentials), authority),
        None => (None, rest),
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#']) {
        return Err("a proxy has no path, and something stands behind the host".to_owned());
    }
    let (host, port) = host_and_port(scheme, authority)?;
    let host = host.ok_or("the host is missing")?;
    let proxy = SocksProxy::at(version, host, port.unwrap_or(DEFAULT_PORT));
    let Some(credentials) = credentials else { return Ok(proxy) };
    let (user, password) = match credentials.split_once(':') {
        Some(_) if version != SocksVersion::V5 => {
            return Err(format!("version {version} has no password: write {scheme}://USER@HOST:PORT"));
        }
        Some((user, password)) => (user, password),
        None if version == SocksVersion::V5 => {
            return Err(format!("the password is missing: write {scheme}://USER:PASSWORD@HOST:PORT"));
        }
        None => (credentials, ""),
    };
    let decoded = |part: &str, name| {
        percent_decoded(part)
            .ok_or_else(|| format!("in the {name}, % is not followed by two hexadecimal digits of UTF-8"))
    };
    Ok(proxy.credentials(&decoded(user, "user")?, &decoded(password, "password")?))
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
