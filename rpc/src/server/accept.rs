//! Accepting peers, up to the number of connections that the server may have.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use futures::future::{Either, select};

use super::{
    ServerHandle,
    accept_backoff::AcceptBackoff,
    handle::{Full, Shared},
    handshakes::Handshakes,
    listener::{Listener, Spoken},
    refusals::Refusals,
};
use crate::{session::Membership, transport::Connection};

impl ServerHandle {
    pub(super) fn accept_from(&self, listener: Listener) {
        let shared = Arc::clone(&self.shared);
        let mut stage = shared.stage.subscribe();
        let listening = shared.listening.begin();
        tokio::spawn(async move {
            let mut refusals = Refusals::default();
            let mut handshakes = Handshakes::new(&shared, &listener);
            let mut backoff = AcceptBackoff::new(listener.endpoint());
            let mut stopping = pin!(stage.wait_for(|stage| !stage.accepts()));
            let nobody_comes = loop {
                let connection = match select(stopping.as_mut(), pin!(listener.accept(&mut backoff))).await {
                    Either::Left(_) => break false,
                    Either::Right((None, _)) => break true,
                    Either::Right((Some(connection), _)) => connection,
                };
                let Some((connection, group)) = admit(&shared, &listener, connection, &mut refusals) else {
                    continue;
                };
                match handshakes.are_needed() {
                    true => handshakes.begin(connection, group),
                    false => shared.arrived(connection, group, listener.spoken()),
                }
            };
            // In this order: whoever waits for the listener finds that the place is free.
            drop(listener);
            drop(listening);
            if nobody_comes {
                shared.close_unless_listening();
            }
        });
    }
}

/// Finds out whether there is a place for a peer, and tells it where there is none.
fn admit(
    shared: &Arc<Shared>,
    listener: &Listener,
    connection: Connection,
    refusals: &mut Refusals,
) -> Option<(Connection, Membership)> {
    let full = Full { open: shared.connections_open(), limit: shared.connections() };
    if full.open >= full.limit {
        refusals.refuse(listener, connection, &full);
        return None;
    }
    refusals.end();
    let Some(groups) = &shared.groups else { return Some((connection, Membership::default())) };
    // What names its group is code of the user's.
    match catch_unwind(AssertUnwindSafe(|| groups.admit(&connection.peer))) {
        Ok(Ok(group)) => Some((connection, group)),
        Ok(Err(over)) => {
            refusals.refuse_in_group(listener, connection, &over);
            None
        }
        Err(_) => {
            tracing::error!(rpc.system.name = "jsonrpc", "naming the group of a peer panicked");
            None
        }
    }
}

impl Shared {
    /// Begins the session of a peer, or whatever is spoken with it.
    pub(super) fn arrived(self: &Arc<Self>, connection: Connection, group: Membership, spoken: &Spoken) {
        match spoken {
            #[cfg(feature = "http")]
            Spoken::Http(http) => http.serve(self, connection, group),
            Spoken::Messages(terms) => {
                // What makes a service for the session is code of the user's.
                match catch_unwind(AssertUnwindSafe(|| self.serve(connection, group, terms))) {
                    Ok(session) if !self.stage.borrow().serves() => session.abort(),
                    Ok(_) => {}
                    Err(_) => {
                        tracing::error!(
                            rpc.system.name = "jsonrpc",
                            "making a service for a session panicked"
                        );
                    }
                }
            }
        }
    }
}
