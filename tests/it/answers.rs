//! Only requests are answered: no reply to a reply, an error or a notification, and rubbish has its price.

use std::time::Duration;

use rpc::{CloseReason, Context, Limits, Params, Router, testing};
use rpc_tests::{Raw, echo, settled};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROBE: &str = r#"{"jsonrpc":"2.0","id":"probe","method":"echo","params":[1]}"#;
const PROBED: &str = r#"{"jsonrpc":"2.0","id":"probe","result":[1]}"#;
const EXCESSIVE: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-101,"message":"excessive resource usage"}}"#;

/// Nothing answers `line`: what comes next is the answer to what is asked next.
async fn unanswered(line: &str) {
    let router = echo().notification("note", async |params: Params, _: Context| {
        params.parse::<(i64,)>().ok();
    });
    let (mut peer, session) = Raw::peer_of(router, Limits::client());
    peer.send(line).await;
    assert_eq!(peer.ask(PROBE).await, PROBED, "after {line}");
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn replies_to_nothing_are_not_answered() {
    for id in ["1", "true", "1.0", "\"1\"", "[]", "{}", "null", "0", "99", "-1", "18446744073709551616"] {
        unanswered(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
        unanswered(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"m"}}}}"#)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_replies_are_not_answered() {
    for line in [
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
        r#"{"id":1,"result":1}"#,
        r#"{"error":"parse error"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"result":1}"#,
    ] {
        unanswered(line).await;
    }
}

#[tokio::test(start_paused = true)]
async fn notifications_are_not_answered_whatever_is_wrong_with_them() {
    for line in [
        r#"{"jsonrpc":"2.0","method":"note","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"note","params":["wrong"]}"#,
        r#"{"jsonrpc":"2.0","method":"unknown"}"#,
        r#"{"jsonrpc":"2.0","method":"rpc.unknown","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"","params":[]}"#,
        // A method that answers, called by one who does not want to know.
        r#"{"jsonrpc":"2.0","method":"echo","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"later","params":[1]}"#,
    ] {
        unanswered(line).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_notification_method_is_answered() {
    let router = Router::new().notification("note", async |_: Params, _: Context| {});
    let (mut peer, _session) = Raw::peer_of(router, Limits::public());
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"note"}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
}

/// Two sessions, and all that travels between them: `[from the first, from the second]`.
#[tokio::test(start_paused = true)]
async fn two_endpoints_that_send_each_other_rubbish_fall_silent() {
    let (a, mut a_wire) = tokio::io::duplex(1 << 20);
    let (b, mut b_wire) = tokio::io::duplex(1 << 20);
    let _a = testing::session(a, echo(), Limits::unlimited());
    let _b = testing::session(b, echo(), Limits::unlimited());
    for rubbish in [
        "rubbish\n",
        "5\n",
        "{}\n",
        "[]\n",
        r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#,
        "\n",
        r#"{"error":"no"}"#,
        "\n",
    ] {
        a_wire.write_all(rubbish.as_bytes()).await.expect("sent");
        b_wire.write_all(rubbish.as_bytes()).await.expect("sent");
    }
    // From here on each hears what the other one says.
    let mut rounds = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        settled().await;
        let from_a = tokio::time::timeout(Duration::from_millis(1), a_wire.read(&mut buffer)).await;
        if let Ok(read) = from_a {
            b_wire.write_all(&buffer[..read.expect("open")]).await.expect("sent");
        }
        let from_b = tokio::time::timeout(Duration::from_millis(1), b_wire.read(&mut buffer)).await;
        if let Ok(read) = &from_b {
            a_wire.write_all(&buffer[..*read.as_ref().expect("open")]).await.expect("sent");
        }
        if from_b.is_err() && rounds > 0 {
            break;
        }
        rounds += 1;
        assert!(rounds < 5, "they go on and on");
    }
}

/// Time passes while a peer is slowed down: here it forgives nothing.
fn unforgiving() -> Limits {
    let mut limits = Limits::public();
    limits.cost_forgiven_per_second = 0.0;
    limits
}

#[tokio::test(start_paused = true)]
async fn errors_cost_and_at_the_limit_the_peer_is_told_and_disconnected() {
    let (mut peer, session) = Raw::peer_of(echo(), unforgiving());
    for n in 1..100 {
        let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
        assert!(answer.contains("-32601"), "{n}: {answer}");
    }
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
    let last = peer.rest().await;
    assert_eq!(last.len(), 2, "{last:?}");
    assert_eq!(last[1], EXCESSIVE);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Cost { cost, limit } if cost >= limit), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_costs_ten_times_as_much() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    peer.write("rubbish\n".repeat(10)).await;
    let told = peer.rest().await;
    assert_eq!(told.iter().filter(|line| line.contains("-32700")).count(), 10, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some(EXCESSIVE));
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
}

#[tokio::test(start_paused = true)]
async fn replies_to_nothing_and_bad_notifications_cost_too() {
    for line in [r#"{"jsonrpc":"2.0","id":7,"result":1}"#, r#"{"jsonrpc":"2.0","method":"unknown"}"#] {
        let (mut peer, session) = Raw::peer_of(echo(), unforgiving());
        peer.write(format!("{line}\n").repeat(100)).await;
        assert_eq!(peer.rest().await, [EXCESSIVE], "{line}");
        assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_told_once_that_it_went_too_far() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::public());
    let reply_to_nothing = "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1}\n";
    peer.write(reply_to_nothing.to_owned() + &"rubbish\n".repeat(10)).await;
    let told = peer.rest().await;
    assert_eq!(told.iter().filter(|line| *line == EXCESSIVE).count(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_is_forgiven_with_time() {
    let mut limits = Limits::public();
    limits.idle_timeout = None;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    for _ in 0..3 {
        peer.write("rubbish\n".repeat(9)).await;
        for _ in 0..9 {
            assert!(peer.line().await.expect("an answer").contains("-32700"));
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_late_is_not_charged_for_it() {
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.service(echo()).limits(Limits::public()).cancellation(None))
            .await;
    for id in 1..=150 {
        let outcome = session.call::<()>("slow", ()).timeout(Duration::from_millis(10)).await;
        assert!(outcome.is_err());
        assert!(peer.line().await.expect("the call").contains(&format!("\"id\":{id},")));
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":null}}"#)).await;
    }
    settled().await;
    assert!(!session.is_closed(), "{:?}", session.close_reason());
}
