//! The contract of a [`Service`]: it takes a [`Request`] and returns a [`Handled`], the state of
//! that request after the call.

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

/// Serves methods: a generated server (`CalcServer`), a [`Router`](crate::Router), or a wrapper
/// around another service.
///
/// A service is asked for its methods once, when a server or a connector is built. Requests then
/// name a method by its index.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    label = "this implements a trait, and is not what serves it",
    note = "what `#[rpc_service]` has generated serves it: `CalcServer::new(value)`, or `CalcServer::from(arc)` for what is shared"
)]
pub trait Service: Send + Sync + 'static {
    /// The methods that every value of this type serves, for checks before there is a value. Empty
    /// (the default) for types whose methods are only known at run time.
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

/// A service without methods.
impl Service for () {
    fn methods(&self) -> &[MethodInfo] {
        &[]
    }

    fn call(&self, _: usize, request: Request<'_>) -> Handled {
        no_such_method(request)
    }
}

/// Refuses a request whose method index the service does not have.
pub fn no_such_method(request: Request<'_>) -> Handled {
    Handled::refused(ErrorObject::method_not_found(request.method.name()))
}

/// One request or notification, with the place for its reply.
#[derive(Debug)]
pub struct Request<'a> {
    pub(super) method: &'a MethodInfo,
    /// `None` for a notification.
    pub(super) id: Option<Id<'a>>,
    pub(super) params: UncheckedParams<'a>,
    pub(super) peer: RequestPeerRef<'a>,
    pub(super) replies: Replies<'a>,
    /// The handler is started as a task, without a first poll in place.
    pub(super) deferred: bool,
    /// The peer's token for reports of progress, where it wants them.
    pub(super) progress_token: Option<Token>,
    /// The log is told how the request ends, also where it is a notification.
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

    /// The parameters as the peer sent them.
    ///
    /// # Errors
    ///
    /// -32602 where they are not JSON: a service answers with it ([`Handled::refused`]). Most
    /// requests arrive here with only their envelope read.
    pub fn raw_params(&self) -> Result<RawParams<'a>, ErrorObject> {
        self.params.check().ok_or_else(|| {
            let why = serde_json::from_str::<IgnoredAny>(self.params.as_text().unwrap_or_default()).err();
            params::invalid(self.method.name(), &why.map_or_else(String::new, |why| why.to_string()))
        })
    }

    /// The session that the request came in by.
    pub fn session(&self) -> Session {
        self.peer.to_handle().into_session()
    }

    /// The context for the handler of this request.
    pub fn context(&self) -> Context {
        let timeout = self.peer.request_timeout();
        let deadline = timeout.and_then(|after| deadline::after(Instant::now(), after));
        let id = self.id.map(|id| id.to_owned());
        let work = self.peer.work_number();
        let passed = params::passed(self.method, self.params);
        Context::new(self.peer.to_handle(), self.method.name(), id, deadline, work, passed)
    }

    /// The parameters, owned and checked to be one JSON value.
    pub(super) fn owned_params(&self) -> Result<Params, ErrorObject> {
        Ok(Params::new(self.method.name(), self.raw_params()?))
    }
}

/// The parameters of a call as JSON text, to be read into a type of yours. Untyped handlers take
/// them (see [`Router`](crate::Router)).
#[derive(Debug, Clone)]
pub struct Params {
    method: &'static str,
    text: Option<Box<str>>,
}

impl Params {
    pub(super) fn new(method: &'static str, raw: RawParams<'_>) -> Self {
        Self { method, text: raw.as_json().map(Into::into) }
    }

    /// The JSON text of an array or an object; `None` where the call has no parameters.
    pub fn as_json(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Reads the parameters: a tuple for an array, a struct or a map for an object, `()` for none.
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that says what was wrong, ready to be returned with `?`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ErrorObject> {
        let raw = self.text.as_deref().map_or(RawParams::NONE, RawParams::from_json);
        raw.parse(self.method)
    }
}

/// The state of a request that was given to a service: answered, in flight, or refused.
///
/// Made by the functions that generated code calls; a service that wraps another one passes it on.
pub struct Handled(ServiceOutcome);

pub(crate) enum ServiceOutcome {
    /// The reply is written, or none is due.
    Done(Ending),
    /// The handler is in flight: it waits for something.
    Pending(Work),
    /// The handler may begin a subscription, and answers by itself.
    Subscribing(Subscribing),
    /// The handler was not run: the reply is this error.
    Refused(ErrorObject),
}

impl ServiceOutcome {
    /// Moves the rest of the request's work into the span of `trace`. Where no work is left, the
    /// trace is ended.
    #[inline]
    pub(crate) fn traced(self, trace: &mut Trace) -> Self {
        match trace.is_some() {
            false => self,
            true => self.in_span_of(trace),
        }
    }

    #[cold]
    fn in_span_of(self, trace: &mut Trace) -> Self {
        match self {
            Self::Done(ending) => {
                trace.take().end(ending);
                Self::Done(ending)
            }
            Self::Pending(work) => Self::Pending(work.inside(trace)),
            Self::Subscribing(subscribing) => Self::Subscribing(subscribing.inside(trace)),
            refused @ Self::Refused(_) => refused,
        }
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

    /// Answers the request with `error`; no handler is run.
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
