//! Accepting peers, up to the number of connections that the server may have.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use futures::future::{Either, select};

use super::{
    ServerHandle, ending::Listening, handle::Shared, handshakes::Handshakes, listener::Listener,
    refusals::Refusals,
};
use crate::{
    session::Membership,
    transport::{Connection, Handshake},
};

impl ServerHandle {
    pub(super) fn accept_from(&self, listener: Listener) {
        let shared = Arc::clone(&self.shared);
        let mut stage = shared.stage.subscribe();
        let listening = Listening::new(&shared);
        tokio::spawn(async move {
            let mut refusals = Refusals::default();
            let mut handshakes = Handshakes::new(&shared, listener.handshakes());
            let mut stopping = pin!(stage.wait_for(|stage| !stage.accepts()));
            while let Either::Right((Some(connection), _)) =
                select(stopping.as_mut(), pin!(listener.accept())).await
            {
                let first = listener.handshakes().first().map(|first| &**first);
                let Some((connection, group)) = admit(&shared, connection, first, &mut refusals) else {
                    continue;
                };
                match handshakes.are_needed() {
                    true => handshakes.begin(connection, group),
                    false => shared.arrived(connection, group),
                }
            }
            // In this order: whoever waits for the listener finds that the place is free.
            drop(listener);
            drop(listening);
        });
    }
}

/// Finds out whether there is a place for a peer, and tells it where there is none, if it can be told.
fn admit(
    shared: &Arc<Shared>,
    connection: Connection,
    first: Option<&dyn Handshake>,
    refusals: &mut Refusals,
) -> Option<(Connection, Membership)> {
    let connections = shared.connections_open();
    if connections >= shared.connections() {
        let refusal = shared.refusal(&connection, first, connections);
        refusals.refuse(connection, refusal);
        return None;
    }
    refusals.end();
    let Some(groups) = &shared.groups else { return Some((connection, Membership::default())) };
    // What names its group is code of the user's.
    match catch_unwind(AssertUnwindSafe(|| groups.admit(&connection.peer))) {
        Ok(Ok(group)) => Some((connection, group)),
        Ok(Err(over)) => {
            let refusal = shared.refusal_of_group(&connection, first, over);
            refusals.refuse_one(connection, refusal);
            None
        }
        Err(_) => {
            tracing::error!(rpc.system.name = "jsonrpc", "naming the group of a peer panicked");
            None
        }
    }
}

impl Shared {
    /// Begins the session of a peer.
    pub(super) fn arrived(self: &Arc<Self>, connection: Connection, group: Membership) {
        // What makes a service for the session is code of the user's.
        if catch_unwind(AssertUnwindSafe(|| self.serve(connection, group))).is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "making a service for a session panicked");
        }
    }
}
