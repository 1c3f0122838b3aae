//! What leaves: masks that a peer cannot foresee, and long messages in fragments.

use std::collections::HashSet;

use rpc::{
    Connector, Limits,
    transport::websocket::{WebSocketClient, WebSocketServer},
};
use rpc_tests::{
    echo,
    websocket::{BINARY, CLOSE, PING, PONG, TEXT, WsPeer, frame},
};
use tokio::io::DuplexStream;

/// The largest payload of a frame.
const FRAGMENT: usize = 65_536;

/// The masks of some hundred frames of every kind that a client sends.
async fn masks() -> Vec<[u8; 4]> {
    let with = |connector: Connector| connector.service(echo()).limits(Limits::unlimited());
    let (mut peer, session) = WsPeer::server_of(with).await;
    let mut masks = Vec::new();
    for round in 0..100 {
        session.notify("told", (round,)).await.expect("sent");
        masks.push(peer.next_masked().await.expect("a notification").1);
        peer.frame(PING, b"").await;
        masks.push(peer.next_masked().await.expect("a pong").1);
        // What leaves in one write, and is the same.
        peer.write(frame(TEXT, br#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#, false).repeat(3)).await;
        for _ in 0..3 {
            masks.push(peer.next_masked().await.expect("an answer").1);
        }
    }
    session.notify("told", ("x".repeat(10 * FRAGMENT),)).await.expect("sent");
    for _ in 0..11 {
        masks.push(peer.next_masked().await.expect("a fragment").1);
    }
    session.start_close();
    let ((first, _), mask) = peer.next_masked().await.expect("a close");
    assert_eq!(first, CLOSE);
    masks.push(mask);
    masks
}

#[tokio::test(start_paused = true)]
async fn every_frame_of_a_client_has_a_mask_of_its_own() {
    let masks = [masks().await, masks().await].concat();
    assert_eq!(masks.len(), 2 * 512);
    // Two of 1,024 are the same once in eight thousand runs, if they are random; three never are.
    let different: HashSet<_> = masks.iter().collect();
    assert!(different.len() >= masks.len() - 1, "{} of {}", different.len(), masks.len());
    for at in 0..4 {
        // 251 of the 256 values on average.
        let values: HashSet<u8> = masks.iter().map(|mask| mask[at]).collect();
        assert!(values.len() > 220, "byte {at} has {} values", values.len());
        for bit in 0..8 {
            let set = masks.iter().filter(|mask| mask[at] >> bit & 1 == 1).count();
            // Half of them, and eight times the deviation.
            assert!((384..=640).contains(&set), "bit {bit} of byte {at} is set in {set}");
        }
    }
    // Neither do they count, nor follow from those before.
    let steps: HashSet<u32> = masks
        .windows(2)
        .map(|pair| u32::from_be_bytes(pair[1]).wrapping_sub(u32::from_be_bytes(pair[0])))
        .collect();
    assert!(steps.len() >= masks.len() - 3, "{}", steps.len());
}

/// A session of either side that sends texts, or binary messages, and its peer.
async fn open(is_server: bool, is_binary: bool) -> (WsPeer<DuplexStream>, rpc::Session) {
    let (server, client) = (WebSocketServer::new(), WebSocketClient::new());
    let (peer, connector) = match (is_server, is_binary) {
        (true, false) => WsPeer::client_before(1_000, &server).await,
        (true, true) => WsPeer::client_before(1_000, &server.binary()).await,
        (false, false) => WsPeer::server_before(&client).await,
        (false, true) => WsPeer::server_before(&client.binary()).await,
    };
    let connector = connector.service(echo()).limits(Limits::unlimited());
    (peer, connector.connect().await.expect("it is connected"))
}

#[tokio::test(start_paused = true)]
async fn long_messages_leave_in_fragments_that_come_together() {
    for (is_server, is_binary) in [(true, false), (true, true), (false, false), (false, true)] {
        let (mut peer, session) = open(is_server, is_binary).await;
        let around = r#"{"jsonrpc":"2.0","method":"told","params":[""]}"#.len();
        for size in [around, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, 2 * FRAGMENT, 2 * FRAGMENT + 1, 300_000] {
            // No two parts of it are the same, and characters are cut.
            let mut text: String =
                (0..).flat_map(|n| format!("€{n}").chars().collect::<Vec<_>>()).take(size / 3).collect();
            while around + text.len() > size {
                text.pop();
            }
            text += &"x".repeat(size - around - text.len());
            let message = format!(r#"{{"jsonrpc":"2.0","method":"told","params":["{text}"]}}"#);
            let sending = async { session.notify("told", (&text,)).await.expect("sent") };
            let coming = async {
                let (mut all, mut firsts) = (Vec::new(), Vec::new());
                while all.len() < size {
                    let (first, part) = peer.next().await.expect("a fragment");
                    assert!(
                        part.len() == FRAGMENT || all.len() + part.len() == size,
                        "{size}: {}",
                        part.len()
                    );
                    firsts.push(first);
                    all.extend(part);
                }
                (all, firsts)
            };
            let ((), (all, firsts)) = tokio::join!(sending, coming);
            assert!(all == message.as_bytes(), "{size}, a server: {is_server}");
            let mut expected = vec![0; size.div_ceil(FRAGMENT)];
            expected[0] = if is_binary { BINARY & 0x0f } else { TEXT & 0x0f };
            *expected.last_mut().expect("it has one") |= 0x80;
            assert_eq!(firsts, expected, "{size}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_leaves_between_fragments_and_never_within_one() {
    let (mut peer, session) = open(true, false).await;
    let text = "x".repeat(5 * FRAGMENT);
    session.notify("told", (&text,)).await.expect("sent");
    let (mut sizes, mut pongs) = (Vec::new(), Vec::new());
    while sizes.last().is_none_or(|(first, _)| first & 0x80 == 0) {
        peer.frame(PING, format!("{}", sizes.len())).await;
        let (first, payload) = peer.next().await.expect("a frame");
        match first {
            PONG => pongs.push(payload),
            _ => sizes.push((first, payload.len())),
        }
    }
    assert_eq!(sizes.len(), 6);
    assert!(sizes[..5].iter().all(|(_, size)| *size == FRAGMENT), "{sizes:?}");
    // Each ping is answered before the fragment that was begun behind it ends.
    assert!(pongs.len() >= 4, "{pongs:?}");
    assert!(pongs.iter().is_sorted(), "{pongs:?}");
}
