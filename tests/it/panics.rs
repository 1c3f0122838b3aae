//! Code of the user's that panics in a session's loop ends that session, with a reason that says so; elsewhere it ends nothing.

use std::{
    io,
    pin::Pin,
    task::{Context as Cx, Poll},
};

use bytes::{Bytes, BytesMut};
use rpc::{
    CallError, CloseReason, Connector, Limits, Session,
    framing::{CodecFramer, FrameError, Framed, Framer, NewlineFramer},
    testing,
};
use rpc_tests::{Raw, echo, settled, soon};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::codec::{Decoder, Encoder};

/// Panics where it is told to.
#[derive(Debug, Clone)]
struct Panicking {
    finding: bool,
    marking: bool,
}

impl Framer for Panicking {
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        assert!(!self.finding, "no frame today");
        NewlineFramer::new().next(unread)
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        assert!(!self.marking, "no mark today");
        NewlineFramer::new().finish(out, start)
    }
}

async fn says(session: &Session, what: &str) {
    let reason = soon(session.closed()).await;
    assert!(matches!(&reason, CloseReason::Panicked { message } if message.contains(what)), "{reason:?}");
    assert!(reason.to_string().contains(what), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_framer_that_panics_ends_its_session_and_says_so_to_every_call() {
    let framer = Panicking { finding: true, marking: false };
    let (mut peer, session) = Raw::peer_with(|connector| connector.service(echo()).framer(framer)).await;
    let call = session.call::<Value>("a", ()).into_future();
    let (called, ()) = tokio::join!(call, async {
        peer.line().await.expect("a call");
        peer.send("{}").await;
    });
    assert!(
        matches!(&called, Err(CallError::Closed { reason: CloseReason::Panicked { .. }, .. })),
        "the same reason reaches the call: {called:?}"
    );
    says(&session, "no frame today").await;
    peer.expect_end().await;
}

/// What a handle sends is framed by the task that sends it: it is that task's panic, and leaves no call behind.
#[tokio::test(start_paused = true)]
async fn a_framer_that_panics_on_a_call_panics_for_the_caller_alone() {
    let framer = Panicking { finding: false, marking: true };
    let (_peer, session) = Raw::peer_with(|connector| connector.framer(framer)).await;
    let other = session.clone();
    let panicked = tokio::spawn(async move { other.call::<Value>("a", ()).await }).await;
    assert!(panicked.expect_err("it panics").is_panic());
    settled().await;
    assert_eq!((session.calls_in_flight(), session.is_closed()), (0, false));
}

/// What the session itself appends is framed by its loop.
#[tokio::test(start_paused = true)]
async fn a_framer_that_panics_on_a_reply_ends_its_session() {
    for method in ["echo", "later"] {
        let framer = Panicking { finding: false, marking: true };
        let (mut peer, session) = Raw::peer_with(|connector| connector.service(echo()).framer(framer)).await;
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#)).await;
        says(&session, "no mark today").await;
    }
}

/// Decodes nothing.
#[derive(Debug, Clone)]
struct PanickingCodec;

impl Decoder for PanickingCodec {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, _: &mut BytesMut) -> io::Result<Option<Bytes>> {
        panic!("no {} today", "code")
    }
}

impl Encoder<Bytes> for PanickingCodec {
    type Error = io::Error;

    fn encode(&mut self, _: Bytes, _: &mut BytesMut) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_panics_ends_its_session() {
    let framer = CodecFramer::new(PanickingCodec);
    let (mut peer, session) = Raw::peer_with(|connector| connector.framer(framer)).await;
    peer.send("{}").await;
    says(&session, "no code today").await;
}

/// A stream of the application's own that panics.
struct PanickingStream(DuplexStream, bool);

impl AsyncRead for PanickingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Cx<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(!self.1, "no bytes today");
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for PanickingStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Cx<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("no room today")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_ends_its_session_on_both_sides() {
    for (reading, what) in [(true, "no bytes today"), (false, "no room today")] {
        let (_here, there) = rpc::transport::memory(64);
        let connected = Connector::over(PanickingStream(there, reading)).connect().await.expect("connected");
        let (_here, there) = rpc::transport::memory(64);
        let served = testing::session(PanickingStream(there, reading), echo(), Limits::server());
        for session in [connected, served] {
            if !reading {
                session.notify("a", ()).await.ok();
            }
            says(&session, what).await;
        }
    }
}
