//! Every way in which a peer ends a WebSocket is an end: a close with a code or without one, and the
//! end of the stream, wherever it falls. Handlers are dropped and calls end with the cause, at once.

mod at_work;
mod held_back;
mod last_replies;

use std::time::Duration;

use rpc::{CallError, CloseReason, Limits};
use rpc_tests::{
    Gate, soon,
    websocket::{BINARY, CLOSE, PING, PONG, TEXT, frame},
};
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

use super::roads::{Ends, Road};

/// How a peer ends a WebSocket.
#[derive(Debug, Clone)]
enum Way {
    /// By a close frame that holds this.
    Close(Vec<u8>),
    /// By the end of its direction, behind these bytes.
    End(Vec<u8>),
    /// By the end of both, behind these bytes.
    Gone(Vec<u8>),
}

impl Way {
    /// Takes it, right behind `before`.
    async fn take(&self, ends: &mut Ends, before: &[u8]) {
        let last = match self {
            Self::Close(payload) => frame(CLOSE, payload, ends.road.is_server()),
            Self::End(bytes) | Self::Gone(bytes) => bytes.clone(),
        };
        ends.peer.write([before, &last].concat()).await;
        match self {
            Self::Close(_) => {}
            Self::End(_) => ends.peer.finish().await,
            Self::Gone(_) => ends.hang_up(),
        }
    }

    /// What comes for it, and nothing else: a close is given back, and a ping before the end may be.
    async fn is_answered(&self, ends: &mut Ends, at: &str) {
        let mut next = ends.peer.next().await;
        match self {
            Self::Close(payload) => {
                assert_eq!(next, Some((CLOSE, payload.clone())), "{at}");
                next = ends.peer.next().await;
            }
            Self::End(_) | Self::Gone(_) if next.as_ref().is_some_and(|(first, _)| *first == PONG) => {
                next = ends.peer.next().await;
            }
            Self::End(_) | Self::Gone(_) => {}
        }
        assert_eq!(next, None, "{at}");
    }

    fn is_cause(&self, cause: &CloseReason) -> bool {
        let CloseReason::PeerClosed { code, reason } = cause else { return false };
        let (said, why) = match self {
            Self::Close(payload) => payload.split_first_chunk().unwrap_or((&[0x03, 0xed], b"")),
            Self::End(_) | Self::Gone(_) => (&[0x03, 0xee], &b""[..]),
        };
        (*code, reason.as_bytes()) == (u16::from_be_bytes(*said), why)
    }
}

fn closes() -> Vec<Way> {
    // 1000, 1001, 1011, 3000.
    let payloads: [&[u8]; 5] = [b"", b"\x03\xe8", b"\x03\xe9gone fishing", b"\x03\xf3", b"\x0b\xb8"];
    let with_reason = [&4999_u16.to_be_bytes(), "κόσμε".as_bytes()].concat();
    payloads.map(<[u8]>::to_vec).into_iter().chain([with_reason]).map(Way::Close).collect()
}

/// The end of the stream behind every byte of frames of every kind. Over sockets, behind some.
fn ends(road: Road) -> Vec<Way> {
    let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
    let fragments = [frame(0x01, b"[1"), frame(PING, b"?"), frame(0x00, b""), frame(0x80, b"]")].concat();
    let long = frame(BINARY, &[b' '; 70_000]);
    let cut = [
        frame(TEXT, b"[]"),
        frame(PING, b"ping"),
        frame(CLOSE, b"\x03\xe8bye"),
        frame(CLOSE, b""),
        fragments.clone(),
        frame(TEXT, &[b' '; 126])[..20].to_vec(),
        long[..20].to_vec(),
    ];
    let all = cut.iter().flat_map(|bytes| (1..bytes.len()).map(|end| bytes[..end].to_vec()));
    let some = all.enumerate().filter(|(nth, _)| road.is_in_memory() || nth % 19 == 0);
    // Where a ping is whole, its answer may be what fails first.
    let pinged = frame(0x01, b"[1").len() + frame(PING, b"?").len();
    let is_pinged = |bytes: &[u8]| bytes.len() >= pinged && fragments.starts_with(bytes);
    let each = some.flat_map(|(_, bytes)| {
        let gone = (!is_pinged(&bytes)).then(|| Way::Gone(bytes.clone()));
        [Some(Way::End(bytes)), gone].into_iter().flatten()
    });
    [Way::End(vec![]), Way::Gone(vec![])].into_iter().chain(each).collect()
}

fn ways(road: Road) -> Vec<Way> {
    closes().into_iter().chain(ends(road)).collect()
}

/// Nothing but the peer's end ends anything.
fn patient(requests_in_flight: usize) -> Limits {
    let mut limits = Limits::server();
    (limits.requests_in_flight, limits.idle_timeout, limits.frame_timeout) = (requests_in_flight, None, None);
    (limits.request_timeout, limits.close_timeout, limits.send_timeout) = (None, None, None);
    limits
}

/// A request whose handler waits.
fn request_to_wait(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait","params":["{}"]}}"#, "x".repeat(500))
}

fn wait(id: usize, road: Road) -> Vec<u8> {
    frame(TEXT, request_to_wait(id).as_bytes(), road.is_server())
}

type OurCall = JoinHandle<Result<Value, CallError>>;

/// A call of this side's that has left.
async fn call_of_ours(ends: &mut Ends) -> OurCall {
    let session = ends.session.clone();
    let call = tokio::spawn(async move { session.call::<Value>("ours", ()).without_timeout().await });
    let (first, _) = ends.peer.next().await.expect("a call");
    assert_eq!(first, TEXT);
    call
}

/// The session is over, and its handlers are.
async fn is_over(ends: &Ends, gate: &Gate, start: Instant, at: &str) -> CloseReason {
    soon(gate.until(|gate| gate.waiting() == 0)).await;
    let cause = soon(ends.session.closed()).await;
    assert!(
        !ends.road.is_in_memory() || start.elapsed() == Duration::ZERO,
        "{at}: after {:?}",
        start.elapsed()
    );
    assert_eq!((gate.passed(), gate.dropped()), (0, gate.entered()), "{at}");
    assert_eq!(ends.session.requests_in_flight(), 0, "{at}");
    assert!(ends.server.as_ref().is_none_or(|server| server.sessions().is_empty()), "{at}");
    cause
}
