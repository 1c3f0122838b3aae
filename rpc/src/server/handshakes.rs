//! Peers that were accepted and have to agree on something before the first message. Nobody waits for them, and they have only so long.

use std::{
    error::Error,
    future::poll_fn,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    handle::Shared,
    listener::{Listener, Spoken},
    terms::Terms,
};
#[cfg(feature = "ws")]
use crate::transport::ForeignHandshake;
#[cfg(feature = "tls-no-provider")]
use crate::transport::{Expected, Foreign, log_foreign, tls::TlsError};
use crate::{
    jsonrpc::{chain, shown::brief},
    limits::Limits,
    session::Membership,
    transport::{Connection, Endpoint, Handshake, LogRate, RefusedHandshake},
};

/// Those of one listener. They are given up with it.
#[derive(Debug)]
pub(super) struct Handshakes {
    steps: Arc<[Box<dyn Handshake>]>,
    /// What comes after them.
    spoken: Spoken,
    terms: Arc<Terms>,
    shared: Arc<Shared>,
    /// How often the log has it that a peer does not speak TLS.
    strangers: Arc<LogRate>,
    tasks: JoinSet<()>,
}

impl Handshakes {
    pub(super) fn new(shared: &Arc<Shared>, listener: &Listener) -> Self {
        let (steps, spoken) = (Arc::clone(listener.handshakes()), listener.spoken().clone());
        let terms = Arc::clone(listener.terms());
        Self {
            steps,
            spoken,
            terms,
            shared: Arc::clone(shared),
            strangers: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn are_needed(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Goes through all steps with a peer, which counts as a connection meanwhile, and begins its session.
    pub(super) fn begin(&mut self, connection: Connection, group: Membership) {
        while self.tasks.try_join_next().is_some() {}
        let (steps, spoken, shared) =
            (Arc::clone(&self.steps), self.spoken.clone(), Arc::clone(&self.shared));
        let (terms, strangers) = (Arc::clone(&self.terms), Arc::clone(&self.strangers));
        let place = Place::taken(&shared);
        self.tasks.spawn(async move {
            let peer = connection.peer.clone();
            let mut has_begun = false;
            let shaken = within(terms.limits().handshake_timeout, async {
                let mut connection = connection;
                has_begun = poll_fn(|cx| connection.io.poll_begun(cx)).await;
                for step in &*steps {
                    connection = step.shake(connection).await?;
                }
                Ok(connection)
            });
            match shaken.await {
                Ok(connection) => {
                    shared.arrived(connection, group, &spoken);
                    // Not before the session is counted.
                    drop(place);
                }
                Err(error) => {
                    if has_begun {
                        group.charge(cost_of(&error, terms.limits()), Instant::now());
                    }
                    given_up(&peer, &error, &strangers);
                }
            }
        });
    }
}

/// What a handshake that has failed costs the group of its peer. (One that says nothing at all costs
/// nothing: so do those that only look whether the server is there, and browsers in advance.)
fn cost_of(error: &io::Error, limits: &Limits) -> f64 {
    match error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<RefusedHandshake>) {
        true => limits.cost_of_error,
        false => limits.cost_of_unreadable,
    }
}

pub(super) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(limit) = limit else { return work.await };
    timeout(limit, work).await.unwrap_or_else(|_| {
        let told = format!("it was not done within {limit:?} (`handshake_timeout`)");
        Err(io::Error::new(io::ErrorKind::TimedOut, told))
    })
}

fn given_up(peer: &Endpoint, error: &io::Error, strangers: &LogRate) {
    if is_logged(peer, error, strangers) {
        return;
    }
    tracing::debug!(
        rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, error = %brief(chain(error)),
        "a handshake has failed"
    );
}

/// Whether the log has it that the peer speaks another protocol.
fn is_logged(peer: &Endpoint, error: &io::Error, strangers: &LogRate) -> bool {
    let Some(inner) = error.get_ref() else { return false };
    #[cfg(feature = "tls-no-provider")]
    if let Some(TlsError::NotTls { protocol, found, .. }) = inner.downcast_ref() {
        let foreign = Foreign { protocol, found: found.clone() };
        let outcome = "its handshake of TLS has failed";
        log_foreign((Expected::Tls, &foreign), (peer, None), Some(strangers), outcome);
        return true;
    }
    #[cfg(feature = "ws")]
    if inner.is::<ForeignHandshake>() {
        return true;
    }
    let _ = (peer, strangers, inner);
    false
}

/// A connection that is no session yet.
pub(super) struct Place(Arc<Shared>);

impl Place {
    pub(super) fn taken(shared: &Arc<Shared>) -> Self {
        shared.shaking.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shaking.fetch_sub(1, Ordering::Relaxed);
    }
}
