//! Requests that ask for a WebSocket: each becomes a session of the server.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{HttpBody, arrival::Arrival};
use crate::{
    server::{handle::Shared, listener::Spoken},
    transport::{
        Connection, Endpoint, Extensions, WebAccess,
        websocket::{
            WebRequest, WebSocketServer,
            accept::{self, Agreed},
            refusal::Refusal,
        },
    },
};

/// The sessions that requests become.
#[derive(Debug, Clone)]
pub(super) struct Upgrades {
    shared: Arc<Shared>,
    options: Arc<WebSocketServer>,
}

/// Whether a request asks to become a WebSocket. Whether it may is another question.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let asks = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    request.method() == Method::GET && request.headers().get(header::UPGRADE).is_some_and(asks)
}

impl Upgrades {
    pub(super) fn new(shared: &Arc<Shared>, options: WebSocketServer) -> Self {
        Self { shared: Arc::clone(shared), options: Arc::new(options) }
    }

    /// Answers such a request, which has come by `arrival` where a listener of ours has accepted it. Pages are judged by
    /// `access`.
    pub(super) fn answer(
        &self,
        mut parts: Parts,
        upgrade: OnUpgrade,
        peer: &Endpoint,
        arrival: Option<&Arrival>,
        access: &WebAccess,
    ) -> Response<HttpBody> {
        let options = (*self.options).clone().access(access.clone());
        let asked = accept::agree(&parts.method, parts.version, &parts.uri, &parts.headers, peer, &options);
        let agreed = match asked.and_then(|agreed| self.has_place(arrival).map(|()| agreed)) {
            Ok(agreed) => agreed,
            Err(refusal) => return refused(refusal),
        };
        let mut response = Response::new(HttpBody::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().clone_from(&agreed.headers);

        // It would keep the account of the connection, which ends with this request.
        parts.extensions.remove::<Arc<Arrival>>();
        let asked = WebRequest::new(parts.uri.clone(), parts.headers.clone());
        let extensions = match arrival {
            Some(arrival) => arrival.extensions.for_request(parts),
            None => Extensions::of_http(parts),
        };
        extensions.insert(asked);
        tokio::spawn(self.clone().begin(upgrade, agreed, peer.of_websocket(), extensions));
        response
    }

    /// A connection that a listener of ours has accepted is counted already.
    fn has_place(&self, arrival: Option<&Arrival>) -> Result<(), Refusal> {
        let (open, limit) = (self.shared.connections_open(), self.shared.connections());
        let is_full = arrival.is_none() && open >= limit;
        if is_full || !self.shared.stage.borrow().serves() {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                match is_full {
                    true => {
                        format!("too many connections: {open} are open, and {limit} may be. Try again later")
                    }
                    false => "the server is shutting down".to_owned(),
                },
            ));
        }
        Ok(())
    }

    /// Begins the session as soon as the connection is free for it.
    async fn begin(self, upgrade: OnUpgrade, agreed: Agreed, peer: Endpoint, extensions: Extensions) {
        let upgraded = match self.shared.handshake_timeout() {
            None => upgrade.await,
            Some(limit) => match timeout(limit, upgrade).await {
                Ok(upgraded) => upgraded,
                Err(_) => return,
            },
        };
        match upgraded {
            Ok(upgraded) => {
                let io = TokioIo::new(upgraded);
                let connection = Connection { extensions, ..Connection::new(io, peer) };
                let connection = accept::upgraded(connection, agreed, Vec::new(), &self.options);
                let groups = self.shared.groups.as_ref();
                let group = groups.map(|groups| groups.attach(&connection.peer)).unwrap_or_default();
                self.shared.arrived(connection, group, &Spoken::Messages);
            }
            Err(error) => {
                tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %peer, %error, "an upgrade has failed");
            }
        }
    }
}

fn refused(refusal: Refusal) -> Response<HttpBody> {
    let Refusal { status, text, headers } = refusal;
    let mut response = Response::new(HttpBody::from(bytes::Bytes::from(text + "\n")));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
