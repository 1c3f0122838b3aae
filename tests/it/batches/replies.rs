//! What peers answer batches with.

use std::io::Write as _;

use rpc::{
    BatchError, CallError, Limits, OutgoingBatch, Protocol, ProtocolError, ReplyError, Session,
    jsonrpc::{Body, Connection, Event},
};
use rpc_tests::{Raw, echo, is_pending, settled};
use tokio::{io::DuplexStream, task::JoinHandle};

use super::{batch, caller, error};

type Outcomes = Vec<Result<i64, CallError>>;

/// A batch under way, whose calls have the ids from the first one on that no call had yet.
async fn sent(peer: &mut Raw<DuplexStream>, session: &Session, calls: usize) -> JoinHandle<Outcomes> {
    let session = session.clone();
    let batch = tokio::spawn(async move {
        let calls: Vec<_> = (0..calls).map(|_| session.call::<i64>("m", ())).collect();
        session.batch(calls).await.expect("it was sent")
    });
    assert!(peer.line().await.expect("the batch").starts_with('['));
    batch
}

fn ok(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id}}}"#)
}

/// Each outcome in a word: the value, the code of an error, `-` for a protocol error.
async fn ended(batch: JoinHandle<Outcomes>) -> Vec<String> {
    let outcomes = batch.await.expect("no panic");
    let word = |outcome: Result<i64, CallError>| match outcome {
        Ok(value) => value.to_string(),
        Err(CallError::Rpc(error)) => format!("code {}", error.code().value()),
        Err(CallError::Protocol { source: ProtocolError::MalformedReply { .. }, .. }) => "-".to_owned(),
        Err(other) => panic!("{other}"),
    };
    outcomes.into_iter().map(word).collect()
}

/// The same, where the language is spoken without a session.
fn ended_by_hand(replies: &[&str]) -> [String; 3] {
    let mut connection = Connection::new(Protocol::V2);
    let (mut text, mut out, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    let body = Body::write(&mut text, "m", |out| out.write_all(b"[]")).expect("memory takes it");
    connection.batch(&mut out, (0..3).map(|n| (body, Some(n)))).expect("2.0 has batches");
    let mut ended = ["waits", "waits", "waits"].map(str::to_owned);
    for reply in replies {
        let mut events = connection.events(reply.as_bytes());
        while let Some(event) = events.next(&mut connection, &mut answer) {
            if let Event::Reply { call, reply } = event {
                ended[call] = match reply.decode::<i64>() {
                    Ok(value) => value.to_string(),
                    Err(ReplyError::Error(error)) => format!("code {}", error.code().value()),
                    Err(_) => "-".to_owned(),
                };
            }
        }
    }
    assert!(answer.is_empty(), "replies are not answered");
    assert_eq!(connection.len(), ended.iter().filter(|end| *end == "waits").count());
    ended
}

/// The replies, and how the calls of one batch of three end.
async fn three_end(replies: &[&str], expected: [&str; 3]) {
    assert_eq!(ended_by_hand(replies), expected, "by hand: {replies:?}");
    for limits in [Limits::client(), Limits::server()] {
        let (mut peer, session) = Raw::peer_of((), limits);
        let batch = sent(&mut peer, &session, 3).await;
        for reply in replies {
            peer.send(reply).await;
        }
        assert_eq!(ended(batch).await, expected, "{replies:?}");
        assert_eq!(session.calls_in_flight(), 0);
        // Replies are not answered, whatever they are.
        peer.expect_silence().await;
        assert!(!session.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn replies_find_their_calls_in_any_order() {
    let (a, b, c) = (ok(1), ok(2), ok(3));
    for order in [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a]] {
        three_end(&[&batch(order)], ["1", "2", "3"]).await;
        // One by one, too.
        three_end(&order.map(String::as_str), ["1", "2", "3"]).await;
        three_end(&[&batch([order[0]]), order[1], order[2]], ended_first(order[0])).await;
    }
    three_end(&[&c, &batch([&a, &b])], ["1", "2", "3"]).await;
}

/// An array is all there will be of a batch: what it leaves out has ended.
fn ended_first(first: &str) -> [&'static str; 3] {
    if first.contains(r#""id":1"#) {
        ["1", "-", "-"]
    } else if first.contains(r#""id":2"#) {
        ["-", "2", "-"]
    } else {
        ["-", "-", "3"]
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_may_be_an_error() {
    let replies = batch([ok(3), error(1, -7, "no"), ok(2)]);
    three_end(&[&replies], ["code -7", "2", "3"]).await;
}

/// What is wrong with a reply in the usual order is found when it is decoded: a batch that is to fail does not wait for that.
#[tokio::test(start_paused = true)]
async fn an_untyped_batch_that_is_to_fail_finds_an_error_behind_a_result() {
    for reply in [
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-7,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":3,"error":{"code":-7,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":3]}"#,
    ] {
        for reply in [reply.to_owned(), batch([reply])] {
            let (mut peer, session) = caller();
            let calls = OutgoingBatch::new().call("m", &()).expect("no parameters");
            let mut sent = Box::pin(session.try_batch(calls).into_future());
            assert!(is_pending(&mut sent));
            assert!(peer.line().await.is_some());
            peer.send(&reply).await;
            // What cannot be read at all is no reply.
            peer.send("[]").await;
            let outcome = sent.await;
            assert!(matches!(outcome, Err(BatchError::Member { index: 0, .. })), "{reply}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_error_for_the_whole_ends_every_call() {
    let refused = ["code -32600"; 3];
    three_end(&[&error("null", -32600, "no batches, please")], refused).await;
    three_end(&[r#"{"error":{"code":-32600,"message":"m"},"id":null,"jsonrpc":"2.0"}"#], refused).await;
    three_end(
        &[r#"{"jsonrpc":"2.0","id":null,"result":null,"error":{"code":-32600,"message":"m"}}"#],
        refused,
    )
    .await;
    // Not even with an id.
    three_end(&[r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"m"}}"#], refused).await;
    // As the only member of an array.
    three_end(&[&batch([error("null", -32600, "m")])], refused).await;
    // Calls that were answered before keep their replies.
    three_end(&[&ok(2), &error("null", -32600, "m")], ["code -32600", "2", "code -32600"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_array_ends_every_call() {
    three_end(&["[]"], ["-", "-", "-"]).await;
    three_end(&[" [ ] "], ["-", "-", "-"]).await;
    three_end(&[&ok(1), "[]"], ["1", "-", "-"]).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_an_array_leaves_out_end() {
    three_end(&[&batch([ok(2)])], ["-", "2", "-"]).await;
    three_end(&[&batch([ok(3), ok(1)])], ["1", "-", "3"]).await;
    three_end(&[&batch([error(1, -7, "no")])], ["code -7", "-", "-"]).await;
    // What an error without an id was meant for nobody knows: it completes no call of those that were answered, nor others.
    three_end(&[&batch([ok(1), error("null", -7, "?"), ok(3)])], ["1", "-", "3"]).await;
    three_end(&[&batch([error("null", -7, "?"), ok(1)])], ["1", "-", "-"]).await;
}

#[tokio::test(start_paused = true)]
async fn ids_of_other_types_and_strangers_in_an_array_hide_nothing() {
    let strangers = [r#""1""#, "1.0", "true", "[1]", "null", "0", "99", "-1", "18446744073709551616"]
        .map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":7}}"#));
    for stranger in &strangers {
        three_end(&[&batch([stranger, &ok(2)])], ["-", "2", "-"]).await;
        three_end(&[&batch([&ok(2), stranger])], ["-", "2", "-"]).await;
    }
    let all: Vec<String> = strangers.iter().cloned().chain([ok(3)]).collect();
    three_end(&[&batch(all)], ["-", "-", "3"]).await;
    // Doubled, malformed and rubbish.
    three_end(&[&batch([ok(1), ok(1), ok(2)])], ["1", "2", "-"]).await;
    three_end(&[&batch([r#"{"jsonrpc":"2.0","id":1,"error":5}"#, &ok(2)])], ["-", "2", "-"]).await;
    three_end(&[&batch([r#"{"jsonrpc":"2.0","result":5}"#, &ok(2)])], ["-", "2", "-"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_array_of_strangers_ends_nothing() {
    let (mut peer, session) = caller();
    let waiting = sent(&mut peer, &session, 2).await;
    peer.send(&batch([ok(7), ok(8)])).await;
    settled().await;
    assert_eq!(session.calls_in_flight(), 2);
    peer.send(&batch([ok(1), ok(2)])).await;
    assert_eq!(ended(waiting).await, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn two_batches_in_flight_do_not_mix() {
    // The second one is answered first, and each leaves a call out.
    let (mut peer, session) = caller();
    let first = sent(&mut peer, &session, 2).await;
    let second = sent(&mut peer, &session, 3).await;
    peer.send(&batch([ok(5), ok(3)])).await;
    assert_eq!(ended(second).await, ["3", "-", "5"]);
    assert_eq!(session.calls_in_flight(), 2, "the first one is as it was");
    peer.send(&batch([ok(2)])).await;
    assert_eq!(ended(first).await, ["-", "2"]);

    // What means a batch as a whole means the oldest.
    let (mut peer, session) = caller();
    let first = sent(&mut peer, &session, 2).await;
    let second = sent(&mut peer, &session, 2).await;
    let third = sent(&mut peer, &session, 2).await;
    peer.send(&error("null", -7, "no")).await;
    assert_eq!(ended(first).await, ["code -7", "code -7"]);
    peer.send("[]").await;
    assert_eq!(ended(second).await, ["-", "-"]);
    assert_eq!(session.calls_in_flight(), 2);
    peer.send(&batch([ok(5), ok(6)])).await;
    assert_eq!(ended(third).await, ["5", "6"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_within_the_answer_to_one_batch_is_not_the_answer_to_another() {
    let (mut peer, session) = caller();
    let first = sent(&mut peer, &session, 2).await;
    let second = sent(&mut peer, &session, 2).await;
    for replies in [[ok(3), error("null", -7, "?")], [error("null", -7, "?"), ok(1)]] {
        peer.send(&batch(replies)).await;
    }
    assert_eq!(ended(second).await, ["3", "-"]);
    assert_eq!(ended(first).await, ["1", "-"]);
}

#[tokio::test(start_paused = true)]
async fn one_array_may_answer_two_batches() {
    let (mut peer, session) = caller();
    let first = sent(&mut peer, &session, 2).await;
    let second = sent(&mut peer, &session, 2).await;
    peer.send(&batch([ok(4), ok(1)])).await;
    assert_eq!(ended(first).await, ["1", "-"]);
    assert_eq!(ended(second).await, ["-", "4"]);
}

#[tokio::test(start_paused = true)]
async fn single_calls_beside_a_batch_are_answered_in_an_array_or_outside() {
    let (mut peer, session) = caller();
    let mut single = Box::pin(session.call::<i64>("s", ()).into_future());
    assert!(is_pending(&mut single));
    assert!(peer.line().await.is_some());
    let waiting = sent(&mut peer, &session, 2).await;
    peer.send(&batch([ok(1), ok(3)])).await;
    assert_eq!(ended(waiting).await, ["-", "3"]);
    assert_eq!(single.await.expect("a reply"), 1);

    let mut single = Box::pin(session.call::<i64>("s", ()).into_future());
    assert!(is_pending(&mut single));
    assert!(peer.line().await.is_some());
    let waiting = sent(&mut peer, &session, 1).await;
    peer.send("[]").await;
    assert_eq!(ended(waiting).await, ["-"]);
    assert!(is_pending(&mut single), "it is in no batch");
}

#[tokio::test(start_paused = true)]
async fn an_array_may_answer_us_and_call_us() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let waiting = sent(&mut peer, &session, 2).await;
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["theirs"]}"#;
    peer.send(&batch([&ok(2), request, &ok(1)])).await;
    assert_eq!(ended(waiting).await, ["1", "2"]);
    peer.expect(r#"[{"jsonrpc":"2.0","id":1,"result":["theirs"]}]"#).await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_long_batch_of_ours_may_be_as_long() {
    let mut limits = Limits::client();
    limits.batch_length = 10;
    let (mut peer, session) = Raw::peer_of((), limits);
    let waiting = sent(&mut peer, &session, 150).await;
    peer.send(&batch((1..=150).map(ok))).await;
    assert_eq!(ended(waiting).await, (1..=150).map(|id| id.to_string()).collect::<Vec<_>>());
    peer.expect_silence().await;
}

/// Nobody gets a fifty-fold echo of rubbish by putting one reply in front of it.
#[tokio::test(start_paused = true)]
async fn an_array_of_rubbish_is_not_an_answer_for_beginning_like_one() {
    let (mut peer, session) = caller();
    let waiting = sent(&mut peer, &session, 2).await;
    let rubbish = format!("[{}{}]", ok(1), ",1".repeat(400_000));
    peer.send(&rubbish).await;
    // It might be an answer, so it gets none.
    peer.expect_silence().await;
    peer.send(&batch([ok(2), ok(1)])).await;
    assert_eq!(ended(waiting).await, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_batch_that_was_given_up_is_not_answered_however_long_it_is() {
    let (mut peer, session) = Raw::peer_with(|connector| connector.cancellation(None)).await;
    let waiting = sent(&mut peer, &session, 150).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    peer.send(&batch((1..=150).map(ok))).await;
    peer.expect_silence().await;
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_answered_times_out() {
    let (mut peer, session) = Raw::peer_with(|connector| connector.cancellation(None)).await;
    let outcomes = sent(&mut peer, &session, 3).await.await.expect("no panic");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(CallError::Timeout(_)))), "{outcomes:?}");
    assert_eq!(session.calls_in_flight(), 0);
    // It is not the oldest batch any more.
    let next = sent(&mut peer, &session, 1).await;
    peer.send(&error("null", -7, "no")).await;
    assert_eq!(ended(next).await, ["code -7"]);
}
