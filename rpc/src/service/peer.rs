//! Where a request came from: by a session, or by itself.

use std::{sync::Arc, time::Duration};

use super::one_shot::OneShot;
use crate::{
    session::{Counted, Session, Shared, Shield, WorkNumber},
    transport::{Endpoint, Extensions},
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
    pub(super) const fn link(self) -> Option<&'a Arc<Shared>> {
        match self {
            Self::Session(link) => Some(link),
            Self::OneShot(_) => None,
        }
    }

    /// The same for a context.
    pub(super) fn to_handle(self) -> RequestPeer {
        match self {
            Self::Session(link) => RequestPeer::Session(Session::new(Arc::clone(link))),
            Self::OneShot(message) => RequestPeer::OneShot(Arc::clone(message)),
        }
    }

    /// How many bytes the reply to a request may have.
    pub(super) fn reply_size(self) -> usize {
        match self {
            Self::Session(link) => link.limits.reply_size(),
            Self::OneShot(message) => message.reply_size(),
        }
    }

    pub(super) fn request_timeout(self) -> Option<Duration> {
        match self {
            Self::Session(link) => link.limits.request_timeout(),
            Self::OneShot(message) => message.request_timeout(),
        }
    }

    /// The number by which the request that is being started can be asked about. Those of one message are asked about together, and
    /// have none.
    pub(super) fn work_number(self) -> WorkNumber {
        match self {
            Self::Session(link) => link.work_number(),
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
    pub(super) fn is_worked_on(&self, number: WorkNumber) -> bool {
        match self {
            Self::Session(session) => session.link().is_worked_on(number),
            Self::OneShot(message) => !message.is_over(),
        }
    }

    /// Waits until the request of this number is not worked on any more. Cancel safe.
    pub(super) async fn work_ended(&self, number: WorkNumber) {
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
