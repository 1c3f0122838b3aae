//! How a request arrived: its connection and peer, and the account that it is charged to.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use http::{header, request::Parts};
use http_body::SizeHint;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    time::Instant,
};

use super::request::HttpRefusal;
use crate::{
    limits::{Cost, Limits, Throttle},
    server::{http_work::Shares, shared::ServerShared},
    session::{Membership, WorkToken},
    transport::{Endpoint, Extensions, FromItself, PageScheme, has_address},
};

/// The connection of a request, known to a listener of this server. An `Arc` of it is in the
/// extensions of the request.
#[derive(Debug)]
pub(super) struct ConnectInfo {
    pub(super) peer: Endpoint,
    /// The transport's facts about the peer, for all of its requests.
    pub(super) extensions: Extensions,
    pub(super) account: ConnectionAccount,
    /// True if the peer is on this machine; computed on first use.
    is_local: OnceLock<bool>,
}

impl ConnectInfo {
    pub(super) fn new(peer: Endpoint, extensions: Extensions, group: Membership, limits: &Limits) -> Self {
        Self { peer, extensions, account: ConnectionAccount::new(group, limits), is_local: OnceLock::new() }
    }

    /// The peer of a request: from a layer's [`Endpoint`], or from this server's listener.
    pub(super) fn peer_of(request: &http::Extensions) -> Option<&Endpoint> {
        let connect_info = || request.get::<Arc<Self>>().map(|connect_info| &connect_info.peer);
        request.get::<Endpoint>().or_else(connect_info)
    }

    /// The scheme of the pages of this server, as browsers see it: from a layer's [`Endpoint`], or
    /// from this server's listener.
    pub(super) fn page_scheme(request: &Parts) -> Option<PageScheme> {
        let told = request.extensions.get::<Endpoint>().and_then(PageScheme::of);
        told.or_else(|| PageScheme::of(&request.extensions.get::<Arc<Self>>()?.peer))
    }

    /// Returns true if a request comes from this machine.
    #[cold]
    pub(super) fn is_local(request: &Parts) -> bool {
        let has = |peer: &Endpoint| peer.socket_addr().is_some_and(has_address);
        match (request.extensions.get::<Endpoint>(), request.extensions.get::<Arc<Self>>()) {
            (Some(told), _) => has(told),
            (None, Some(connect_info)) => *connect_info.is_local.get_or_init(|| {
                connect_info.extensions.get::<FromItself>().is_some() || has(&connect_info.peer)
            }),
            // It is unknown where the service is mounted: a page is assumed to be on this machine.
            (None, None) => request.headers.contains_key(header::ORIGIN),
        }
    }
}

/// The cost of one connection's peer, and the permits of its requests.
#[derive(Debug)]
pub(super) struct ConnectionAccount {
    pub(super) shares: Shares,
    /// A permit for each byte of all requests of the connection: `None` without a limit.
    request_bytes: Option<Semaphore>,
    cost: Mutex<Cost<Instant>>,
    group: Mutex<Membership>,
    /// True once the log has an event about the delay of this peer.
    is_logged: AtomicBool,
    over: Notify,
}

impl ConnectionAccount {
    fn new(group: Membership, limits: &Limits) -> Self {
        let request_bytes = limits.request_bytes.max(1);
        Self {
            shares: Shares::of_connection(),
            request_bytes: (request_bytes <= Semaphore::MAX_PERMITS).then(|| Semaphore::new(request_bytes)),
            cost: Mutex::new(Cost::new()),
            group: Mutex::new(group),
            is_logged: AtomicBool::new(false),
            over: Notify::new(),
        }
    }

    /// Adds to the cost, and returns it: that of the connection or of its group, whichever is
    /// higher.
    pub(super) fn charge(&self, amount: f64, limits: &Limits) -> f64 {
        let now = Instant::now();
        let mut cost = lock(&self.cost);
        let own = cost.add(amount, limits.cost_forgiven_per_second, now, |now, then| {
            now.saturating_duration_since(then)
        });
        drop(cost);
        let cost = own.max(lock(&self.group).charge(amount, now));
        if cost >= limits.cost_hard {
            self.over.notify_one();
        }
        cost
    }

    /// Delays a peer above the soft limit of cost, and refuses it at the hard limit.
    pub(super) async fn admit(&self, peer: &Endpoint, limits: &Limits) -> Result<(), HttpRefusal> {
        if limits.cost_hard == f64::INFINITY {
            return Ok(());
        }
        let cost = self.charge(0.0, limits);
        let is_first_logged = || !self.is_logged.swap(true, Ordering::Relaxed);
        admit_at(cost, peer, limits, is_first_logged).await
    }

    /// Refuses a peer at the hard limit of cost.
    #[cfg(feature = "ws")]
    pub(super) fn check(&self, limits: &Limits) -> Result<(), HttpRefusal> {
        let (cost, limit) = (self.charge(0.0, limits), limits.cost_hard);
        if cost >= limit { Err(HttpRefusal::Cost { cost, limit }) } else { Ok(()) }
    }

    /// Waits for the permits of a body, in order of arrival. A body without a declared size takes
    /// the permits of the largest, so that a body that is being read never waits for others. Cancel
    /// safe.
    pub(super) async fn permit_for(&self, body: &SizeHint, limits: &Limits) -> Option<BytesPermit<'_>> {
        let all = limits.request_bytes.min(limits.frame_size);
        let bytes =
            body.upper().and_then(|bytes| usize::try_from(bytes).ok()).map_or(all, |bytes| bytes.min(all));
        let bytes = u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        self.request_bytes.as_ref()?.acquire_many(bytes).await.ok().map(BytesPermit)
    }

    /// Passes the membership of its group on to the session that the connection becomes.
    #[cfg(feature = "ws")]
    pub(super) fn hand_over(&self) -> Membership {
        std::mem::take(&mut *lock(&self.group))
    }

    /// Waits until the peer has reached the hard limit of cost. Cancel safe.
    pub(super) async fn is_over(&self) {
        self.over.notified().await;
    }
}

/// Delays a peer above the soft limit of cost, and refuses it at the hard limit. A delay is logged
/// if `is_first_logged` returns true.
async fn admit_at(
    cost: f64,
    peer: &Endpoint,
    limits: &Limits,
    is_first_logged: impl FnOnce() -> bool,
) -> Result<(), HttpRefusal> {
    if cost >= limits.cost_hard {
        return Err(HttpRefusal::Cost { cost, limit: limits.cost_hard });
    }
    let delay = Throttle::at(cost, limits).delay;
    if !delay.is_zero() {
        if is_first_logged() {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = "http", network.peer.address = %peer,
                cost, limit = limits.cost_soft, limit.hard = limits.cost_hard,
                "the cost of a peer, or of its group, is over `Limits::cost_soft`: its requests are delayed. Where it does what it \
                 should, raise that, or lower `Limits::cost_of_error` and `Limits::cost_of_unreadable`"
            );
        }
        tokio::time::sleep(delay).await;
    }
    Ok(())
}

/// Permits for the bytes of one request, until dropped.
#[derive(Debug)]
pub(super) struct BytesPermit<'a>(SemaphorePermit<'a>);

impl BytesPermit<'_> {
    /// Gives back the permits beyond `bytes`, the real size.
    pub(super) fn shrink(&mut self, bytes: usize) {
        drop(self.0.split(self.0.num_permits().saturating_sub(bytes)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The account that a request is charged to.
#[derive(Debug)]
pub(super) enum Payer {
    /// The account of a connection of this server.
    Connection(Arc<ConnectInfo>),
    Guest(GuestRequest),
    /// A service without a server has no account to charge.
    Nobody(Shares),
}

/// A request that another server has passed to a service of this one. Shutdown waits for it, and it
/// counts as one connection of its group.
#[derive(Debug)]
pub(super) struct GuestRequest {
    server: Arc<ServerShared>,
    /// Empty if the peer is unknown.
    group: Membership,
    shares: Shares,
    _counted: WorkToken,
}

impl GuestRequest {
    pub(super) fn arrived(server: &Arc<ServerShared>, peer: Option<&Endpoint>) -> Result<Self, HttpRefusal> {
        // WorkToken before the stage is read: a shutdown sets the stage, then waits for the count.
        let counted = server.http.begin_guest();
        if !server.stage.borrow().serves() {
            return Err(HttpRefusal::ShuttingDown);
        }
        let group = match (&server.groups, peer) {
            (Some(groups), Some(peer)) => groups.admit(peer)?,
            _ => Membership::default(),
        };
        Ok(Self { server: Arc::clone(server), group, shares: Shares::default(), _counted: counted })
    }
}

impl Payer {
    /// The permits of the payer's requests.
    pub(super) fn shares(&self) -> &Shares {
        match self {
            Self::Connection(connect_info) => &connect_info.account.shares,
            Self::Guest(GuestRequest { shares, .. }) | Self::Nobody(shares) => shares,
        }
    }

    /// Adds to the cost.
    pub(super) fn charge(&self, amount: f64, limits: &Limits) {
        match self {
            Self::Connection(connect_info) => _ = connect_info.account.charge(amount, limits),
            Self::Guest(GuestRequest { group, .. }) if group.is_some() => {
                _ = group.charge(amount, Instant::now());
            }
            Self::Guest(_) | Self::Nobody(_) => {}
        }
    }

    /// Delays a peer above the soft limit of cost, and refuses it at the hard limit.
    pub(super) async fn admit(&self, peer: &Endpoint, limits: &Limits) -> Result<(), HttpRefusal> {
        match self {
            Self::Connection(connect_info) => connect_info.account.admit(&connect_info.peer, limits).await,
            Self::Guest(GuestRequest { group, .. }) if group.is_some() => {
                let cost = group.charge(0.0, Instant::now());
                admit_at(cost, peer, limits, || group.is_first_logged()).await
            }
            Self::Guest(_) | Self::Nobody(_) => Ok(()),
        }
    }

    /// Waits for the permits of a body, if the connection is ours and has several requests at once.
    /// Cancel safe.
    pub(super) async fn permit_for(&self, body: &SizeHint, limits: &Limits) -> Option<BytesPermit<'_>> {
        match self {
            Self::Connection(connect_info) => connect_info.account.permit_for(body, limits).await,
            Self::Guest(_) | Self::Nobody(_) => None,
        }
    }

    /// Waits until the request has to end, if its connection is another server's. Cancel safe.
    pub(super) async fn is_forced(&self) {
        match self {
            Self::Guest(GuestRequest { server, .. }) => server.http.guests_are_forced().await,
            Self::Connection(_) | Self::Nobody(_) => std::future::pending().await,
        }
    }
}
