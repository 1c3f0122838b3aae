//! What a service is: it is given a [`Request`], and says what became of it with a [`Handled`].

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Instant;

use super::{
    context::Context,
    peer::RequestPeerRef,
    reply::Replies,
    work::{Subscribing, Work},
};
use crate::{
    jsonrpc::{ErrorObject, Id, MethodInfo, RawParams, UncheckedParams, params, subscription::Token},
    limits::deadline,
    session::{Ending, Session, Trace},
};

/// Something that serves methods: a generated server (`CalcServer`), a [`Router`], or what wraps one.
///
/// A service is asked for its methods once, when a server or a connector is built, and then called by their index.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    label = "this implements a trait, and is not what serves it",
    note = "what `#[rpc_service]` has generated serves it: `CalcServer::new(value)`, or `CalcServer::from(arc)` for what is shared"
)]
pub trait Service: Send + Sync + 'static {
    /// The methods that every value of this type serves: what can be checked before there is one. Types whose methods are only
    /// known at run time leave it empty.
    fn declared() -> &'static [MethodInfo]
    where
        Self: Sized,
    {
        &[]
    }

    /// The methods that this value serves.
    fn methods(&self) -> &[MethodInfo];

    /// Serves a request for the method at index `method` of [`methods`](Self::methods).
    fn call(&self, method: usize, request: Request<'_>) -> Handled;
}

/// Serves nothing.
impl Service for () {
    fn methods(&self) -> &[MethodInfo] {
        &[]
    }

    fn call(&self, _: usize, request: Request<'_>) -> Handled {
        no_such_method(request)
    }
}

/// What a service says to an index that it does not have.
pub fn no_such_method(request: Request<'_>) -> Handled {
    Handled::refused(ErrorObject::method_not_found(request.method.name()))
}

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
    pub(super) progress_token: Option<Token>,
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

/// The parameters of a call as JSON text, to be read into a type of yours.
#[derive(Debug, Clone)]
pub struct Params {
    method: &'static str,
    text: Option<Box<str>>,
}

impl Params {
    pub(super) fn new(method: &'static str, raw: RawParams<'_>) -> Self {
        Self { method, text: raw.as_json().map(Into::into) }
    }

    /// The JSON text of an array or an object, or `None` where there are no parameters.
    pub fn as_json(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Reads them: a tuple for an array, a struct or a map for an object, `()` for none.
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that says what was wrong, ready to be returned with `?`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ErrorObject> {
        let raw = self.text.as_deref().map_or(RawParams::NONE, RawParams::from_json);
        raw.parse(self.method)
    }
}

/// What became of a request: it was answered, or its handler is still at work, or it was refused.
///
/// Made by the functions that generated code calls; what wraps a service passes it on.
pub struct Handled(ServiceOutcome);

pub(crate) enum ServiceOutcome {
    /// The reply is written, or there is none to write.
    Done(Ending),
    /// The handler waits for something.
    Pending(Work),
    /// The handler may make a subscription. It answers by itself.
    Subscribing(Subscribing),
    /// The handler was not run: the reply is this error.
    Refused(ErrorObject),
}

impl ServiceOutcome {
    /// What is left to do is done inside the span of `trace`. Where nothing is, the trace is ended; else it is given back.
    #[inline]
    pub(crate) fn traced(self, trace: Trace) -> (Self, Trace) {
        match trace.is_some() {
            false => (self, trace),
            true => self.in_span_of(trace),
        }
    }

    #[cold]
    fn in_span_of(self, mut trace: Trace) -> (Self, Trace) {
        let outcome = match self {
            Self::Done(ending) => {
                trace.take().end(ending);
                Self::Done(ending)
            }
            Self::Pending(work) => Self::Pending(work.inside(&trace)),
            Self::Subscribing(subscribing) => Self::Subscribing(subscribing.inside(&trace)),
            refused @ Self::Refused(_) => refused,
        };
        (outcome, trace)
    }
}

impl Handled {
    pub(super) const fn done(ending: Ending) -> Self {
        Self(ServiceOutcome::Done(ending))
    }

    pub(super) const fn pending(work: Work) -> Self {
        Self(ServiceOutcome::Pending(work))
    }

    pub(super) const fn subscribing(subscribing: Subscribing) -> Self {
        Self(ServiceOutcome::Subscribing(subscribing))
    }

    /// The request is answered with `error`, and no handler is run.
    pub const fn refused(error: ErrorObject) -> Self {
        Self(ServiceOutcome::Refused(error))
    }

    pub(crate) fn outcome(self) -> ServiceOutcome {
        self.0
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ServiceOutcome::Done(_) => "Handled::Done",
            ServiceOutcome::Pending(_) => "Handled::Pending",
            ServiceOutcome::Subscribing(_) => "Handled::Subscribing",
            ServiceOutcome::Refused(_) => "Handled::Refused",
        })
    }
}
