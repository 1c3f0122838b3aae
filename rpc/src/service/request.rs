//! A request on its way to a handler.

use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::{Context, Params, peer::RequestPeerRef, reply::Replies};
use crate::{
    jsonrpc::{ErrorObject, Id, MethodInfo, RawParams, UncheckedParams, params, subscription::Token},
    limits::deadline,
    session::Session,
};

/// One request or notification, and where its reply goes.
#[derive(Debug)]
pub struct Request<'a> {
    pub(super) method: &'a MethodInfo,
    /// `None` for a notification.
    pub(super) id: Option<Id<'a>>,
    pub(super) params: UncheckedParams<'a>,
    pub(super) peer: RequestPeerRef<'a>,
    pub(super) replies: Replies<'a>,
    /// Whether the handler is started as a task without being polled in place.
    pub(super) deferred: bool,
    /// What ties reports to it, where they are wanted.
    pub(super) token: Option<Token>,
    /// Whether somebody is told how it ends, also where it is not answered.
    pub(super) traced: bool,
}

impl<'a> Request<'a> {
    /// The method that is called.
    pub const fn method(&self) -> &'a MethodInfo {
        self.method
    }

    /// The id; `None` for a notification, which is never answered.
    pub const fn id(&self) -> Option<Id<'a>> {
        self.id
    }

    /// The parameters as they came.
    ///
    /// # Errors
    ///
    /// -32602 where they are no JSON: a service answers with it ([`Handled::refused`]). Of most
    /// requests the envelope alone was read so far.
    pub fn raw_params(&self) -> Result<RawParams<'a>, ErrorObject> {
        self.params.check().ok_or_else(|| {
            let why = serde_json::from_str::<IgnoredAny>(self.params.as_text().unwrap_or_default()).err();
            params::invalid(self.method.name(), &why.map_or_else(String::new, |why| why.to_string()))
        })
    }

    /// The session that it came in by.
    pub fn session(&self) -> Session {
        self.peer.to_handle().into_session()
    }

    /// What a handler is told about it.
    pub fn context(&self) -> Context {
        let timeout = self.peer.request_timeout();
        let deadline = timeout.and_then(|after| deadline::after(Instant::now(), after));
        let id = self.id.map(|id| id.to_owned());
        let work = self.peer.work_number();
        let passed = params::passed(self.method, self.params);
        Context::new(self.peer.to_handle(), self.method.name(), id, deadline, work, passed)
    }

    /// The parameters as text that is one JSON value.
    pub(super) fn owned_params(&self) -> Result<Params, ErrorObject> {
        Ok(Params::new(self.method.name(), self.raw_params()?))
    }
}
