//! The source of a request: a session, or a message without one ([`OneShot`]), as a
//! [`Dispatcher`](crate::Dispatcher) gets it or the body of an HTTP request.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    framing::NewlineFramer,
    jsonrpc::{ErrorObject, Id, Notices, UncheckedRequest, version::Version},
    limits::{Cost, Limits},
    session::{
        Cancelling, CloseReason, InstalledHooks, Membership, NewShared, Session, Shared, Shield, Trace,
        WorkNumber, WorkToken, WorkTracker, log_refused, next_session_id,
    },
    transport::{Endpoint, Extensions, Takes},
};

/// The source of a request.
///
/// A context holds the [`Session`] handle, which keeps a session open that serves nothing. While a
/// request is started, the bare [`Shared`] stands in its place: the loop holds no handle, or a
/// session would never be without one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestPeer<S = Session, M = Arc<OneShot>> {
    Session(S),
    OneShot(M),
}

/// The source of a request that is being started.
pub(crate) type RequestPeerRef<'a> = RequestPeer<&'a Arc<Shared>, &'a Arc<OneShot>>;

/// Delays the close of the session, or the shutdown of the server, until it is dropped.
#[derive(Debug)]
pub(super) enum ShieldGuard {
    Session { _shield: Shield },
    OneShot { _counted: WorkToken },
}

impl<'a> RequestPeerRef<'a> {
    /// The shared state of the session, if there is one.
    pub(super) const fn shared(self) -> Option<&'a Arc<Shared>> {
        match self {
            Self::Session(shared) => Some(shared),
            Self::OneShot(_) => None,
        }
    }

    /// The owned source, for a context.
    pub(super) fn to_handle(self) -> RequestPeer {
        match self {
            Self::Session(shared) => RequestPeer::Session(Session::new(Arc::clone(shared))),
            Self::OneShot(message) => RequestPeer::OneShot(Arc::clone(message)),
        }
    }

    /// The limit on the size of a reply, in bytes.
    pub(super) fn reply_size(self) -> usize {
        match self {
            Self::Session(shared) => shared.limits.reply_size(),
            Self::OneShot(message) => message.reply_size(),
        }
    }

    pub(super) fn request_timeout(self) -> Option<Duration> {
        match self {
            Self::Session(shared) => shared.limits.request_timeout(),
            Self::OneShot(message) => message.request_timeout(),
        }
    }

    /// The number of the request that is being started. The requests of a message without a session
    /// are in flight together, and have none.
    pub(super) fn work_number(self) -> WorkNumber {
        match self {
            Self::Session(shared) => shared.work_number(),
            Self::OneShot(_) => 0,
        }
    }
}

impl RequestPeer {
    pub(super) fn into_session(self) -> Session {
        match self {
            Self::Session(session) => session,
            Self::OneShot(message) => message.session().clone(),
        }
    }

    /// The session; a closed one for a message without a session.
    pub(super) fn session(&self) -> &Session {
        match self {
            Self::Session(session) => session,
            Self::OneShot(message) => message.session(),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Session(session) => session.peer(),
            Self::OneShot(message) => message.endpoint(),
        }
    }

    pub(super) fn extensions(&self) -> &Extensions {
        match self {
            Self::Session(session) => session.extensions(),
            Self::OneShot(message) => message.extensions(),
        }
    }

    /// True while the request with this number is in flight.
    pub(super) fn is_in_flight(&self, number: WorkNumber) -> bool {
        match self {
            Self::Session(session) => session.shared().is_worked_on(number),
            Self::OneShot(message) => !message.is_ended(),
        }
    }

    /// Waits until the request with this number is no longer in flight. Cancel safe.
    pub(super) async fn request_ended(&self, number: WorkNumber) {
        match self {
            Self::Session(session) => session.shared().work_ended(number).await,
            Self::OneShot(message) => message.ended().await,
        }
    }

    /// Registers work that goes on after its handler was dropped.
    pub(super) fn shield(&self) -> ShieldGuard {
        match self {
            Self::Session(session) => ShieldGuard::Session { _shield: session.shared().shield() },
            Self::OneShot(message) => ShieldGuard::OneShot { _counted: message.shield() },
        }
    }

    /// Closes the session once the request with this number is answered. Does nothing without a
    /// session.
    pub(super) fn close_after(&self, number: WorkNumber) {
        if let Self::Session(session) = self {
            session.shared().close_after(number);
        }
    }
}

/// The settings that all messages of a dispatcher share.
#[derive(Debug)]
pub(crate) struct OneShotPolicy {
    pub(super) limits: Limits,
    /// Counts the shielded work of the handlers, for a server that waits for it at its shutdown.
    pub(super) shielded_work: WorkTracker,
}

/// One message without a session, shared by its requests and by the contexts of their handlers.
pub(crate) struct OneShot {
    policy: Arc<OneShotPolicy>,
    endpoint: Endpoint,
    extensions: Extensions,
    version: Version,
    /// The number of its session, which is logged whether or not the session is made.
    id: u64,
    /// Set when the message is answered, or its future was dropped. Until then all of its requests
    /// are in flight.
    is_ended: AtomicBool,
    over: Notify,
    /// Made on the first use, which is rare: it takes more memory than everything else in here.
    session: OnceLock<Session>,
}

impl OneShot {
    pub(super) fn new(
        policy: &Arc<OneShotPolicy>,
        endpoint: Endpoint,
        version: Version,
        extensions: Extensions,
    ) -> Arc<Self> {
        Arc::new(Self {
            policy: Arc::clone(policy),
            endpoint,
            extensions,
            version,
            id: next_session_id(),
            is_ended: AtomicBool::new(false),
            over: Notify::new(),
            session: OnceLock::new(),
        })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The session of this message, which was never open. Once made, it holds the limits, and the
    /// cost that handlers add.
    pub(super) fn session(&self) -> &Session {
        self.session.get_or_init(|| {
            let shared = Shared::new(NewShared {
                id: self.id,
                framer: Box::new(NewlineFramer::new()),
                version: self.version,
                peer: self.endpoint.clone(),
                limits: self.policy.limits.clone(),
                serves: false,
                cancelling: Cancelling::Never,
                notices: Notices::default(),
                takes: Takes::default(),
                hooks: InstalledHooks::default(),
                group: Membership::default(),
                extensions: self.extensions.share(),
                carries_messages: false,
                runtime: None,
            });
            shared.gone(CloseReason::NoSession);
            Session::new(shared)
        })
    }

    /// The limit on the size of a reply, in bytes. A handler may have changed it on the session.
    pub(super) fn reply_size(&self) -> usize {
        match self.session.get() {
            Some(session) => session.shared().limits.reply_size(),
            None => self.policy.limits.reply_size,
        }
    }

    pub(super) fn request_timeout(&self) -> Option<Duration> {
        match self.session.get() {
            Some(session) => session.shared().limits.request_timeout(),
            None => self.policy.limits.request_timeout,
        }
    }

    /// The cost of the message: `amount` for its bytes and errors, and the cost that its handlers
    /// have added.
    pub(super) fn cost(&self, amount: f64) -> f64 {
        match self.session.get() {
            Some(session) => session.shared().add_cost(amount, Instant::now()),
            // No time has passed in which any of it could have been forgiven.
            None => Cost::new().add(amount, 0.0, (), |(), ()| Duration::ZERO),
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// Waits until the message has ended. Cancel safe.
    pub(super) async fn ended(&self) {
        let mut over = pin!(self.over.notified());
        // Registered before the flag is read, so that an end between the two is not missed.
        over.as_mut().enable();
        if !self.is_ended() {
            over.await;
        }
    }

    /// Ends the message, and wakes the tasks that wait for that.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.over.notify_waiters();
    }

    pub(super) fn shield(&self) -> WorkToken {
        self.policy.shielded_work.token()
    }

    /// Begins the trace of a request.
    #[inline]
    pub(super) fn trace(&self, request: &UncheckedRequest<'_>) -> Trace {
        Trace::begin(request, self.id, &self.endpoint)
    }

    /// Logs that a part of the message was refused because it is not a request.
    pub(super) fn log_refused(&self, id: Id<'_>, error: &ErrorObject) {
        log_refused(Some(id), error, Some(self.id), &self.endpoint);
    }
}

impl fmt::Debug for OneShot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneShot")
            .field("id", &self.id)
            .field("peer", &format_args!("{}", self.endpoint))
            .finish_non_exhaustive()
    }
}
