//! What was refused, in the log: each name once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::jsonrpc::shown::brief;

/// So many names are told of. What a peer calls the server is for the peer to say: it cannot fill the log, or the memory.
const NAMES: usize = 32;

/// The names that were told of, by all copies of the same settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported(Arc<Mutex<HashSet<String>>>);

impl Reported {
    pub(super) fn host(&self, host: &str) {
        if self.is_new("host", host) {
            tracing::warn!(
                rpc.system.name = "jsonrpc", host = %brief(host),
                "a request was refused for what it calls this server: if that is one of its names, let it in with `WebAccess::allow_host`"
            );
        }
    }

    /// `own` is how pages of the server itself are fetched, as far as that is known.
    pub(super) fn origin(&self, origin: &str, own: &str) {
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
