//! TLS of a server.

use std::{
    error::Error,
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, server::WebPkiClientVerifier},
};

use super::{
    certificates::{Certificates, Identity},
    error::TlsError,
    provider::{BOTH_VERSIONS, offered, provider},
    server_config::{Seal, with_client_verifier},
    stream::{RecordedIo, TlsStream},
};
use crate::transport::ByteStream;

/// Time for a client to read the alert of a failed handshake, and the limit of bytes discarded
/// meanwhile. Closing a socket with unread bytes sends a TCP reset, which would discard the alert.
const PATIENCE: Duration = Duration::from_secs(2);
const DISCARDED: u64 = 64 << 10;

/// Which identity a server presents, and which clients it accepts. Clones share their state: keep
/// one to [`reload`](Self::reload) while the server runs.
///
/// ```no_run
/// # fn example() -> Result<(), rpc::transport::tls::TlsError> {
/// use rpc::transport::tls::{Certificates, TlsServer};
///
/// let tls = TlsServer::from_pem_files("chain.pem", "key.pem")?
///     .require_client_certificates(Certificates::from_pem_file("clients.pem")?)?;
/// # let _ = tls;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TlsServer {
    current: Arc<RwLock<CurrentConfig>>,
}

/// Configuration for new connections.
#[derive(Clone)]
struct CurrentConfig {
    /// The original configuration, with later certificate settings applied.
    given: Arc<ServerConfig>,
    /// Digests of the demand on client certificates, and of the identity, if they were set later.
    clients: Option<Seal>,
    identity: Option<Seal>,
    /// `given` with TLS session resumption bound to both digests.
    config: Arc<ServerConfig>,
}

impl CurrentConfig {
    fn new(given: Arc<ServerConfig>) -> Self {
        Self { config: Arc::clone(&given), given, clients: None, identity: None }
    }

    /// Rebinds resumption after a change: earlier TLS sessions must not be resumed.
    fn sealed(self) -> Self {
        let parts = [self.clients, self.identity];
        let parts = parts.iter().map(|part| part.as_ref().map_or(&b""[..], Seal::as_bytes));
        Self { config: Arc::new(Seal::of(parts).put_on(&self.given)), ..self }
    }
}

impl TlsServer {
    /// Presents `identity`, and requests no client certificates.
    pub fn new(identity: Identity) -> Self {
        Self::from_config(Arc::new(default_config(identity)))
    }

    /// The same with [`Identity::from_pem_files`].
    ///
    /// # Errors
    ///
    /// As for [`Identity::from_pem_files`].
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Ok(Self::new(Identity::from_pem_files(chain, key)?))
    }

    /// Uses a rustls configuration as is. Without ALPN protocols in it, those of the URL's scheme
    /// are offered. Otherwise its own are, except for HTTP versions that the scheme does not speak.
    /// Handshakes fail with [`TlsError::NoProtocol`] if the scheme speaks HTTP and none of them is
    /// a version that it speaks.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self::with(CurrentConfig::new(config))
    }

    fn with(current: CurrentConfig) -> Self {
        Self { current: Arc::new(RwLock::new(current)) }
    }

    /// Requires client certificates issued by one of `roots`. Handlers find them as
    /// [`PeerCertificates`](super::PeerCertificates). The result no longer shares state with
    /// earlier clones. The rest of a [configuration](Self::from_config) is unchanged, and only TLS
    /// sessions that began under this requirement are resumed.
    ///
    /// # Errors
    ///
    /// When one of them cannot be a root, or there is none; when rustls rejects the versions and
    /// cipher suites of the configuration.
    pub fn require_client_certificates(self, roots: Certificates) -> Result<Self, TlsError> {
        self.with_client_roots(roots, false)
    }

    /// Requests client certificates, and accepts clients without one. A presented certificate must
    /// be issued by one of `roots`. Otherwise like
    /// [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    ///
    /// As for [`require_client_certificates`](Self::require_client_certificates).
    pub fn request_client_certificates(self, roots: Certificates) -> Result<Self, TlsError> {
        self.with_client_roots(roots, true)
    }

    /// Presents `identity` to new clients; existing connections are unaffected. The demand on
    /// client certificates, and the rest of a [configuration](Self::from_config), are unchanged.
    ///
    /// TLS sessions that began with another identity are not resumed, by tickets or by stored
    /// sessions: their clients would go on trusting the old identity. Servers that share ticket
    /// keys resume each other's sessions if all were given the same identity.
    ///
    /// ```
    /// # use rcgen::generate_simple_self_signed;
    /// use rpc::transport::tls::{Identity, TlsServer};
    ///
    /// # let directory = std::env::temp_dir();
    /// # let [chain, key] = ["chain", "key"].map(|name| directory.join(format!("reload-{name}-{}.pem", std::process::id())));
    /// # let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # std::fs::write(&chain, made.cert.pem()).unwrap();
    /// # std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    /// let tls = TlsServer::from_pem_files(&chain, &key)?;
    /// // … when the files have changed. Where they are wrong, the server goes on with what it has.
    /// match Identity::from_pem_files(&chain, &key) {
    ///     Ok(renewed) => tls.reload(renewed),
    ///     Err(error) => eprintln!("the certificate was not renewed: {}", rpc::chain(&error)),
    /// }
    /// # std::fs::remove_file(chain).unwrap();
    /// # std::fs::remove_file(key).unwrap();
    /// # Ok::<_, rpc::transport::tls::TlsError>(())
    /// ```
    pub fn reload(&self, identity: Identity) {
        let mut current = self.lock();
        let mut next = current.clone();
        next.identity = Some(Seal::of(identity.chain()));
        Arc::make_mut(&mut next.given).cert_resolver = identity.into_resolver();
        *current = next.sealed();
    }

    /// Uses `config` for new clients; existing connections are unaffected.
    ///
    /// Earlier TLS sessions are not resumed, even if `config` shares the session storage or the
    /// ticket keys of the previous one: it may present another certificate. Both remain in use for
    /// new sessions, which no other server resumes.
    pub fn reload_config(&self, config: Arc<ServerConfig>) {
        let next = CurrentConfig { identity: Some(Seal::unique()), ..CurrentConfig::new(config) };
        *self.lock() = next.sealed();
    }

    fn lock(&self) -> RwLockWriteGuard<'_, CurrentConfig> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_client_roots(self, roots: Certificates, or_none: bool) -> Result<Self, TlsError> {
        let current = self.current();
        let crypto = Arc::clone(current.given.crypto_provider());
        let demand: &[u8] = if or_none { b"requested" } else { b"required" };
        let clients = Seal::of([demand].into_iter().chain(roots.der()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.into_roots()?), crypto);
        let verifier = if or_none { verifier.allow_unauthenticated() } else { verifier };
        let verifier = verifier.build().map_err(TlsError::of_roots)?;
        let given = Arc::new(with_client_verifier(&current.given, verifier)?);
        Ok(Self::with(CurrentConfig { given, clients: Some(clients), ..current }.sealed()))
    }

    /// # Errors
    ///
    /// When no ALPN protocol of the configuration is among `spoken`.
    pub(super) fn must_offer(&self, spoken: &[&[u8]]) -> Result<(), TlsError> {
        offered(&self.current().config.alpn_protocols, spoken).map(drop)
    }

    fn current(&self) -> CurrentConfig {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Performs the handshake with `peer` over `io`. `spoken` are the usable ALPN protocols; empty
    /// for any. Cancel safe: dropping the future gives up.
    pub(super) async fn accept<IO: ByteStream>(
        &self,
        peer: &str,
        io: IO,
        spoken: &[&[u8]],
    ) -> Result<TlsStream<IO>, TlsError> {
        let mut config = self.current().config;
        let offered = offered(&config.alpn_protocols, spoken)?;
        if offered != config.alpn_protocols {
            Arc::make_mut(&mut config).alpn_protocols = offered;
        }
        match TlsAcceptor::from(config).accept(RecordedIo::new(io)).into_fallible().await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err((error, io)) => {
                let seen = io.protocol();
                // After a TLS error an alert was sent to the client.
                if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                    // The handshake has failed either way.
                    drop(timeout(PATIENCE, linger(io.into_inner())).await);
                }
                Err(TlsError::of_handshake(peer, error, || seen))
            }
        }
    }
}

/// The default configuration with an identity.
fn default_config(identity: Identity) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .expect(BOTH_VERSIONS)
        .with_no_client_auth()
        .with_cert_resolver(identity.into_resolver())
}

async fn linger(mut io: impl ByteStream) -> io::Result<()> {
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await?;
    Ok(())
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
