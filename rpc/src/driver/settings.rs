//! What the sessions of one server or connector have in common.

use std::sync::Arc;

use crate::{
    framing::{AnyFramer, NewlineFramer},
    jsonrpc::{CancelBy, EmptyParams, Notices, Protocol, Unsupported, version::Version},
    limits::{KeepAlive, Limits},
    service::TakesMessages,
    session::InstalledHooks,
};

/// How sessions are run, whoever starts them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) framer: Box<dyn AnyFramer>,
    pub(crate) version: Version,
    pub(crate) limits: Limits,
    pub(crate) cancellation: CancelBy,
    pub(crate) notices: Notices,
    pub(crate) hooks: InstalledHooks,
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Takes what arrives, where it is no JSON-RPC.
    pub(crate) messages: Option<Arc<dyn TakesMessages>>,
}

impl Settings {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            framer: Box::new(NewlineFramer::new()),
            version: Version::V2,
            limits,
            cancellation: CancelBy::default(),
            notices: Notices::default(),
            hooks: InstalledHooks::default(),
            keep_alive: None,
            messages: None,
        }
    }

    /// Whether what is configured can be said in the version that was chosen. One that is detected is not
    /// known yet.
    pub(crate) const fn check(&self) -> Result<(), Unsupported> {
        match &self.cancellation {
            CancelBy::Chosen(_) if !self.version.has_named_params() => Err(Unsupported::Cancellation),
            _ => Ok(()),
        }
    }

    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.version = self.version.with_protocol(protocol);
    }

    pub(crate) fn set_text_errors(&mut self) {
        self.version = self.version.with_text_errors();
    }

    pub(crate) fn set_empty_params(&mut self, empty: EmptyParams) {
        self.version = self.version.with_empty_params(empty);
    }
}
