//! What a dispatcher is made from.

use std::sync::Arc;

use super::Dispatcher;
use crate::{
    jsonrpc::{Protocol, version::Version},
    limits::Limits,
    service::{DuplicateMethod, Service, Services},
    session::Tally,
};

/// Builds a [`Dispatcher`].
#[derive(Debug)]
pub struct DispatcherBuilder {
    services: Services,
    limits: Limits,
    version: Version,
}

impl DispatcherBuilder {
    pub(super) fn new() -> Self {
        Self { services: Services::default(), limits: Limits::server(), version: Version::V2 }
    }

    /// Serves `service`. May be called several times, for several services.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.add_shared(service);
        self
    }

    /// Which version of JSON-RPC is spoken. Default: [`Protocol::V2`]; with [`Protocol::Detect`] each message decides for itself.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.version = self.version.with_protocol(protocol);
        self
    }

    /// Sends errors as a text, the message, wherever 1.0 is spoken. Default: an object, as in 2.0.
    pub fn text_errors(mut self) -> Self {
        self.version = self.version.with_text_errors();
        self
    }

    /// What one message may use: [`frame_size`](Limits::frame_size), [`batch_length`](Limits::batch_length),
    /// [`reply_size`](Limits::reply_size), [`request_timeout`](Limits::request_timeout), and
    /// [`requests_in_flight`](Limits::requests_in_flight) for the members of a batch. Default: [`Limits::server()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.in_force();
        self
    }

    /// The dispatcher.
    ///
    /// # Errors
    ///
    /// Where two services claim one method.
    pub fn build(self) -> Result<Dispatcher, DuplicateMethod> {
        let services = Arc::new(self.services.build()?);
        Ok(Dispatcher::of(services, self.limits, self.version, Tally::default()))
    }
}
