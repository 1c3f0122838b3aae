//! What peers are told when this side ends a WebSocket: by their own APIs.

use rpc::{CallError, CloseReason};
use serde_json::{Value, json};

use super::{
    peer::{Library, Peer},
    road::{Ends, Keys, Road, patient},
};
use crate::driven::soon;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Close,
    Shutdown,
    Abort,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Close, Self::Shutdown, Self::Abort];

    fn go(self, ends: &Ends) {
        match (self, &ends.server) {
            (Self::Shutdown, Some(server)) => {
                let server = server.clone();
                drop(tokio::spawn(async move { server.shutdown().await }));
            }
            (Self::Abort, _) => ends.session.abort(),
            _ => ends.session.start_close(),
        }
    }

    const fn is_told_by(self, cause: &CloseReason) -> bool {
        matches!(
            (self, cause),
            (Self::Close, CloseReason::Local)
                | (Self::Shutdown, CloseReason::Shutdown)
                | (Self::Abort, CloseReason::Aborted)
        )
    }

    fn seen_by_the_peer(self) -> Value {
        let (code, reason, is_clean) = match self {
            Self::Close => (1000, "", true),
            Self::Shutdown => (1001, "the server is shutting down", true),
            Self::Abort => (1006, "", false),
        };
        json!({"code": code, "reason": reason, "clean": is_clean})
    }
}

pub(super) async fn the_peer_is_told(peer: &mut Peer, keys: &Keys, road: Road, way: Way) {
    let ends = road.open(peer, keys, patient()).await;
    println!("{way:?}");
    let session = ends.session.clone();
    let call = tokio::spawn(async move { session.call::<Value>("wait", ()).await });
    ends.work(peer).await;
    way.go(&ends);

    assert_eq!(peer.run("ended", json!([])).await, way.seen_by_the_peer());
    let cause = soon(ends.session.closed()).await;
    assert!(way.is_told_by(&cause), "{cause:?}");
    assert_eq!((ends.counted(), ends.session.calls_in_flight()), (0, 0));
    match soon(call).await.expect("no panic") {
        Err(CallError::Closed { reason, .. }) => assert_eq!(reason.to_string(), cause.to_string()),
        other => panic!("the call ended with {other:?}"),
    }
}

#[tokio::test]
async fn peers_are_told_why_we_close() {
    let keys = Keys::new();
    for library in Library::PROCESSES {
        let mut peer = Peer::start(library, &keys).await;
        for road in Road::of(&peer) {
            for way in Way::ALL {
                if way != Way::Shutdown || Road::CLIENTS.contains(&road) {
                    the_peer_is_told(&mut peer, &keys, road, way).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn both_may_close_at_once() {
    let keys = Keys::new();
    for library in Library::PROCESSES {
        let mut peer = Peer::start(library, &keys).await;
        for road in [Road::Ws, Road::Https] {
            let ends = road.open(&mut peer, &keys, patient()).await;
            // The peer may have read this one's Close before it sends its own, or not.
            ends.session.start_close();
            peer.run("close", json!([1000])).await;
            let ended = peer.run("ended", json!([])).await;
            assert_eq!(ended, json!({"code": 1000, "reason": "", "clean": true}));
            let cause = soon(ends.session.closed()).await;
            assert!(
                matches!(cause, CloseReason::Local | CloseReason::PeerClosed { code: 1000, .. }),
                "{cause:?}"
            );
            assert_eq!(ends.counted(), 0);
        }
    }
}

/// How a peer breaks the rules, what it is told, and the libraries that can be made to.
#[rustfmt::skip]
const BROKEN: [(&str, u64, &[Library]); 5] = [
    ("mask", 1002, &[Library::Ws]),
    ("opcode", 1002, &Library::FULL),
    ("text", 1007, &Library::FULL),
    ("unfinished text", 1007, &[Library::Ws]),
    ("empty fragments", 1008, &Library::CUTTING),
];

async fn the_peer_is_told_which_rule_it_broke(
    peer: &mut Peer,
    keys: &Keys,
    road: Road,
    (how, code): (&str, u64),
) {
    let ends = road.open(peer, keys, patient()).await;
    println!("{how}");
    peer.run("begin", json!(["wait"])).await;
    soon(ends.gate.until(|gate| gate.waiting() == 1)).await;
    peer.run("misbehave", json!([how])).await;

    let ended = peer.run("ended", json!([])).await;
    // Whether it has answered as well, and so calls the end a clean one, depends on what it was sending.
    assert_eq!(ended["code"], code, "{ended}");
    assert_ne!(ended["reason"], "", "{ended}");
    let cause = soon(ends.session.closed()).await;
    assert!(matches!(cause, CloseReason::Frame(_)), "{cause:?}");
    assert_eq!((ends.gate.dropped(), ends.counted()), (1, 0));
}

#[tokio::test]
async fn peers_are_told_which_rule_they_broke() {
    let keys = Keys::new();
    for library in Library::PROCESSES {
        let mut peer = Peer::start(library, &keys).await;
        for road in Road::of(&peer) {
            for (how, code, libraries) in BROKEN {
                // Rubbish costs a client nothing by default.
                if libraries.contains(&library) {
                    the_peer_is_told_which_rule_it_broke(&mut peer, &keys, road, (how, code)).await;
                }
            }
        }
    }
}
