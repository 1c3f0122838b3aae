//! Accepting peers, up to the number of connections that the server may have.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use futures::future::{Either, select};

use super::{
    ServerHandle,
    ending::Listening,
    listener::{Listener, Socket},
    refusals::Refusals,
};

impl ServerHandle {
    pub(super) fn accept_from<S: Socket>(&self, listener: Listener<S>) {
        let shared = Arc::clone(&self.shared);
        let mut stage = shared.stage.subscribe();
        let listening = Listening::new(&shared);
        tokio::spawn(async move {
            let mut refusals = Refusals::default();
            let mut stopping = pin!(stage.wait_for(|stage| !stage.accepts()));
            while let Either::Right(((io, peer), _)) =
                select(stopping.as_mut(), pin!(listener.accept())).await
            {
                let connections = shared.sessions().len();
                if connections >= shared.connections() {
                    refusals.refuse(io, &peer, shared.refusal(connections));
                    continue;
                }
                refusals.end();
                // What makes a service for the session is code of the user's.
                if catch_unwind(AssertUnwindSafe(|| shared.serve(io, peer))).is_err() {
                    tracing::error!(rpc.system.name = "jsonrpc", "making a service for a session panicked");
                }
            }
            // In this order: whoever waits for the listener finds that the place is free.
            drop(listener);
            drop(listening);
        });
    }
}
