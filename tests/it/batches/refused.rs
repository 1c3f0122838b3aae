//! Batches that are more, larger or other than may be.

use rpc::{CloseReason, Context, Dispatcher, ErrorObject, Limits, Params, Router};
use rpc_tests::{Gate, Raw, echo, settled, waiting};

use super::{batch, error, request, result};

/// What a session and a dispatcher answer is the same. Gives it, or nothing.
async fn answer(router: impl Fn() -> Router, limits: Limits, sent: &str) -> String {
    let (mut peer, session) = Raw::peer_of(router(), limits.clone());
    peer.send(sent).await;
    settled().await;
    peer.send(r#"{"jsonrpc":"2.0","id":"probe","method":"probe"}"#).await;
    let mut got = peer.line().await.expect("an answer, to the probe at least");
    if got.starts_with(r#"{"jsonrpc":"2.0","id":"probe""#) {
        got.clear();
    }
    assert!(!session.is_closed());
    let dispatcher = Dispatcher::builder().service(router()).limits(limits).build().expect("one service");
    let dispatched = dispatcher.dispatch(sent.as_bytes()).await.unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&dispatched), got, "a dispatcher and a session");
    got
}

#[tokio::test(start_paused = true)]
async fn a_malformed_member_is_answered_as_it_would_be_by_itself() {
    let malformed = [
        "5",
        "null",
        "\"text\"",
        "[]",
        "{}",
        r#"[{"jsonrpc":"2.0","id":1,"method":"echo"}]"#,
        r#"{"foo":"boo"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":7}"#,
        r#"{"jsonrpc":"2.0","id":[],"method":"echo"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"echo"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#,
    ];
    for member in malformed {
        // An array by itself is a batch, and not a member that is none.
        if !member.starts_with('[') {
            let alone = answer(echo, Limits::client(), member).await;
            assert_eq!(answer(echo, Limits::client(), &batch([member])).await, batch([alone]));
        }
    }
    let sent: Vec<String> =
        malformed.iter().map(|&text| text.to_owned()).chain([request(9, "echo")]).collect();
    let answer = answer(echo, Limits::client(), &batch(sent)).await;
    assert_eq!(answer.matches(r#""code":-32600"#).count(), 13, "{answer}");
    assert_eq!(answer.matches(r#""code":-32601"#).count(), 1, "{answer}");
    assert!(answer.ends_with(&format!(",{}]", result(9))), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_nested_batch_is_one_malformed_member() {
    let inner = batch([request(1, "echo"), request(2, "echo")]);
    let answer = answer(echo, Limits::client(), &batch([inner, request(3, "echo")])).await;
    assert_eq!(answer.matches("-32600").count(), 1, "{answer}");
    assert!(answer.starts_with(r#"[{"jsonrpc":"2.0","id":null,"error":"#), "{answer}");
    assert!(answer.ends_with(&format!(",{}]", result(3))), "{answer}");
    let deep = format!("[{}{}]", "[".repeat(50_000), "]".repeat(50_000));
    assert!(self::answer(echo, Limits::client(), &deep).await.len() < 500);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_answered_with_one_error() {
    for empty in ["[]", "[ ]", " [\t] "] {
        let answer = answer(echo, Limits::client(), empty).await;
        assert_eq!(answer, error("null", -32600, "invalid request: the batch is empty"));
    }
}

#[tokio::test(start_paused = true)]
async fn rubbish_beside_a_notification_is_answered() {
    let note = r#"{"jsonrpc":"2.0","method":"echo","params":[1]}"#;
    let answer = answer(echo, Limits::client(), &batch([note, "1", note])).await;
    assert_eq!(answer.matches("-32600").count(), 1, "{answer}");
    assert!(answer.starts_with('[') && answer.ends_with(']'), "{answer}");
    // Replies to nothing are not.
    let reply = r#"{"jsonrpc":"2.0","id":1,"result":1}"#;
    assert_eq!(self::answer(echo, Limits::client(), &batch([note, reply])).await, "");
    assert_eq!(self::answer(echo, Limits::client(), &batch([reply, r#"{"error":5}"#])).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_batch_over_the_limit_is_answered_with_one_error_and_nothing_of_it_is_done() {
    let members = |n| batch((1..=n).map(|id| request(id, "echo")));
    assert_eq!(answer(echo, Limits::server(), &members(1_000)).await, batch((1..=1_000).map(result)));
    let refused = "invalid request: the batch has 1001 members, and the limit is 1000";
    assert_eq!(answer(echo, Limits::server(), &members(1_001)).await, error("null", -32600, refused));

    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    peer.send(&batch((1..=1_001).map(|id| request(id, "wait")))).await;
    assert!(peer.line().await.expect("an error").contains("-32600"));
    settled().await;
    assert_eq!((gate.entered(), session.requests_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_frame_full_of_tiny_members_is_not_echoed_fifty_fold() {
    for member in ["1", "{}", "[]", "\"\""] {
        let n = 999_000 / (member.len() + 1);
        let answer = answer(echo, Limits::server(), &batch(std::iter::repeat_n(member, n))).await;
        assert!(answer.len() < 200 && answer.contains("-32600"), "{} bytes: {answer:.200}", answer.len());
    }
}

/// `size` gives a text of as many bytes as it is asked for.
fn sized() -> Router {
    echo()
        .method("size", async |params: Params, _: Context| {
            let (size,): (usize,) = params.parse()?;
            Ok::<_, ErrorObject>("x".repeat(size))
        })
        .method("size_later", async |params: Params, _: Context| {
            let (size,): (usize,) = params.parse()?;
            tokio::task::yield_now().await;
            Ok::<_, ErrorObject>("x".repeat(size))
        })
}

#[tokio::test(start_paused = true)]
async fn replies_that_are_too_much_together_become_errors() {
    for method in ["size", "size_later"] {
        let mut limits = Limits::client();
        limits.reply_size = 1_000;
        let member =
            |(id, size)| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[{size}]}}"#);
        let sizes = [(1, 400), (2, 400), (3, 400), (4, 900), (5, 2_000)];
        let answer = answer(sized, limits, &batch(sizes.map(member))).await;
        let replies: Vec<serde_json::Value> = serde_json::from_str(&answer).expect("a batch");
        let codes: Vec<_> = replies.iter().map(|reply| reply["error"]["code"].as_i64()).collect();
        assert_eq!(codes, [None, None, Some(-32603), Some(-32603), Some(-32603)], "{answer}");
        let ids: Vec<_> = replies.iter().map(|reply| reply["id"].as_i64()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5].map(Some));
    }
}

#[tokio::test(start_paused = true)]
async fn the_reply_to_a_batch_is_bounded() {
    let mut limits = Limits::server();
    limits.reply_size = 10_000;
    let member = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"size","params":[9000]}}"#);
    let answer = answer(sized, limits, &batch((1..=100).map(member))).await;
    assert!(answer.len() < 10_000 + 100 * 200, "{} bytes", answer.len());
    assert_eq!(answer.matches("-32603").count(), 99);
}

#[tokio::test(start_paused = true)]
async fn each_member_that_breaks_a_rule_is_charged() {
    for member in
        ["1", r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#, r#"{"jsonrpc":"2.0","method":"unknown"}"#]
    {
        let mut limits = Limits::public();
        // A peer that is slowed down gains time.
        limits.cost_forgiven_per_second = 0.0;
        let (mut peer, session) = Raw::peer_of(echo(), limits);
        let rubbish = |n| batch(std::iter::repeat_n(member, n));
        peer.send(&rubbish(99)).await;
        peer.send(&request(1, "echo")).await;
        while peer.line().await.expect("an answer") != result(1) {}
        assert!(!session.is_closed(), "9,900 of 10,000");
        peer.send(&batch([member.to_owned(), request(2, "echo")])).await;
        let last = peer.rest().await;
        assert!(last.iter().any(|line| line.contains("-101")), "{last:?}");
        assert!(!last.iter().any(|line| line.contains(&result(2))), "nothing more is done: {last:?}");
        assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_as_a_whole_is_charged_once() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    let tiny = batch(std::iter::repeat_n("1", 1_001));
    for _ in 0..99 {
        assert!(peer.ask(&tiny).await.contains("-32600"));
    }
    assert!(!session.is_closed());
    peer.send("[]").await;
    assert!(peer.rest().await.last().expect("a farewell").contains("-101"));
}
