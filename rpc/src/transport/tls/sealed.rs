//! TLS sessions that can be resumed only as long as the server is who it was when they began.
//!
//! A session that is resumed shows no certificate: the client takes the server for who it was. And
//! the server asks for none. So what was made under one identity, or for clients of whom nothing
//! was asked, must not be resumed under another one. The storage of sessions and the keys of
//! tickets are the user's, who may share them with other servers: they stay in use, with a seal on
//! what goes into them.

use std::sync::Arc;

use super::{
    provider,
    rustls::{
        ServerConfig,
        server::{ProducesTickets, StoresServerSessions},
    },
};

/// What has to be the same for a session to be resumed: a SHA-256 of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal([u8; 32]);

impl Seal {
    /// Of these parts, each with its length, so that no two lists have one seal.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(&part.len().to_be_bytes());
            all.extend_from_slice(part);
        }
        let suites = &provider().cipher_suites;
        let hash = suites.iter().find_map(|suite| {
            let hash = suite.tls13()?.common.hash_provider.hash(&all);
            hash.as_ref().try_into().ok()
        });
        Self(hash.expect("a provider has a suite of TLS 1.3 with SHA-256"))
    }

    /// One that nothing else has.
    pub(super) fn unique() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `config`, whose sessions can be resumed under this seal only.
    pub(super) fn put_on(self, config: &ServerConfig) -> ServerConfig {
        let mut sealed = config.clone();
        sealed.session_storage = Arc::new(Sealed { seal: self, inner: Arc::clone(&config.session_storage) });
        sealed.ticketer = Arc::new(Sealed { seal: self, inner: Arc::clone(&config.ticketer) });
        sealed
    }
}

#[derive(Debug)]
struct Sealed<T: ?Sized> {
    seal: Seal,
    inner: Arc<T>,
}

impl<T: ?Sized> Sealed<T> {
    fn sealed(&self, bytes: &[u8]) -> Vec<u8> {
        [self.seal.as_bytes(), bytes].concat()
    }
}

impl StoresServerSessions for Sealed<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(self.sealed(&key), value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(&self.sealed(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.take(&self.sealed(key))
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Sealed<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.sealed(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.inner.decrypt(cipher)?;
        plain.strip_prefix(self.seal.as_bytes()).map(<[u8]>::to_vec)
    }
}
