//! Messages of ours that are appended to the outbox. One that does not fit into a frame leaves no call behind.

use super::{InFlight, Refused, State};
use crate::{
    jsonrpc::{Body, CallId, Unsupported},
    session::framed::Unsent,
};

impl State {
    /// Appends a request.
    pub(super) fn append_request(&mut self, body: Body<'_>, call: InFlight) -> Result<CallId, Refused> {
        let Self { connection, outbox, .. } = self;
        outbox.try_message(|out| connection.request(out, body, call)).map_err(|unsent| {
            refused(unsent, |id| {
                connection.remove(id);
            })
        })
    }

    /// Appends a notification.
    pub(super) fn append_notification(&mut self, body: Body<'_>) -> Result<(), Refused> {
        let Self { connection, outbox, .. } = self;
        outbox
            .try_message(|out| connection.notification(out, body))
            .map_err(|unsent| refused(unsent, |()| {}))
    }

    /// Appends a batch: members with an [`InFlight`] are calls, those without are notifications.
    pub(super) fn append_batch<'b>(
        &mut self,
        members: impl IntoIterator<Item = (Body<'b>, Option<InFlight>)>,
    ) -> Result<Vec<CallId>, Refused> {
        let Self { connection, outbox, .. } = self;
        outbox.try_message(|out| connection.batch(out, members)).map_err(|unsent| {
            refused(unsent, |ids| {
                for id in ids {
                    connection.remove(id);
                }
            })
        })
    }
}

/// What was written is forgotten: nobody will answer it.
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
