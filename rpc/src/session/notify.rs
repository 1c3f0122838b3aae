//! Typed notifications: lazy until awaited.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use serde::Serialize;

use super::{CallError, Caller, Outgoing};
use crate::jsonrpc::MethodInfo;

/// A notification that was not sent yet. Awaiting it hands it over for sending, and waits only for room to do so.
///
/// Nobody answers a notification: `Ok` means that it will leave in its turn if the session lives, no more.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<'a, C, P> {
    caller: &'a C,
    outgoing: Outgoing<'a, P>,
}

impl<'a, C, P> Notify<'a, C, P> {
    /// A notification of a method that is described by a table. What generated clients do.
    pub const fn to(caller: &'a C, method: &'a MethodInfo, params: P) -> Self {
        Self { caller, outgoing: Outgoing::typed(method, params) }
    }

    /// A notification of a method by its name.
    pub const fn untyped(caller: &'a C, method: &'a str, params: P) -> Self {
        Self { caller, outgoing: Outgoing::new(method, params) }
    }
}

impl<'a, C: Caller, P: Serialize + Send + 'a> IntoFuture for Notify<'a, C, P> {
    type Output = Result<(), CallError>;
    type IntoFuture = NotifyFuture<'a, C, P>;

    fn into_future(self) -> Self::IntoFuture {
        NotifyFuture { sent: self.caller.notify(self.outgoing) }
    }
}

impl<C, P> fmt::Debug for Notify<'_, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("method", &self.outgoing.method()).finish_non_exhaustive()
    }
}

/// What a [`Notify`] becomes when it is awaited.
#[must_use = "a notification is sent when it is awaited"]
pub struct NotifyFuture<'a, C: Caller + 'a, P: Serialize + Send + 'a> {
    sent: C::Notify<'a, P>,
}

impl<'a, C: Caller, P: Serialize + Send + 'a> Future for NotifyFuture<'a, C, P> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.sent).poll(cx)
    }
}

impl<'a, C: Caller + 'a, P: Serialize + Send + 'a> fmt::Debug for NotifyFuture<'a, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyFuture").finish_non_exhaustive()
    }
}
