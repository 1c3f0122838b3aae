//! Replies over our limit are dropped as they arrive, and their calls end all the same, at once (promise 1).

use std::{ops::RangeInclusive, time::Duration};

use rpc::{
    CallError, Limits, ProtocolError, Session,
    framing::{
        ContentLengthFramer, Framer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
    },
};
use rpc_tests::{Raw, settled};
use tokio::{io::DuplexStream, time::Instant};

/// A session that takes frames of 1,000 bytes, and its peer.
async fn session(framer: impl Framer) -> (Raw<DuplexStream>, Session) {
    let mut limits = Limits::client();
    limits.frame_size = 1_000;
    Raw::peer_with(|connector| connector.limits(limits).framer(framer)).await
}

async fn send(peer: &mut Raw<DuplexStream>, framer: &impl Framer, message: &str, piece: usize) {
    let mut bytes = Vec::new();
    framer.begin(&mut bytes);
    bytes.extend_from_slice(message.as_bytes());
    framer.finish(&mut bytes, 0).expect("it fits");
    for piece in bytes.chunks(piece) {
        peer.write(piece).await;
        settled().await;
    }
}

fn is_too_large(outcome: &Result<String, CallError>, sizes: RangeInclusive<usize>) {
    match outcome {
        Err(CallError::Protocol { source: ProtocolError::ReplyTooLarge { size, limit: 1_000 }, .. }) => {
            assert!(sizes.contains(size), "{size}");
        }
        other => panic!("{other:?}"),
    }
}

async fn is_ended_by_its_reply(framer: impl Framer) {
    let long = "x\\\"]}".repeat(400);
    for piece in [1, 100, usize::MAX] {
        for reply in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{long}"}}"#),
            format!(r#"{{"result":"{long}","error":null,"id":1}}"#),
            format!(r#"{{"jsonrpc":"2.0","error":{{"code":7,"message":"{long}"}},"id":1}}"#),
            format!(r#"[{{"jsonrpc":"2.0","id":1,"result":"{long}"}}]"#),
        ] {
            let (mut peer, session) = session(framer.clone()).await;
            let start = Instant::now();
            let large = session.call::<String>("large", ());
            let (outcome, small, ()) = tokio::join!(large, session.call::<String>("small", ()), async {
                settled().await;
                send(&mut peer, &framer, &reply, piece).await;
                // What looks like a reply within something else that is dropped is none.
                let lookalike = format!(r#"{{"method":"m","params":[{{"id":2,"result":"{long}"}}]}}"#);
                send(&mut peer, &framer, &lookalike, piece).await;
                send(&mut peer, &framer, r#"{"jsonrpc":"2.0","id":2,"result":"s"}"#, piece).await;
            });
            is_too_large(&outcome, reply.len() / 2..=reply.len() + 1);
            assert_eq!(small.expect("what follows is intact"), "s", "{framer:?}");
            assert!(start.elapsed() < Duration::from_secs(30), "not by its timeout");
            assert_eq!((session.calls_in_flight(), session.statistics().errors), (0, 2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_ended_by_a_reply_over_the_limit_whatever_the_framing() {
    is_ended_by_its_reply(NewlineFramer::new()).await;
    is_ended_by_its_reply(JsonFramer::new()).await;
    is_ended_by_its_reply(ContentLengthFramer::new()).await;
    is_ended_by_its_reply(LengthPrefixedFramer::u32_be()).await;
    is_ended_by_its_reply(NetstringFramer::new()).await;
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_batch_is_ended_by_a_reply_over_the_limit() {
    let framer = NewlineFramer::new();
    let (mut peer, session) = session(framer.clone()).await;
    let calls = (0..3).map(|_| session.call::<String>("large", ())).collect::<Vec<_>>();
    let start = Instant::now();
    let (outcomes, ()) = tokio::join!(session.batch(calls), async {
        settled().await;
        let reply = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"{}"}}"#, "x".repeat(600));
        send(&mut peer, &framer, &format!("[{},{},{}]", reply(3), reply(1), reply(2)), 64).await;
    });
    for outcome in outcomes.expect("it was sent") {
        is_too_large(&outcome, 600..=2_000);
    }
    assert!(start.elapsed() < Duration::from_secs(30), "not by its timeout");
}

#[tokio::test(start_paused = true)]
async fn dropped_frames_that_answer_nothing_cost_what_they_did() {
    let framer = NewlineFramer::new();
    let (mut peer, session) = session(framer.clone()).await;
    let reply = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(1_000));
    send(&mut peer, &framer, &reply, 100).await;
    settled().await;
    assert_eq!(session.statistics().errors, 1);
}
