//! What is served, and how: by a server, and where one of its listeners says otherwise.

use std::sync::Arc;

use super::BindError;
#[cfg(feature = "http")]
use super::http::Capacity;
use crate::{
    driver::Settings,
    jsonrpc::{CancelBy, Protocol},
    limits::Limits,
    service::{BuiltServices, Services},
    transport::Endpoint,
};

/// What the sessions and requests of a listener are served on.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) services: Arc<BuiltServices>,
    pub(super) settings: Settings,
    /// What requests over HTTP share.
    #[cfg(feature = "http")]
    pub(super) capacity: Arc<Capacity>,
}

/// What a listener says otherwise than its server.
#[derive(Debug, Default)]
pub(super) struct OwnTerms {
    pub(super) services: Option<Services>,
    pub(super) protocol: Option<Protocol>,
    pub(super) cancellation: Option<CancelBy>,
    pub(super) limits: Option<Limits>,
}

impl Terms {
    pub(super) fn new(services: Services, settings: Settings) -> Result<Self, BindError> {
        settings.check()?;
        Ok(Self {
            services: Arc::new(services.build()?),
            #[cfg(feature = "http")]
            capacity: Arc::new(Capacity::new(&settings.limits)),
            settings,
        })
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Says by which limits peers are served where they may come from other machines.
    pub(super) fn log_reach(&self, endpoint: &Endpoint) {
        if endpoint.socket_addr().is_some_and(|address| !address.ip().to_canonical().is_loopback()) {
            tracing::info!(
                rpc.system.name = "jsonrpc", server.address = %endpoint, limits = self.limits().preset(),
                "listening where other machines can connect: for the internet there is `Limits::public()`"
            );
        }
    }
}

impl OwnTerms {
    /// Those of `server`, but for what is said here.
    pub(super) fn over(self, server: &Arc<Terms>) -> Result<Arc<Terms>, BindError> {
        let Self { services, protocol, cancellation, limits } = self;
        if services.is_none() && protocol.is_none() && cancellation.is_none() && limits.is_none() {
            return Ok(Arc::clone(server));
        }
        let mut settings = server.settings.clone();
        if let Some(protocol) = protocol {
            settings.set_protocol(protocol);
        }
        if let Some(cancellation) = cancellation {
            settings.cancellation = cancellation;
        }
        #[cfg(feature = "http")]
        let mut capacity = Arc::clone(&server.capacity);
        if let Some(limits) = limits {
            // Connections are counted for the server.
            settings.limits = Limits { connections: server.limits().connections, ..limits.in_force() };
            #[cfg(feature = "http")]
            {
                capacity = Arc::new(Capacity::new(&settings.limits));
            }
        }
        settings.check()?;
        let services = match services {
            Some(services) => Arc::new(services.build()?),
            None => Arc::clone(&server.services),
        };
        Ok(Arc::new(Terms {
            services,
            settings,
            #[cfg(feature = "http")]
            capacity,
        }))
    }
}
