//! TLS on the side that listens.

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

/// How long a client whose handshake failed may take to read why, and how much of what it sends meanwhile is read. Closing a socket with
/// unread bytes would have TCP throw away what the client was told.
const PATIENCE: Duration = Duration::from_secs(2);
const DISCARDED: u64 = 64 << 10;

/// What a server shows, and whom it lets in. Clones are the same: keep one to [`reload`](Self::reload) while the server runs.
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

/// What new connections are met with.
#[derive(Clone)]
struct CurrentConfig {
    /// As it was given, but for what was said since of certificates.
    given: Arc<ServerConfig>,
    /// What clients are asked for, and what is shown, where that was said since.
    clients: Option<Seal>,
    identity: Option<Seal>,
    /// The configuration under the seal of the two.
    config: Arc<ServerConfig>,
}

impl CurrentConfig {
    fn new(given: Arc<ServerConfig>) -> Self {
        Self { config: Arc::clone(&given), given, clients: None, identity: None }
    }

    /// What was said since makes another server of it: no TLS session of before may be resumed.
    fn sealed(self) -> Self {
        let parts = [self.clients, self.identity];
        let parts = parts.iter().map(|part| part.as_ref().map_or(&b""[..], Seal::as_bytes));
        Self { config: Arc::new(Seal::of(parts).put_on(&self.given)), ..self }
    }
}

impl TlsServer {
    /// Shows `identity`, and asks clients for nothing.
    pub fn new(identity: Identity) -> Self {
        Self::from_config(Arc::new(default_config(identity)))
    }

    /// The same with [`Identity::from_pem_files`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Ok(Self::new(Identity::from_pem_files(chain, key)?))
    }

    /// Everything as `config` says. Where it names no ALPN protocols, those of the URL's scheme are
    /// offered; where it does, they are, without versions of HTTP that the scheme does not speak.
    /// Handshakes fail with [`TlsError::NoProtocol`] where the scheme speaks HTTP, and none of them
    /// is a version that it speaks.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self::with(CurrentConfig::new(config))
    }

    fn with(current: CurrentConfig) -> Self {
        Self { current: Arc::new(RwLock::new(current)) }
    }

    /// Lets in only clients that show a certificate issued by one of `roots`. Handlers find it as
    /// [`PeerCertificates`](super::PeerCertificates). The server that this makes is not the same as
    /// clones made before. Of a [configuration](Self::from_config) all else remains, and TLS
    /// sessions are resumed that began with this demand.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be a root, or there is none; where rustls does not take the
    /// versions and suites of the configuration.
    pub fn require_client_certificates(self, roots: Certificates) -> Result<Self, TlsError> {
        self.asking_clients(roots, false)
    }

    /// Asks clients for a certificate, and lets in those, too, who have none. A certificate that is shown has to be issued by one of
    /// `roots`. Else as [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn request_client_certificates(self, roots: Certificates) -> Result<Self, TlsError> {
        self.asking_clients(roots, true)
    }

    /// Shows `identity` to clients that connect from now on; those that are connected notice
    /// nothing. What is asked of clients stays, and so does all else of a
    /// [configuration](Self::from_config).
    ///
    /// TLS sessions that began with another identity are not resumed, neither by tickets nor by
    /// what the server has stored: their clients would go on to take the server for who it was.
    /// Several servers that share the keys of tickets resume each other's sessions where each was
    /// given the same identity.
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

    /// Meets clients that connect from now on as `config` says; those that are connected notice nothing.
    ///
    /// TLS sessions of before are not resumed, also where `config` has the storage of sessions or
    /// the keys of tickets of the one before: it may show another certificate. Both stay in use for
    /// new sessions, which no other server resumes.
    pub fn reload_config(&self, config: Arc<ServerConfig>) {
        let next = CurrentConfig { identity: Some(Seal::unique()), ..CurrentConfig::new(config) };
        *self.lock() = next.sealed();
    }

    fn lock(&self) -> RwLockWriteGuard<'_, CurrentConfig> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn asking_clients(self, roots: Certificates, or_none: bool) -> Result<Self, TlsError> {
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
    /// Where the configuration leaves nothing of the protocols `spoken`.
    pub(super) fn must_offer(&self, spoken: &[&[u8]]) -> Result<(), TlsError> {
        offered(&self.current().config.alpn_protocols, spoken).map(drop)
    }

    fn current(&self) -> CurrentConfig {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shakes hands with `peer` over `io`, of which the protocols `spoken` can make use, or any if
    /// there are none. Cancel safe: dropping the future gives up.
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
                let seen = io.seen();
                // Where TLS itself has failed, the client was just told why.
                if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                    // Whether it has heard makes no difference.
                    drop(timeout(PATIENCE, linger(io.into_inner())).await);
                }
                Err(TlsError::of_handshake(peer, error, || seen))
            }
        }
    }
}

/// With everything as it is by default.
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
