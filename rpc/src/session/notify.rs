//! Typed notifications: lazy until awaited.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use serde::Serialize;

use super::{CallError, Caller, Outgoing, outgoing::CallTimeout};
use crate::jsonrpc::{EmptyParams, MethodInfo, ParamInfo};

/// A notification that was not sent yet. Awaiting it hands it over for sending, and waits only for room to do so.
///
/// Nobody answers a notification: `Ok` means that it will leave in its turn if the session lives, no more.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<'a, C, P> {
    caller: &'a C,
    method: &'a str,
    params: P,
    /// Set where the parameters are sent by name.
    names: Option<&'static [ParamInfo]>,
    empty_params: Option<EmptyParams>,
}

impl<'a, C, P> Notify<'a, C, P> {
    /// A notification of a method that is described by a table. What generated clients do.
    pub const fn to(caller: &'a C, method: &'a MethodInfo, params: P) -> Self {
        Self {
            caller,
            method: method.name(),
            params,
            names: method.names(),
            empty_params: method.empty_params(),
        }
    }

    /// A notification of a method by its name.
    pub const fn untyped(caller: &'a C, method: &'a str, params: P) -> Self {
        Self { caller, method, params, names: None, empty_params: None }
    }
}

impl<'a, C, P: Serialize> Notify<'a, C, P> {
    /// Writes the notification down. From here on nothing depends on the parameters any more.
    pub(super) fn written(&self) -> Result<Outgoing<'a>, CallError> {
        let Self { method, params, names, empty_params, .. } = self;
        Outgoing::write(method, params, *names, *empty_params, CallTimeout::Default)
    }
}

impl<'a, C: Caller, P: Serialize> IntoFuture for Notify<'a, C, P> {
    type Output = Result<(), CallError>;
    type IntoFuture = NotifyFuture<'a, C>;

    fn into_future(self) -> Self::IntoFuture {
        NotifyFuture(match self.written() {
            Ok(outgoing) => Ok(self.caller.notify(outgoing)),
            Err(error) => Err(Some(error)),
        })
    }
}

impl<C, P> fmt::Debug for Notify<'_, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a [`Notify`] becomes when it is awaited.
#[must_use = "a notification is sent when it is awaited"]
pub struct NotifyFuture<'a, C: Caller + 'a>(Result<C::Notify<'a>, Option<CallError>>);

impl<C: Caller> Future for NotifyFuture<'_, C> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(sent) => Pin::new(sent).poll(cx),
            Err(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => panic!("a notification was polled after it had ended"),
            },
        }
    }
}

impl<C: Caller> fmt::Debug for NotifyFuture<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyFuture").finish_non_exhaustive()
    }
}
