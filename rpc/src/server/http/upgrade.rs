//! WebSocket requests: they become sessions of the server.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::time::Instant;

use super::{
    activity::TrackedIo,
    connect_info::ConnectInfo,
    request::{HttpBody, HttpRefusal},
};
use crate::{
    jsonrpc::{chain, shown::brief},
    server::shared::{PendingConnection, Policy, ServerFull, ServerShared},
    session::Membership,
    transport::{
        Connection, Endpoint, Extensions, Io, Plain,
        websocket::{self, Agreed, WebSocketServer},
    },
};

/// Upgrades requests to sessions of one server.
#[derive(Clone)]
pub(super) struct WebSocketUpgrades {
    shared: Arc<ServerShared>,
    policy: Arc<Policy>,
    options: Arc<WebSocketServer>,
}

impl WebSocketUpgrades {
    pub(super) fn new(shared: &Arc<ServerShared>, policy: &Arc<Policy>, options: WebSocketServer) -> Self {
        Self { shared: Arc::clone(shared), policy: Arc::clone(policy), options: Arc::new(options) }
    }

    pub(super) fn with(self, options: WebSocketServer) -> Self {
        Self { options: Arc::new(options), ..self }
    }

    /// Answers a WebSocket request that `judge` admits. Its session begins when the response is
    /// sent.
    pub(super) fn open<B>(
        &self,
        mut request: Request<B>,
        judge: impl FnOnce(&Parts, &WebSocketServer) -> Result<(), HttpRefusal>,
    ) -> Result<Response<HttpBody>, HttpRefusal> {
        let upgrade = hyper::upgrade::on(&mut request);
        let parts = request.into_parts().0;
        let connect_info = parts.extensions.get::<Arc<ConnectInfo>>().cloned();
        let peer = ConnectInfo::peer_of(&parts.extensions).cloned();
        let limits = self.policy.limits();
        let charge = |cost: f64| match (&connect_info, &peer, &self.shared.groups) {
            (Some(connect_info), ..) => drop(connect_info.account.charge(cost, limits)),
            (None, Some(peer), Some(groups)) => drop(groups.attach(peer).charge(cost, Instant::now())),
            _ => {}
        };
        let refused = |refusal: HttpRefusal| {
            charge(refusal.cost(limits));
            Err(refusal)
        };
        if !self.shared.stage.borrow().serves() {
            return refused(HttpRefusal::ShuttingDown);
        }
        if let Err(refusal) = judge(&parts, &self.options) {
            return refused(refusal);
        }
        let agreed = match websocket::agree(&parts, &self.options) {
            Ok(agreed) => agreed,
            Err(refusal) => {
                charge(limits.cost_of_error);
                return Ok(not_agreed(refusal));
            }
        };
        let mut response = Response::new(HttpBody::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().clone_from(&agreed.headers);
        let group = match self.admit(connect_info.as_deref(), peer.as_ref()) {
            Ok(group) => group,
            Err(refusal) => return refused(refusal),
        };
        self.begin(upgrade, agreed, parts, connect_info, group);
        Ok(response)
    }

    /// A connection of this server is counted already, and passes its group membership on. One of
    /// another server counts from here on.
    fn admit(
        &self,
        connect_info: Option<&ConnectInfo>,
        peer: Option<&Endpoint>,
    ) -> Result<Membership, HttpRefusal> {
        if let Some(connect_info) = connect_info {
            connect_info.account.check(self.policy.limits())?;
            return Ok(connect_info.account.hand_over());
        }
        let open = self.shared.connections_open();
        let limit = self.shared.connections();
        if open >= limit {
            return Err(HttpRefusal::ServerFull(ServerFull { open, limit }));
        }
        match (&self.shared.groups, peer) {
            (Some(groups), Some(peer)) => Ok(groups.admit(peer)?),
            _ => Ok(Membership::default()),
        }
    }

    fn begin(
        &self,
        upgrade: OnUpgrade,
        agreed: Agreed,
        parts: Parts,
        connect_info: Option<Arc<ConnectInfo>>,
        group: Membership,
    ) {
        let Self { shared, policy, options } = self.clone();
        let pending = PendingConnection::new(&shared);
        tokio::spawn(async move {
            let peer = ConnectInfo::peer_of(&parts.extensions).cloned().unwrap_or(Endpoint::MEMORY);
            let upgraded =
                policy.within_handshake_timeout(async { upgrade.await.map_err(std::io::Error::other) });
            let upgraded = match upgraded.await {
                Ok(upgraded) => upgraded,
                Err(error) => {
                    tracing::debug!(
                        rpc.system.name = "jsonrpc", network.peer.address = %peer, error = %brief(chain(&error)),
                        "a WebSocket was agreed on, and has not come about"
                    );
                    return;
                }
            };
            // On a connection of this server the layers of hyper are removed.
            let (io, read): (Box<dyn Io>, Bytes) = match downcast::<TokioIo<TrackedIo>>(upgraded) {
                Ok(parts) => (parts.io.into_inner().into_inner(), parts.read_buf),
                Err(upgraded) => (Box::new(Plain::new(TokioIo::new(upgraded))), Bytes::new()),
            };
            let parts = websocket::of_session(parts);
            let extensions = match &connect_info {
                Some(connect_info) => connect_info.extensions.for_request(parts),
                None => Extensions::of_http(parts),
            };
            let connection = Connection { extensions, ..Connection::over(io, peer) };
            let connection = websocket::upgraded(connection, agreed, read.into(), &options);
            shared.begin_session(connection, group, &policy);
            // Only once the session is counted.
            drop(pending);
        });
    }
}

fn not_agreed(refusal: websocket::Refusal) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(Bytes::from(refusal.text + "\n")));
    *response.status_mut() = refusal.status;
    *response.headers_mut() = *refusal.headers;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl fmt::Debug for WebSocketUpgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrades").finish_non_exhaustive()
    }
}
