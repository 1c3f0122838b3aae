//! Messages of ours that are appended to the outbox. One that does not fit into a frame leaves no call behind.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::{InFlight, Link, Locked, Refused, State};
use crate::{
    framing::AnyFramer,
    jsonrpc::{Body, CallId, Connection, Unsupported},
    session::framed::{Unsent, put_framed},
};

/// Messages that a handle sends: it is told at once where one cannot be.
impl Link {
    /// Appends one message, which `write` writes. `forget` undoes that where it does not fit into a frame.
    #[inline]
    pub(super) fn append<'a, R>(
        &'a self,
        mut state: Locked<'a>,
        write: impl FnOnce(&mut Connection<InFlight>, &mut Vec<u8>) -> Result<R, Unsupported>,
        forget: impl FnOnce(&mut State, R),
    ) -> Result<(R, Locked<'a>), Refused> {
        if let Some(framer) = &self.users_framer {
            return self.append_framed(&**framer, state, write, forget);
        }
        let State { connection, outbox, .. } = &mut *state;
        match outbox.notice(|out| write(connection, out)) {
            Ok(written) => Ok((written, state)),
            Err(unsent) => Err(refused(unsent, |written| forget(&mut state, written))),
        }
    }

    /// The same with a framer of the user's, which is not to be run under the lock: between being written and being appended, the
    /// message has no other owner.
    #[cold]
    fn append_framed<'a, R>(
        &'a self,
        framer: &dyn AnyFramer,
        mut state: Locked<'a>,
        write: impl FnOnce(&mut Connection<InFlight>, &mut Vec<u8>) -> Result<R, Unsupported>,
        forget: impl FnOnce(&mut State, R),
    ) -> Result<(R, Locked<'a>), Refused> {
        let mut message = Vec::new();
        let written = write(&mut state.connection, &mut message).map_err(Refused::Unsupported)?;
        drop(state);
        let mut framed = Vec::new();
        let put = catch_unwind(AssertUnwindSafe(|| {
            put_framed(framer, &mut framed, |out| {
                out.extend_from_slice(&message);
                Ok::<_, Infallible>(())
            })
        }));
        let mut state = self.lock();
        match put {
            Ok(Ok(())) => {
                state.outbox.framed(&framed);
                Ok((written, state))
            }
            Ok(Err(Unsent::Unframed((), error))) => {
                forget(&mut state, written);
                Err(Refused::Frame(error))
            }
            Ok(Err(Unsent::Unwritten(never))) => match never {},
            Err(panic) => {
                forget(&mut state, written);
                drop(state);
                resume_unwind(panic)
            }
        }
    }

    pub(super) fn append_request<'a>(
        &'a self,
        state: Locked<'a>,
        body: Body<'_>,
        call: InFlight,
    ) -> Result<(CallId, Locked<'a>), Refused> {
        self.append(state, |connection, out| connection.request(out, body, call), State::forget_call)
    }
}

/// Messages that follow from something else.
impl State {
    /// Appends a request.
    pub(super) fn append_request(&mut self, body: Body<'_>, call: InFlight) -> Result<CallId, Refused> {
        let Self { connection, outbox, .. } = self;
        let appended = outbox.notice(|out| connection.request(out, body, call));
        appended.map_err(|unsent| refused(unsent, |id| self.forget_call(id)))
    }

    /// Appends a notification.
    pub(super) fn append_notification(&mut self, body: Body<'_>) -> Result<(), Refused> {
        let Self { connection, outbox, .. } = self;
        outbox.notice(|out| connection.notification(out, body)).map_err(|unsent| refused(unsent, |()| {}))
    }

    /// No reply will come: the call was not sent.
    pub(super) fn forget_call(&mut self, call: CallId) {
        let forgotten = self.connection.take(call);
        self.effects.drop_later(forgotten);
    }
}

#[cold]
fn refused<R>(unsent: Unsent<R, Unsupported>, forget: impl FnOnce(R)) -> Refused {
    match unsent {
        Unsent::Unwritten(what) => Refused::Unsupported(what),
        Unsent::Unframed(written, error) => {
            forget(written);
            Refused::Frame(error)
        }
    }
}
