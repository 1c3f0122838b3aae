//! Where a request came from: by a session, or by itself.

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
        Cancelling, CloseReason, Counted, InstalledHooks, Membership, NewShared, Session, Shared, Shield,
        Tally, Trace, WorkNumber, log_refused, next_session_id,
    },
    transport::{Endpoint, Extensions, Takes},
};

/// Where a request came from.
///
/// A context keeps the [`Session`], which is a handle: it keeps a session open that serves nothing. The loop of the session has the
/// bare [`Shared`] in its place, or the session would never be without handles.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestPeer<S = Session, M = Arc<OneShot>> {
    Session(S),
    OneShot(M),
}

/// The same, for as long as a request is started.
pub(crate) type RequestPeerRef<'a> = RequestPeer<&'a Arc<Shared>, &'a Arc<OneShot>>;

/// Holds up the close of the session, or the end of the server, until it is dropped.
#[derive(Debug)]
pub(super) enum ShieldGuard {
    Session { _shield: Shield },
    OneShot { _counted: Counted },
}

impl<'a> RequestPeerRef<'a> {
    /// The shared state of the session, where there is one.
    pub(super) const fn shared(self) -> Option<&'a Arc<Shared>> {
        match self {
            Self::Session(shared) => Some(shared),
            Self::OneShot(_) => None,
        }
    }

    /// The same for a context.
    pub(super) fn to_handle(self) -> RequestPeer {
        match self {
            Self::Session(shared) => RequestPeer::Session(Session::new(Arc::clone(shared))),
            Self::OneShot(message) => RequestPeer::OneShot(Arc::clone(message)),
        }
    }

    /// How many bytes the reply to a request may have.
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

    /// The number by which the request that is being started can be asked about. Those of one message are asked about together, and
    /// have none.
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

    /// The session; one that is closed, for a message that came by itself.
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

    /// Whether the request of this number is still worked on.
    pub(super) fn is_in_flight(&self, number: WorkNumber) -> bool {
        match self {
            Self::Session(session) => session.link().is_worked_on(number),
            Self::OneShot(message) => !message.is_ended(),
        }
    }

    /// Waits until the request of this number is not worked on any more. Cancel safe.
    pub(super) async fn request_ended(&self, number: WorkNumber) {
        match self {
            Self::Session(session) => session.link().work_ended(number).await,
            Self::OneShot(message) => message.ended().await,
        }
    }

    /// Begins work that is to be finished whatever becomes of its handler.
    pub(super) fn shield(&self) -> ShieldGuard {
        match self {
            Self::Session(session) => ShieldGuard::Session { _shield: session.link().shield() },
            Self::OneShot(message) => ShieldGuard::OneShot { _counted: message.shield() },
        }
    }

    /// Closes the session once the request of this number is answered. A message that came by itself has none to close.
    pub(super) fn close_after(&self, number: WorkNumber) {
        if let Self::Session(session) = self {
            session.link().close_after(number);
        }
    }
}

/// The settings that all messages of a dispatcher share.
#[derive(Debug)]
pub(crate) struct OneShotPolicy {
    pub(super) limits: Limits,
    /// Counts the shielded work of their handlers, for a server that waits for it before it stops.
    pub(super) shielded_work: Tally,
}

/// One message without a session. Its requests share it, and so does every context that their handlers keep.
pub(crate) struct OneShot {
    policy: Arc<OneShotPolicy>,
    endpoint: Endpoint,
    extensions: Extensions,
    version: Version,
    /// The number of its session, which the log has whether or not the session is made.
    id: u64,
    /// Whether the message is answered, or its future was dropped. All of its requests are worked on until then.
    is_ended: AtomicBool,
    over: Notify,
    /// Made when a handler asks for it, which most never do: it takes more memory than everything else here.
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

    /// A session that was never open. From here on it has the limits, and what handlers add to the cost.
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

    /// How many bytes a reply may have: a handler may have changed that, by the session.
    pub(super) fn reply_size(&self) -> usize {
        match self.session.get() {
            Some(session) => session.link().limits.reply_size(),
            None => self.policy.limits.reply_size,
        }
    }

    pub(super) fn request_timeout(&self) -> Option<Duration> {
        match self.session.get() {
            Some(session) => session.link().limits.request_timeout(),
            None => self.policy.limits.request_timeout,
        }
    }

    /// The cost of the message: `amount` for its bytes and errors, and what its handlers have added.
    pub(super) fn cost(&self, amount: f64) -> f64 {
        match self.session.get() {
            Some(session) => session.link().add_cost(amount, Instant::now()),
            // No time has passed in which it could have been forgiven.
            None => Cost::new().add(amount, 0.0, (), |(), ()| Duration::ZERO),
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// Waits until the message is over. Cancel safe.
    pub(super) async fn ended(&self) {
        let mut over = pin!(self.over.notified());
        // Before the flag is looked at: an end between the two is not missed.
        over.as_mut().enable();
        if !self.is_ended() {
            over.await;
        }
    }

    /// The message is over: tells the tasks that still work for its requests.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.over.notify_waiters();
    }

    pub(super) fn shield(&self) -> Counted {
        self.policy.shielded_work.begin()
    }

    /// Begins the trace of a request.
    #[inline]
    pub(super) fn trace(&self, request: &UncheckedRequest<'_>) -> Trace {
        Trace::begin(request, self.id, &self.endpoint)
    }

    /// Logs that a part of the message was refused which is no request.
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
