//! Which version a peer speaks, by its first message.

use rpc::{BatchError, CallError, Dispatcher, Limits, Protocol, Unsupported};
use rpc_tests::{Raw, is_pending, settled};
use serde_json::{Value, json};

use super::{echo_1_0, echo_2_0, error_1_0, error_2_0, is_like, service, speaking};

const ECHO_2_0: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
const ECHO_1_0: &str = r#"{"jsonrpc":"1.0","id":1,"method":"echo","params":[1]}"#;
const UNVERSIONED: &str = r#"{"id":1,"method":"echo","params":[1]}"#;

/// A first message, what it decides, and what is answered (nothing, where that is empty).
fn rows() -> Vec<(String, Protocol, String)> {
    let list = |items: &[&str]| format!("[{}]", items.join(","));
    let rows = [
        (ECHO_2_0.to_owned(), Protocol::V2, echo_2_0("1")),
        (ECHO_1_0.to_owned(), Protocol::V1, echo_1_0("1")),
        // A request without a version is read loosely and answered as 1.0 would be.
        (UNVERSIONED.to_owned(), Protocol::Loose, echo_1_0("1")),
        (r#"{"id":null,"method":"note","params":[]}"#.to_owned(), Protocol::Loose, String::new()),
        (r#"{"method":"note"}"#.to_owned(), Protocol::Loose, String::new()),
        // Messages that are no requests decide as well.
        (r#"{"jsonrpc":"2.0","method":"note"}"#.to_owned(), Protocol::V2, String::new()),
        (r#"{"result":1,"error":null,"id":7}"#.to_owned(), Protocol::V1, String::new()),
        (r#"{"jsonrpc":"2.0","result":1,"error":null,"id":7}"#.to_owned(), Protocol::V2, String::new()),
        (r#"{"result":1,"id":7}"#.to_owned(), Protocol::Loose, String::new()),
        (r#"{"error":"no","id":7}"#.to_owned(), Protocol::Loose, String::new()),
        // An odd version is none.
        (
            r#"{"jsonrpc":"3.0","id":1,"method":"echo","params":[1]}"#.to_owned(),
            Protocol::Loose,
            echo_2_0("1"),
        ),
        (r#"{"jsonrpc":2,"id":1,"method":"echo","params":[1]}"#.to_owned(), Protocol::Loose, echo_2_0("1")),
        // JSON that is no message.
        ("5".to_owned(), Protocol::Loose, error_2_0("null", -32600)),
        ("[]".to_owned(), Protocol::Loose, error_2_0("null", -32600)),
        // Strict 2.0 wins over 1.0, which wins over loose.
        (
            list(&[UNVERSIONED, ECHO_1_0, ECHO_2_0]),
            Protocol::V2,
            list(&[&error_2_0("1", -32600), &error_2_0("1", -32600), &echo_2_0("1")]),
        ),
        (list(&[UNVERSIONED, ECHO_1_0]), Protocol::V1, error_1_0("null", -32600)),
        (list(&["5", UNVERSIONED]), Protocol::Loose, list(&[&error_1_0("null", -32600), &echo_1_0("1")])),
        (list(&[UNVERSIONED, UNVERSIONED]), Protocol::Loose, list(&[&echo_1_0("1"), &echo_1_0("1")])),
    ];
    rows.into()
}

/// Like [`is_like`], with any number of `…`.
fn all_like(got: &str, expected: &str) -> bool {
    let mut rest = got;
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[tokio::test(start_paused = true)]
async fn the_first_message_decides() {
    for (first, decided, expected) in rows() {
        let (mut peer, session) = speaking(Protocol::Detect).await;
        assert_eq!(session.protocol(), Protocol::Detect);
        peer.send(&first).await;
        if expected.is_empty() {
            peer.expect_silence().await;
        } else {
            let got = peer.line().await.expect("an answer");
            assert!(all_like(&got, &expected), "{first}\n got      {got}\n expected {expected}");
        }
        assert_eq!(session.protocol(), decided, "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_is_fixed() {
    let after = |first: &'static str| async move {
        let (mut peer, session) = speaking(Protocol::Detect).await;
        peer.ask(first).await;
        (peer, session)
    };
    let (mut peer, session) = after(ECHO_2_0).await;
    assert!(is_like(&peer.ask(UNVERSIONED).await, &error_2_0("1", -32600)));
    assert!(is_like(&peer.ask(ECHO_1_0).await, &error_2_0("1", -32600)));
    assert_eq!(peer.ask(ECHO_2_0).await, echo_2_0("1"));
    assert_eq!(session.protocol(), Protocol::V2);

    let (mut peer, session) = after(ECHO_1_0).await;
    assert_eq!(peer.ask(ECHO_2_0).await, echo_1_0("1"));
    assert!(is_like(&peer.ask(&format!("[{ECHO_2_0}]")).await, &error_1_0("null", -32600)));
    assert!(is_like(&peer.ask(r#"{"method":"note"}"#).await, &error_1_0("null", -32600)));
    assert_eq!(session.protocol(), Protocol::V1);

    let (mut peer, session) = after(UNVERSIONED).await;
    assert_eq!(peer.ask(ECHO_2_0).await, echo_1_0("1"));
    assert_eq!(peer.ask(&format!("[{ECHO_1_0}]")).await, format!("[{}]", echo_1_0("1")));
    assert_eq!(session.protocol(), Protocol::Loose);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_json_decides_nothing() {
    let mut limits = Limits::client();
    limits.frame_size = 100;
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.protocol(Protocol::Detect).limits(limits).service(service()))
            .await;
    // Answered in 2.0, which is what is written until something is known.
    for rubbish in ["rubbish", "{", r#"{"id":1,"method":"echo"} x"#, "[1,"] {
        let got = peer.ask(rubbish).await;
        assert!(is_like(&got, &error_2_0("null", -32700)), "{got}");
        assert_eq!(session.protocol(), Protocol::Detect, "{rubbish}");
    }
    peer.write(b"\"\xff\xfe\"\n").await;
    assert!(is_like(&peer.line().await.expect("an answer"), &error_2_0("null", -32700)));
    // Neither does one that is never read.
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{}"]}}"#, "x".repeat(100));
    assert!(is_like(&peer.ask(&long).await, &error_2_0("1", -32600)));
    peer.write("\n  \r\n").await;
    settled().await;
    assert_eq!(session.protocol(), Protocol::Detect);
    assert_eq!(peer.ask(ECHO_1_0).await, echo_1_0("1"));
    assert_eq!(session.protocol(), Protocol::V1);
}

#[tokio::test(start_paused = true)]
async fn version_2_0_is_written_until_the_peer_has_spoken() {
    let (mut peer, session) = speaking(Protocol::Detect).await;
    session.notify("n", ()).await.expect("sent");
    peer.expect(r#"{"jsonrpc":"2.0","method":"n"}"#).await;
    // By name, and in a batch: nothing is known that speaks against it.
    let mut named = Box::pin(session.call::<Value>("m", json!({"a": 1})).into_future());
    assert!(is_pending(&mut named));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}"#).await;
    let mut batch = Box::pin(session.batch([session.call::<Value>("m", ())]).into_future());
    assert!(is_pending(&mut batch));
    peer.expect(r#"[{"jsonrpc":"2.0","id":2,"method":"m"}]"#).await;

    peer.send(r#"{"jsonrpc":"1.0","result":3,"error":null,"id":1}"#).await;
    assert_eq!(named.await.expect("a reply"), 3);
    assert_eq!(session.protocol(), Protocol::V1);
    session.notify("n", ()).await.expect("sent");
    peer.expect(r#"{"method":"n","params":[],"id":null}"#).await;
    let named = session.call::<Value>("m", json!({"a": 1})).await;
    assert!(matches!(named, Err(CallError::Unsupported { .. })), "{named:?}");
    let refused = session.batch([session.call::<Value>("m", ())]).await;
    assert!(matches!(refused, Err(BatchError::Unsupported(Unsupported::Batches))), "{refused:?}");
    // What was under way in the other version is still answered, if one by one.
    peer.send(r#"{"result":4,"error":null,"id":2}"#).await;
    let [outcome] = batch.await.expect("it was sent");
    assert_eq!(outcome.expect("a reply"), 4);
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_a_batch_of_ours_decides_too() {
    for (members, decided) in [
        ([r#"{"jsonrpc":"2.0","id":1,"result":1}"#, r#"{"jsonrpc":"2.0","id":2,"result":2}"#], Protocol::V2),
        ([r#"{"id":1,"result":1}"#, r#"{"id":2,"result":2}"#], Protocol::Loose),
    ] {
        let (mut peer, session) = speaking(Protocol::Detect).await;
        let calls = [session.call::<i64>("m", ()), session.call::<i64>("m", ())];
        let reply = format!("[{}]", members.join(","));
        let (outcome, ()) = tokio::join!(async { session.batch(calls).await }, peer.send(&reply));
        assert_eq!(outcome.expect("sent").map(Result::unwrap), [1, 2]);
        assert_eq!(session.protocol(), decided);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_peer_without_a_version_is_1_0() {
    let (mut peer, session) = speaking(Protocol::Detect).await;
    peer.ask(UNVERSIONED).await;
    session.notify("n", (1,)).await.expect("sent");
    peer.expect(r#"{"method":"n","params":[1],"id":null}"#).await;
    let mut call = Box::pin(session.call::<i64>("m", (1,)).into_future());
    assert!(is_pending(&mut call));
    peer.expect(r#"{"method":"m","params":[1],"id":1}"#).await;
    let named = session.call::<Value>("m", json!({"a": 1})).await;
    assert!(matches!(named, Err(CallError::Unsupported { .. })), "{named:?}");
}

#[tokio::test(start_paused = true)]
async fn each_message_to_a_dispatcher_decides_for_itself() {
    let dispatcher =
        Dispatcher::builder().service(service()).protocol(Protocol::Detect).build().expect("one echo");
    for _ in 0..2 {
        for (first, _, expected) in rows() {
            let got = dispatcher.dispatch(first.as_bytes()).await.unwrap_or_default();
            let got = String::from_utf8_lossy(&got);
            assert!(all_like(&got, &expected), "{first}\n got      {got}\n expected {expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_detecting_sides_speak_2_0() {
    let (here, there) = rpc::transport::memory(64 << 10);
    let side = |io| rpc::Connector::over(io).protocol(Protocol::Detect).service(service()).connect();
    let (a, b) = (side(here).await.expect("connected"), side(there).await.expect("connected"));
    assert_eq!(a.call::<Value>("echo", (1,)).await.expect("a reply"), json!([1]));
    assert_eq!(b.call::<Value>("echo", (2,)).await.expect("a reply"), json!([2]));
    assert_eq!((a.protocol(), b.protocol()), (Protocol::V2, Protocol::V2));
}
