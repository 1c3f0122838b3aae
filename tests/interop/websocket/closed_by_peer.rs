//! Every way in which a peer ends a WebSocket is an end: the cause says how, and what was in flight ends with it.

use std::time::Duration;

use rpc::{CallError, CloseReason};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    peer::{Library, Peer},
    road::{Ends, Keys, Road, patient},
};
use crate::driven::soon;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `close()` of browsers: a Close frame without a code.
    Close,
    Normal,
    Own,
    /// The socket is destroyed.
    Terminate,
    Reset,
    /// The end of the stream of bytes, and the peer goes on to read.
    End,
    /// What the connection belongs to is closed.
    Leave,
    Kill,
}

impl Way {
    /// Those that a library has. The last one leaves no process.
    fn of(library: Library, road: Road) -> Vec<Self> {
        use Way::{Close, End, Kill, Leave, Normal, Own, Reset, Terminate};
        let mut ways = match library {
            Library::Undici | Library::Chromium => vec![Close, Normal, Own, Kill],
            Library::Ws | Library::Websockets => vec![Close, Normal, Own, Terminate, Reset, End, Kill],
            // A code is always there.
            Library::Aiohttp => vec![Normal, Own, Terminate, Reset, End, Leave, Kill],
        };
        // Node.js resets no socket that TLS is on, and Python's TLS has no half an end.
        ways.retain(|way| *way != Reset || !(library == Library::Ws && road.is_secure()));
        ways.retain(|way| *way != End || !(library.is_python() && road.is_secure()));
        ways.retain(|way| *way != Leave || Road::CLIENTS.contains(&road));
        ways
    }

    async fn go(self, mut peer: Peer) -> Option<Peer> {
        let (command, args) = match self {
            Self::Close => ("close", json!([])),
            Self::Normal => ("close", json!([1000])),
            Self::Own => ("close", json!([4001, "own"])),
            Self::Terminate => ("terminate", json!([])),
            Self::Reset => ("reset", json!([])),
            Self::End => ("end", json!([])),
            Self::Leave => ("leave", json!([])),
            Self::Kill => {
                peer.kill().await;
                return None;
            }
        };
        peer.run(command, args).await;
        Some(peer)
    }

    /// Whether the session ended as it had to.
    fn is_told_by(self, cause: &CloseReason) -> bool {
        let (code, reason) = match cause {
            CloseReason::PeerClosed { code, reason } => (*code, reason.as_str()),
            // The peer's system says that it has not taken all that came, by a reset.
            CloseReason::Io(_) => {
                return matches!(self, Self::Terminate | Self::Reset | Self::Leave | Self::Kill);
            }
            _ => return false,
        };
        match self {
            Self::Close => (code, reason) == (1005, ""),
            Self::Normal => (code, reason) == (1000, ""),
            Self::Own => (code, reason) == (4001, "own"),
            Self::Terminate | Self::End | Self::Leave | Self::Kill => (code, reason) == (1006, ""),
            Self::Reset => false,
        }
    }

    /// What the peer's own API says of it.
    fn seen_by(self, library: Library, road: Road) -> Value {
        match self {
            Self::Close => json!({"code": 1005, "reason": "", "clean": true}),
            Self::Normal => json!({"code": 1000, "reason": "", "clean": true}),
            // It shows no reason but that of a Close which came first, and its server forgets the code of its own.
            Self::Own if library == Library::Aiohttp => {
                let code = if Road::CLIENTS.contains(&road) { 4001 } else { 1000 };
                json!({"code": code, "reason": "", "clean": true})
            }
            Self::Own => json!({"code": 4001, "reason": "own", "clean": true}),
            _ => json!({"code": 1006, "reason": "", "clean": false}),
        }
    }
}

/// What this side does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// It has a call of its own, too.
    Calls,
    /// It has more requests than it works on at once, and reads nothing.
    Full,
    /// It has more to send than may wait, to a peer that does not read, and reads nothing.
    Unread,
    /// It shuts down, and waits for the request.
    Draining,
}

/// What is in flight when the peer goes.
pub(super) struct InFlight(Option<JoinHandle<Result<Value, CallError>>>);

impl InFlight {
    /// A call in each direction.
    pub(super) async fn begin(peer: &mut Peer, ends: &Ends) -> Self {
        peer.run("begin", json!(["wait"])).await;
        soon(ends.gate.until(|gate| gate.waiting() == 1)).await;
        let session = ends.session.clone();
        let call = tokio::spawn(async move { session.call::<Value>("wait", ()).await });
        // Behind it: when it is answered, the other has arrived.
        soon(ends.session.call::<Value>("echo", ("",)).into_future()).await.expect("the peer lives");
        Self(Some(call))
    }

    /// Requests of the peer's only, where nothing is read.
    async fn begin_unread(peer: &mut Peer, ends: &Ends, load: Load) -> Self {
        peer.run("begin", json!(["wait"])).await;
        soon(ends.gate.until(|gate| gate.waiting() == 1)).await;
        match load {
            Load::Calls => {}
            Load::Full => {
                for _ in 0..3 {
                    peer.run("begin", json!(["wait"])).await;
                }
            }
            Load::Unread => {
                peer.run("pause", json!([])).await;
                for _ in 0..2 {
                    peer.run("begin", json!(["long", 9_000_000])).await;
                }
                let limit = ends.session.limits().outgoing_bytes;
                soon(async {
                    while ends.session.statistics().bytes_unsent < limit {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
            }
            Load::Draining => {
                let server = ends.server.clone().expect("it is ours");
                drop(tokio::spawn(async move { server.shutdown().await }));
            }
        }
        Self(None)
    }

    /// Gives the cause, once the session has ended, and with it all that was in flight.
    pub(super) async fn have_ended(self, ends: &Ends) -> CloseReason {
        let cause = soon(ends.session.closed()).await;
        assert_eq!((ends.gate.dropped(), ends.gate.waiting()), (1, 0), "the handler is dropped");
        assert_eq!((ends.session.requests_in_flight(), ends.session.calls_in_flight()), (0, 0));
        assert_eq!(ends.counted(), 0);
        if let Some(call) = self.0 {
            match soon(call).await.expect("no panic") {
                Err(CallError::Closed { reason, .. }) => assert_eq!(reason.to_string(), cause.to_string()),
                other => panic!("the call ended with {other:?}"),
            }
        }
        cause
    }
}

pub(super) async fn it_ends(mut peer: Peer, keys: &Keys, road: Road, way: Way, load: Load) -> Option<Peer> {
    let mut limits = patient();
    match load {
        Load::Full => limits.requests_in_flight = 1,
        // An answer to its close cannot be sent.
        Load::Unread => limits.close_timeout = Some(Duration::from_millis(100)),
        Load::Calls | Load::Draining => {}
    }
    let ends = road.open(&mut peer, keys, limits).await;
    println!("{way:?} {load:?}");
    let in_flight = match load {
        Load::Calls => InFlight::begin(&mut peer, &ends).await,
        _ => InFlight::begin_unread(&mut peer, &ends, load).await,
    };
    let peer = way.go(peer).await;
    let cause = in_flight.have_ended(&ends).await;
    let is_told = match load {
        Load::Draining => matches!(cause, CloseReason::Shutdown),
        // The reset fails a write, and is seen as a hang-up.
        Load::Unread if way == Way::Reset => Way::Terminate.is_told_by(&cause),
        _ => way.is_told_by(&cause),
    };
    assert!(is_told, "{cause:?}");
    let mut peer = peer?;
    // What does not read does not learn that its close was answered.
    if load == Load::Unread {
        return Some(peer);
    }
    assert_eq!(peer.run("ended", json!([])).await, way.seen_by(peer.library, road));
    Some(peer)
}

async fn each_way_is_an_end(library: Library) {
    let keys = Keys::new();
    let mut peer = Peer::start(library, &keys).await;
    for road in Road::of(&peer) {
        for way in Way::of(library, road) {
            peer = match it_ends(peer, &keys, road, way, Load::Calls).await {
                Some(peer) => peer,
                None => Peer::start(library, &keys).await,
            };
        }
    }
}

#[tokio::test]
async fn each_way_in_which_ws_closes_is_an_end() {
    each_way_is_an_end(Library::Ws).await;
}

#[tokio::test]
async fn each_way_in_which_node_itself_closes_is_an_end() {
    each_way_is_an_end(Library::Undici).await;
}

#[tokio::test]
async fn each_way_in_which_aiohttp_closes_is_an_end() {
    each_way_is_an_end(Library::Aiohttp).await;
}

#[tokio::test]
async fn each_way_in_which_websockets_closes_is_an_end() {
    each_way_is_an_end(Library::Websockets).await;
}

#[tokio::test]
async fn each_way_is_an_end_where_nothing_is_read() {
    let keys = Keys::new();
    for library in Library::PROCESSES {
        let mut peer = Peer::start(library, &keys).await;
        for load in [Load::Full, Load::Unread, Load::Draining] {
            // Where the program has no say in what is read.
            if load == Load::Unread && library == Library::Undici {
                continue;
            }
            for way in Way::of(library, Road::Ws) {
                peer = match it_ends(peer, &keys, Road::Ws, way, load).await {
                    Some(peer) => peer,
                    None => Peer::start(library, &keys).await,
                };
            }
        }
    }
}
