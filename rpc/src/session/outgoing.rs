//! What a call carries, written and not yet sent.

use std::{convert::Infallible, fmt, time::Duration};

use serde::{Serialize, ser::Error as _};
use tokio::time::Instant;

use super::{CallError, calls::Timeout};
use crate::{
    jsonrpc::{
        Body, EmptyParams, MethodInfo, ParamInfo, buffer::Buffer, clean_json, params::write_params,
        subscription::Token,
    },
    limits::deadline,
};

/// A call or a notification that was not sent yet: a method, its parameters as JSON, and how long to wait.
#[derive(Clone)]
pub struct Outgoing<'a> {
    method: &'a str,
    /// Everything of the message that does not depend on its id.
    body: Buffer,
    /// Where the method ends in it; the parameters follow, if there are any.
    method_end: usize,
    empty_params: Option<EmptyParams>,
    timeout: CallTimeout,
    deadline: Option<Instant>,
    idempotent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallTimeout {
    /// What the session's limits say.
    Default,
    Never,
    After(Duration),
}

impl<'a> Outgoing<'a> {
    /// Writes the parameters: what serializes as an array (a tuple, a `Vec`) or an object (a struct, a map), or `()` for none: see
    /// [`EmptyParams`].
    ///
    /// # Errors
    ///
    /// [`CallError::Encode`], where they cannot be written, or are neither an array nor an object.
    pub fn new(method: &'a str, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        Self::write(method, params, None, None, CallTimeout::Default, false)
    }

    /// The same for a method that is described by a table, and sent as that says.
    #[inline]
    pub(super) fn of(method: &'a MethodInfo, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        let timeout = match method.timeout() {
            Some(after) => CallTimeout::After(after),
            None => CallTimeout::Default,
        };
        let (name, names) = (method.name(), method.names());
        Self::write(name, params, names, method.empty_params(), timeout, method.is_idempotent())
    }

    /// With `names`, a tuple is written as an object under them.
    fn write(
        method: &'a str,
        params: &(impl Serialize + ?Sized),
        names: Option<&[ParamInfo]>,
        empty_params: Option<EmptyParams>,
        timeout: CallTimeout,
        idempotent: bool,
    ) -> Result<Self, CallError> {
        let mut body = Buffer::new();
        match Body::append(&mut body, method, |out| write_params(out, params, names)) {
            Ok(method_end) => {
                Ok(Self { method, body, method_end, empty_params, timeout, deadline: None, idempotent })
            }
            Err(error) => Err(CallError::Encode { method: method.to_owned(), source: clean_json(error) }),
        }
    }

    /// Puts a token into the parameters, at `path`.
    pub(super) fn with_token(mut self, token: &Token, path: &str) -> Result<Self, CallError> {
        let Some(params) = token.put_into(self.params().unwrap_or("{}"), path) else {
            let source = serde_json::Error::custom(
                "to be told of progress, send parameters by name: a struct or a map",
            );
            return Err(CallError::Encode { method: self.method.to_owned(), source });
        };
        self.body.truncate(self.method_end);
        let Ok(()) = Body::append_params(&mut self.body, |out| {
            out.extend_from_slice(params.as_bytes());
            Ok::<_, Infallible>(())
        });
        Ok(self)
    }

    /// The name of the method on the wire.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The parameters, as the JSON text of an array or an object; `None` where there are none.
    pub fn params(&self) -> Option<&str> {
        std::str::from_utf8(Body::params_of(&self.body, self.method_end)?).ok()
    }

    /// What is sent where there are no parameters, if the method, its service or a client says so.
    pub const fn empty_params(&self) -> Option<EmptyParams> {
        self.empty_params
    }

    /// The same, sent with `empty` where it has no parameters, unless it says something else already.
    pub const fn empty_params_or(mut self, empty: EmptyParams) -> Self {
        if self.empty_params.is_none() {
            self.empty_params = Some(empty);
        }
        self
    }

    /// How long to wait for the reply, where the call or its method says so.
    pub const fn timeout(&self) -> Option<Duration> {
        match self.timeout {
            CallTimeout::After(after) => Some(after),
            CallTimeout::Default | CallTimeout::Never => None,
        }
    }

    /// When it ends at the latest, if that was said.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same, ending at `deadline` at the latest. One that is earlier stays.
    ///
    /// JSON-RPC has no member for it: it holds here, and the peer is not told.
    pub fn until(mut self, deadline: Instant) -> Self {
        self.set_deadline(deadline);
        self
    }

    /// See [`until`](Self::until).
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |before| before.min(deadline)));
    }

    pub(super) const fn set_timeout(&mut self, timeout: CallTimeout) {
        self.timeout = timeout;
    }

    /// Whether its deadline has passed: then it is not sent any more.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether calling the method twice does what calling it once does, so that a call whose outcome is unknown may be made again.
    /// Methods say so with `#[rpc(idempotent)]`; it does not travel.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The same call, which may be made again.
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// How long to wait from now on, given what the session's limits say.
    pub(crate) fn timeout_or(&self, default: Option<Duration>) -> Option<Duration> {
        let after = self.own_timeout_or(default).and_then(deadline::finite);
        match self.deadline {
            None => after,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                Some(after.map_or(left, |after| after.min(left)))
            }
        }
    }

    /// Until when to wait, where the wait has begun at `since`, if not now.
    pub(super) fn times_out(&self, since: Option<Instant>, default: Option<Duration>) -> Option<Timeout> {
        let after = self.own_timeout_or(default);
        if after.is_none() && self.deadline.is_none() {
            return None;
        }
        let since = since.unwrap_or_else(Instant::now);
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(since));
        let timeout = Timeout::after(since, after.into_iter().chain(left).min()?)?;
        Some(Timeout { latest: self.deadline, ..timeout })
    }

    const fn own_timeout_or(&self, default: Option<Duration>) -> Option<Duration> {
        match self.timeout {
            CallTimeout::Default => default,
            CallTimeout::Never => None,
            CallTimeout::After(after) => Some(after),
        }
    }

    pub(crate) fn body(&self) -> Body<'_> {
        let body = Body::written(&self.body, self.method_end);
        match self.empty_params {
            Some(empty) => body.with_empty_params(empty),
            None => body,
        }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("params", &format_args!("{}", self.params().unwrap_or("none")))
            .finish_non_exhaustive()
    }
}
