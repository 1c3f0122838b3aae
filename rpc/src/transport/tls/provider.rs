//! Common parts of both sides' configurations: the cryptography provider, and ALPN (RFC 7301).

use std::sync::{Arc, OnceLock};

#[cfg(feature = "tls")]
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;

use super::error::TlsError;

/// `provider()` supports both versions, so selecting from them cannot fail.
pub(super) const BOTH_VERSIONS: &str = "suites of TLS 1.2 and 1.3";

static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();

/// Sets the cryptography provider for all TLS of this crate, for the whole process. Call it once,
/// at the start of `main`: the first use of TLS (making a [`TlsClient`](super::TlsClient) or an
/// [`Identity`](super::Identity), connecting to a `tls://` URL) fixes the provider.
///
/// The default with the feature `tls` is `ring`, whatever default provider the process has
/// installed: other crates of the program do not affect it. With the feature `tls-no-provider`
/// alone, which does not build `ring`, it is the [default of the
/// process](CryptoProvider::install_default).
///
/// For `aws-lc-rs`, depend on `rustls` with its feature `aws_lc_rs`:
///
/// ```text
/// rpc::transport::tls::set_provider(rustls::crypto::aws_lc_rs::default_provider())?;
/// ```
///
/// To use the provider that the process has installed, or a custom one:
///
/// ```
/// use rpc::transport::tls::{self, rustls::crypto::{CryptoProvider, ring}};
///
/// let mut provider = ring::default_provider();
/// provider.kx_groups.truncate(1);
/// tls::set_provider(match CryptoProvider::get_default() {
///     Some(installed) => installed.clone(),
///     None => provider.into(),
/// })?;
/// # Ok::<_, tls::SetProviderError>(())
/// ```
///
/// A rustls configuration ([`TlsClient::from_config`](super::TlsClient::from_config)) keeps its own
/// provider. The key of an [`Identity`](super::Identity) of this crate is loaded by the provider
/// set here, even for such a configuration.
///
/// # Errors
///
/// When a provider is already set or in use, or when this one lacks a part that TLS 1.3 requires.
pub fn set_provider(provider: impl Into<Arc<CryptoProvider>>) -> Result<(), SetProviderError> {
    let provider = provider.into();
    let has_sha_256 = provider
        .cipher_suites
        .iter()
        .any(|suite| suite.tls13().is_some_and(|suite| suite.common.hash_provider.output_len() == 32));
    if !has_sha_256 {
        return Err(SetProviderError::Lacks("a suite of TLS 1.3 with SHA-256"));
    }
    if provider.kx_groups.is_empty() {
        return Err(SetProviderError::Lacks("a way to exchange keys"));
    }
    PROVIDER.set(provider).map_err(|_| SetProviderError::Settled)
}

/// Why a provider was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetProviderError {
    /// A provider was already set, or used.
    #[error("the cryptography of TLS is settled already: choose it once, before anything of TLS is made")]
    Settled,
    /// The provider lacks a required part.
    #[error("the provider of cryptography lacks {0}")]
    Lacks(&'static str),
}

/// The provider in use.
///
/// # Panics
///
/// When there is no provider.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    PROVIDER.get_or_init(default)
}

#[cfg(feature = "tls")]
fn default() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(not(feature = "tls"))]
fn default() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().map(Arc::clone).expect(
        "`rpc` was built with `tls-no-provider`: choose the cryptography with `transport::tls::set_provider`, or install a default \
         of rustls, before TLS is used",
    )
}

/// The HTTP versions by their ALPN ids. Those that are not spoken must not be negotiated.
const HTTP: [&[u8]; 5] = [b"h3", b"h2", b"http/1.1", b"http/1.0", b"http/0.9"];

/// The ALPN protocols to offer, in order of preference. `named` are those of the configuration:
/// they keep their order, without the HTTP versions that are not `spoken`. If either list is empty,
/// the other one is used.
///
/// # Errors
///
/// When no named protocol is spoken.
pub(super) fn offered(named: &[Vec<u8>], spoken: &[&[u8]]) -> Result<Vec<Vec<u8>>, TlsError> {
    if spoken.is_empty() {
        return Ok(named.to_vec());
    }
    if named.is_empty() {
        return Ok(spoken.iter().map(|protocol| protocol.to_vec()).collect());
    }
    let is_spoken = |protocol: &[u8]| spoken.contains(&protocol);
    if !named.iter().any(|protocol| is_spoken(protocol)) {
        return Err(TlsError::NoProtocol {
            named: list(named.iter().map(Vec::as_slice)),
            spoken: list(spoken.iter().copied()),
        });
    }
    let may_be_agreed_on = |protocol: &&Vec<u8>| is_spoken(protocol) || !HTTP.contains(&protocol.as_slice());
    Ok(named.iter().filter(may_be_agreed_on).cloned().collect())
}

fn list<'a>(protocols: impl Iterator<Item = &'a [u8]>) -> String {
    protocols.map(|protocol| protocol.escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_configuration_names_is_kept_as_far_as_it_is_spoken() {
        for (named, spoken, expected) in [
            (&[][..], &["h2", "http/1.1"][..], Some(&["h2", "http/1.1"][..])),
            (&["http/1.1"], &["h2", "http/1.1"], Some(&["http/1.1"])),
            (&["http/1.1", "h2"], &["h2", "http/1.1"], Some(&["http/1.1", "h2"])),
            (&["h2", "http/1.1"], &["http/1.1"], Some(&["http/1.1"])),
            (&["acme-tls/1", "h2", "http/1.1"], &["http/1.1"], Some(&["acme-tls/1", "http/1.1"])),
            (&["jsonrpc"], &[], Some(&["jsonrpc"])),
            (&["h2"], &["http/1.1"], None),
            (&["jsonrpc"], &["h2", "http/1.1"], None),
        ] {
            let bytes =
                |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
            let spoken: Vec<&[u8]> = spoken.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(offered(&bytes(named), &spoken).ok(), expected.map(bytes), "{named:?} {spoken:?}");
        }
    }
}
