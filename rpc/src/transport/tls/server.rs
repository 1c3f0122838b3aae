//! TLS on the side that listens.

use std::{
    error::Error,
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    BOTH_VERSIONS, Certificates, Identity, TlsError, TlsStream,
    client::owned,
    provider,
    rustls::{
        self, ServerConfig,
        server::{
            ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier, danger::ClientCertVerifier,
        },
    },
};
use crate::transport::ByteStream;

/// How many TLS sessions are kept for clients that come again: what rustls has by default.
const RESUMABLE: usize = 256;

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
    /// What new connections are met with.
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsServer {
    /// Shows `identity`, and asks clients for nothing.
    pub fn new(identity: Identity) -> Self {
        Self::made(WebPkiClientVerifier::no_client_auth(), identity.into_resolver())
    }

    /// The same with [`Identity::from_pem_files`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Ok(Self::new(Identity::from_pem_files(chain, key)?))
    }

    /// Everything as `config` says. Its ALPN protocols are for protocols that have none of their own.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(RwLock::new(config)) }
    }

    /// Lets in only clients that show a certificate issued by one of `roots`. Handlers find it as
    /// [`PeerCertificates`](super::PeerCertificates). The server that this makes is not the same as clones made before; of a
    /// [configuration](Self::from_config), only what is shown remains.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be a root, or there is none.
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

    /// Shows `identity` to clients that connect from now on; those that are connected notice nothing. What is asked of clients stays.
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
    ///     Err(error) => eprintln!("the certificate was not renewed: {error}"),
    /// }
    /// # std::fs::remove_file(chain).unwrap();
    /// # std::fs::remove_file(key).unwrap();
    /// # Ok::<_, rpc::transport::tls::TlsError>(())
    /// ```
    pub fn reload(&self, identity: Identity) {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let config = Arc::make_mut(&mut current);
        config.cert_resolver = identity.into_resolver();
        // Who comes again has to see the new certificate.
        config.session_storage = ServerSessionMemoryCache::new(RESUMABLE);
    }

    /// Meets clients that connect from now on as `config` says; those that are connected notice nothing.
    pub fn reload_config(&self, config: Arc<ServerConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn asking_clients(self, roots: Certificates, or_none: bool) -> Result<Self, TlsError> {
        let roots = Arc::new(roots.into_roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider()));
        let verifier = if or_none { verifier.allow_unauthenticated() } else { verifier };
        let verifier = verifier.build().map_err(TlsError::of_roots)?;
        Ok(Self::made(verifier, Arc::clone(&self.current().cert_resolver)))
    }

    fn made(clients: Arc<dyn ClientCertVerifier>, identity: Arc<dyn ResolvesServerCert>) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .expect(BOTH_VERSIONS)
            .with_client_cert_verifier(clients)
            .with_cert_resolver(identity);
        Self::from_config(Arc::new(config))
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shakes hands with `peer` over `io`. With `alpn`, those protocols are offered; else those of the configuration. Cancel safe: dropping
    /// the future gives up.
    pub(super) async fn accept<IO: ByteStream>(
        &self,
        peer: &str,
        io: IO,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<IO>, TlsError> {
        let mut config = self.current();
        if !alpn.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = owned(alpn);
        }
        match TlsAcceptor::from(config).accept(io).into_fallible().await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err((error, io)) => {
                // Where TLS itself has failed, the client was just told why.
                if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                    // Whether it has heard makes no difference.
                    drop(timeout(PATIENCE, linger(io)).await);
                }
                Err(TlsError::of_handshake(peer, error))
            }
        }
    }
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
