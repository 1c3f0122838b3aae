//! Connections for which there is no place: their first request is answered so.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures::future::poll_fn;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;

use super::{Http, body::HttpBody, watch::Watch, watched::Watched};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id},
    transport::Io,
};

impl Http {
    /// Answers the first request with `error`, and no other one. A client that is answered before it has asked takes that for no answer
    /// at all. Waits no longer than it is let.
    pub(in crate::server) async fn refuse(&self, io: Box<dyn Io>, error: &ErrorObject) {
        let mut body = Vec::new();
        self.terms.settings.version.put_error(&mut body, Id::NULL, error);
        let status = match error.code() {
            ErrorCode::EXCESSIVE_RESOURCE_USAGE => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = Bytes::from(body);
        let (watch, is_answered) = (Watch::new(), AtomicBool::new(false));
        // What the peer goes on sending is read, so that it can read its answer.
        watch.leaves_unread();
        let service = service_fn(|request: Request<Incoming>| {
            is_answered.store(true, Relaxed);
            let response = response(status, body.clone(), request.version());
            async { Ok::<_, Infallible>(response) }
        });
        let io = TokioIo::new(Watched::new(io, Arc::clone(&watch)));
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut is_stopping = false;
        let ended = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            if ended.is_pending() && !is_stopping && is_answered.load(Relaxed) {
                is_stopping = true;
                // HTTP/2 says which streams are answered, and takes no further ones.
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(cx);
            }
            ended
        });
        // Whether the peer has heard it makes no difference.
        drop(ended.await);
    }
}

fn response(status: StatusCode, body: Bytes, version: Version) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // HTTP/2 has no such header.
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
