//! Answers that do not say to which call.

use super::{InFlight, Link};
use crate::jsonrpc::CallId;

impl Link {
    /// The call that the peer means with an error to the id null: see [`Connection::only_call`]. What
    /// no task waits for (a ping, what ends a subscription) is not ended, and any other call is not
    /// the only one beside it.
    ///
    /// [`Connection::only_call`]: crate::jsonrpc::Connection::only_call
    pub(crate) fn only_call(&self) -> Option<CallId> {
        let state = self.lock();
        let call = state.connection.only_call()?;
        state.connection.calls().all(InFlight::has_caller).then_some(call)
    }
}
