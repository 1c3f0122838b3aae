//! Typed notifications: sent when they are first polled.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use serde::Serialize;

use super::{CallError, Caller, Outgoing, lazy::Lazy};
use crate::jsonrpc::MethodInfo;

/// A notification, which is a future: the first poll hands it over for sending, and what is waited for is only room to do so.
///
/// Nobody answers a notification: `Ok` means that it will leave in its turn if the session lives, no more. Like a
/// [`Call`](crate::Call) it has its parameters written, owns a clone of its caller, and can be given to `tokio::spawn`.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<'a, C: Caller> {
    stage: Lazy<C, Outgoing<'a>, C::Notify<'a>, CallError>,
    method: &'a str,
}

impl<'a, C: Caller> Notify<'a, C> {
    /// A notification of a method that is described by a table. What generated clients do.
    pub fn to<P: Serialize>(caller: &C, method: &'a MethodInfo, params: P) -> Self {
        Self {
            stage: Lazy::Unsent { caller: caller.clone(), written: Outgoing::of(method, &params) },
            method: method.name(),
        }
    }

    /// A notification of a method by its name.
    pub fn untyped(caller: &C, method: &'a str, params: impl Serialize) -> Self {
        Self {
            stage: Lazy::Unsent { caller: caller.clone(), written: Outgoing::new(method, &params) },
            method,
        }
    }

    /// What is to be sent in a batch; none where it was polled.
    pub(super) fn into_unsent(self) -> (&'a str, Option<Result<Outgoing<'a>, CallError>>) {
        (self.method, self.stage.into_unsent())
    }
}

impl<C: Caller> Future for Notify<'_, C> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.stage.poll("notification", |caller, notification| caller.notify(notification), cx)
    }
}

/// Nothing in it is pinned.
impl<C: Caller> Unpin for Notify<'_, C> {}

impl<C: Caller> fmt::Debug for Notify<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("method", &self.method).finish_non_exhaustive()
    }
}
