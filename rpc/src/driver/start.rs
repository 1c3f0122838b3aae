//! Starts the loop of a session.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    close::child_name_and_id,
    inbox::{Inbox, OpeningState},
    session_loop::{Backlog, Cancellations, Driver, Owner, Turn},
    timers::Timers,
};
use crate::{
    framing::{AnyFramer, NewlineFramer},
    jsonrpc::{CancelBy, EmptyParams, Notices, Protocol, Unsupported, version::Version},
    limits::{KeepAlive, Limits, Throttle},
    service::{Dispatch, Routes, TakesMessages},
    session::{
        Cancelling, InstalledHooks, LastHit, Membership, NewShared, ReplyBatch, Session, Shared, WriteBuffer,
        next_session_id,
    },
    transport::Connection,
};

/// Configuration shared by the sessions of one server or connector.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) framer: Box<dyn AnyFramer>,
    pub(crate) version: Version,
    pub(crate) limits: Limits,
    pub(crate) cancellation: CancelBy,
    pub(crate) notices: Notices,
    pub(crate) hooks: InstalledHooks,
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Handles every frame as a message of the application, where the session does not carry
    /// JSON-RPC.
    pub(crate) messages: Option<Arc<dyn TakesMessages>>,
}

impl Settings {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            framer: Box::new(NewlineFramer::new()),
            version: Version::V2,
            limits,
            cancellation: CancelBy::default(),
            notices: Notices::default(),
            hooks: InstalledHooks::default(),
            keep_alive: None,
            messages: None,
        }
    }

    /// Checks that the protocol version can express the configuration. A version that is detected
    /// from the peer's first message is not known yet, and passes.
    pub(crate) const fn check(&self) -> Result<(), Unsupported> {
        match &self.cancellation {
            CancelBy::Chosen(_) if !self.version.has_named_params() => Err(Unsupported::Cancellation),
            _ => Ok(()),
        }
    }

    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.version = self.version.with_protocol(protocol);
    }

    pub(crate) fn set_text_errors(&mut self) {
        self.version = self.version.with_text_errors();
    }

    pub(crate) fn set_empty_params(&mut self, empty: EmptyParams) {
        self.version = self.version.with_empty_params(empty);
    }
}

/// A connection, and everything else that its session needs.
pub(crate) struct Start<'a> {
    pub(crate) connection: Connection,
    pub(crate) settings: &'a Settings,
    pub(crate) serves: bool,
    pub(crate) owner: Option<Arc<dyn Owner>>,
    pub(crate) group: Membership,
}

/// Starts the loop on the current runtime. `services` is called with the new session, and returns
/// what it serves.
pub(crate) fn start(start: Start<'_>, services: impl FnOnce(&Session) -> Routes) -> Session {
    let Start { connection, settings, serves, owner, group } = start;
    let Connection { io, read, peer, extensions, framer, control, takes } = connection;
    let Settings { version, limits, cancellation, hooks, .. } = settings;
    let version = *version;
    let mut framer = framer.unwrap_or_else(|| settings.framer.cloned());
    framer.set_limit(limits.frame_size);
    let handshake = framer.is_handshaken().then_some(takes);
    let shared = Shared::new(NewShared {
        id: next_session_id(),
        framer: framer.cloned(),
        version,
        peer,
        limits: limits.clone(),
        serves,
        cancelling: Cancelling::new(cancellation, version, handshake),
        notices: settings.notices,
        takes,
        hooks: hooks.clone(),
        group,
        extensions,
        carries_messages: settings.messages.is_some(),
        runtime: Handle::try_current().ok(),
    });
    let throttle = Throttle::at(shared.first_cost(), limits);
    let session = Session::new(Arc::clone(&shared));
    let routes = services(&session);
    if tracing::enabled!(tracing::Level::DEBUG) {
        let process = child_name_and_id(&shared.extensions);
        tracing::debug!(
            rpc.system.name = "jsonrpc", network.transport = shared.peer.scheme(), network.peer.address = %shared.peer,
            program = process.as_ref().map(|(name, _)| display(name)), process.pid = process.as_ref().map(|&(_, id)| id),
            session = shared.id, "session opened"
        );
    }
    shared.hooks.run(|hooks| hooks.opened(&shared));
    let cancellations = Cancellations::new(cancellation, &routes, takes);
    tokio::spawn(Driver {
        cancellations,
        write_buffer: WriteBuffer::new(framer.cloned()),
        version,
        shared,
        io,
        control,
        owner,
        // Messages of the application may have any form.
        is_protocol_known: framer.is_handshaken() || settings.messages.is_some(),
        framer,
        opening: OpeningState::default(),
        dispatch: Dispatch::new(routes),
        message_handler: settings.messages.clone(),
        backlog: if read.is_empty() { Backlog::Empty } else { Backlog::ReadAhead },
        inbox: Inbox::holding(&read),
        replies: ReplyBatch::default(),
        last_hit: LastHit::default(),
        delivered: 0,
        last_delivered: 0,
        has_yielded: false,
        connection_close: None,
        oversized: None,
        paused: None,
        member_reply: Vec::new(),
        refusal_bytes: 0,
        has_written: false,
        throttle,
        is_draining: false,
        refused_with: None,
        is_over_soft: false,
        charges: None,
        uncharged_bytes: 0,
        cost_per_byte: limits.cost_per_byte,
        read_at: None,
        turn: Turn::default(),
        // Pings are calls, and need JSON-RPC.
        timers: Timers::new(settings.keep_alive.clone().filter(|_| settings.messages.is_none())),
    });
    session
}
