//! What can be called, and what a call carries.

use std::{convert::Infallible, time::Duration};

use serde::Serialize;

use super::CallError;
use crate::jsonrpc::{MethodInfo, ParamInfo, Reply, RpcError, params::write_params, write_body};

/// Anything that calls can be made through: a [`Session`](crate::Session), or what stands in for one.
///
/// Generated clients work over every `Caller` (`CalcClient<C>`), so retrying, balancing or recording is written once, for all
/// services. Such a wrapper names its futures as boxed ones:
///
/// ```
/// use futures::future::{BoxFuture, FutureExt};
/// use rpc::{CallError, Caller, Outgoing, Reply};
/// use serde::Serialize;
///
/// /// Prints the name of every method that is called.
/// struct Printing<C>(C);
///
/// impl<C: Caller> Caller for Printing<C> {
///     type Call<'a, P: Serialize + Send + 'a> = BoxFuture<'a, Result<Reply, CallError>> where C: 'a;
///     type Notify<'a, P: Serialize + Send + 'a> = BoxFuture<'a, Result<(), CallError>> where C: 'a;
///
///     fn call<'a, P: Serialize + Send + 'a>(&'a self, call: Outgoing<'a, P>) -> Self::Call<'a, P> {
///         println!("{}", call.method());
///         self.0.call(call).boxed()
///     }
///
///     fn notify<'a, P: Serialize + Send + 'a>(&'a self, call: Outgoing<'a, P>) -> Self::Notify<'a, P> {
///         self.0.notify(call).boxed()
///     }
/// }
/// ```
pub trait Caller: Send + Sync {
    /// A call under way. Dropping it forgets the call.
    type Call<'a, P: Serialize + Send + 'a>: Future<Output = Result<Reply, CallError>> + Send + Unpin + 'a
    where
        Self: 'a;

    /// A notification under way.
    type Notify<'a, P: Serialize + Send + 'a>: Future<Output = Result<(), CallError>> + Send + Unpin + 'a
    where
        Self: 'a;

    /// Makes a call. It is sent when the future is first polled.
    fn call<'a, P: Serialize + Send + 'a>(&'a self, call: Outgoing<'a, P>) -> Self::Call<'a, P>;

    /// Sends a notification, when the future is first polled.
    fn notify<'a, P: Serialize + Send + 'a>(&'a self, notification: Outgoing<'a, P>) -> Self::Notify<'a, P>;
}

/// A call or a notification that was not sent yet: a method, its parameters, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a, P> {
    method: &'a str,
    params: P,
    /// Set where the parameters are sent by name.
    names: Option<&'static [ParamInfo]>,
    timeout: CallTimeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallTimeout {
    /// What the session's limits say.
    Default,
    Never,
    After(Duration),
}

impl<'a, P> Outgoing<'a, P> {
    /// Parameters that say themselves whether they are an array or an object.
    pub const fn new(method: &'a str, params: P) -> Self {
        Self { method, params, names: None, timeout: CallTimeout::Default }
    }

    /// Parameters as a tuple, sent the way `method` wants them.
    pub(crate) const fn typed(method: &'a MethodInfo, params: P) -> Self {
        let names = if method.sends_by_name() { Some(method.params()) } else { None };
        Self { method: method.name(), params, names, timeout: CallTimeout::Default }
    }

    /// The name of the method on the wire.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The parameters.
    pub const fn params(&self) -> &P {
        &self.params
    }

    /// How long to wait for the reply, where the call says so itself.
    pub const fn timeout(&self) -> Option<Duration> {
        match self.timeout {
            CallTimeout::After(after) => Some(after),
            CallTimeout::Default | CallTimeout::Never => None,
        }
    }

    /// How long to wait, given what the session's limits say.
    pub(crate) const fn timeout_or(&self, default: Option<Duration>) -> Option<Duration> {
        match self.timeout {
            CallTimeout::Default => default,
            CallTimeout::Never => None,
            CallTimeout::After(after) => Some(after),
        }
    }

    pub(crate) const fn set_timeout(&mut self, timeout: CallTimeout) {
        self.timeout = timeout;
    }
}

impl<P: Serialize> Outgoing<'_, P> {
    /// Appends the parameters as JSON.
    ///
    /// # Errors
    ///
    /// [`CallError::Encode`]; what was appended by then is left for the caller to cut off.
    pub fn write_params(&self, out: &mut Vec<u8>) -> Result<(), CallError> {
        write_params(out, &self.params, self.names)
            .map_err(|source| CallError::Encode { method: self.method.to_owned(), source })
    }

    /// Appends everything of the message that can be written before its id is known.
    pub(crate) fn write_body(&self, out: &mut Vec<u8>) -> Result<(), CallError> {
        write_body(out, self.method, |out| self.write_params(out))
    }
}

/// What a method's return type means: a value, or a value and an error.
///
/// `FALLIBLE` says whether the type is a `Result`. It is the compiler that finds out, so aliases count; the macro writes it down
/// and nobody else needs to.
pub trait Returns<const FALLIBLE: bool> {
    /// What travels as the result.
    type Value;
    /// What travels as the error.
    type Error: RpcError + std::error::Error + 'static;

    /// The two, apart.
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

impl<T> Returns<false> for T {
    type Value = T;
    type Error = Infallible;

    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E: RpcError + std::error::Error + 'static> Returns<true> for Result<T, E> {
    type Value = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}
