//! Requests that are turned down: what they are answered.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::head;
use crate::transport::{Io, RefusedHandshake};

/// How much of what the peer goes on sending is read. Closing a socket with unread bytes has TCP throw away what the peer was told.
const DISCARDED: u64 = 64 << 10;

/// Why a request is turned down, as HTTP says it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// For a person to read.
    pub(crate) text: String,
    /// What has to be said besides.
    pub(crate) headers: Box<HeaderMap>,
    /// Whether there is a request, and not something else in its place.
    is_of_a_request: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Box::default(), is_of_a_request: true }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Of what is no request.
    pub(super) fn unreadable(status: StatusCode, text: String) -> Self {
        Self { is_of_a_request: false, ..Self::new(status, text) }
    }

    /// As it is sent over HTTP/1.1.
    fn to_bytes(&self) -> Vec<u8> {
        let Self { status, text, headers, .. } = self;
        let reason = status.canonical_reason().unwrap_or_default();
        let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        head::put(&mut answer, "Connection", "close");
        head::put(&mut answer, "Content-Type", "text/plain; charset=utf-8");
        head::put(&mut answer, "Content-Length", (text.len() + 1).to_string());
        for (name, value) in &**headers {
            head::put(&mut answer, name, value);
        }
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(text.as_bytes());
        answer.push(b'\n');
        answer
    }

    /// Tells the peer, and says what it was told: of a request that was read,
    /// [`RefusedHandshake`].
    pub(super) async fn tell(self, mut io: Box<dyn Io>) -> io::Error {
        let told = async {
            io.write_all(&self.to_bytes()).await?;
            io.shutdown().await?;
            tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await
        };
        // Whether the peer has heard it makes no difference.
        drop(told.await);
        let Self { status, text, is_of_a_request, .. } = self;
        let told = format!("it was answered {}: {text}", status.as_u16());
        match is_of_a_request {
            true => io::Error::new(io::ErrorKind::InvalidData, RefusedHandshake(told)),
            false => io::Error::new(io::ErrorKind::InvalidData, told),
        }
    }
}
