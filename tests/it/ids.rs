//! Ids are compared as JSON values, and echoed byte for byte.

mod spelled;

use rpc::{Context, Limits, Params, Router};
use rpc_tests::{Raw, echo, is_pending, settled};

#[tokio::test(start_paused = true)]
async fn a_requests_id_comes_back_byte_for_byte() {
    let digits = "7".repeat(5000);
    let text = format!("\"{}\"", "long ".repeat(1000));
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    for id in [
        "1",
        "0",
        "1.0",
        "1.50",
        "1e2",
        "1E+2",
        "-1",
        "-0",
        "-1.5e-3",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740993",
        "\"1\"",
        "\"\"",
        "\"a\\u0062\"",
        "\"\\/\\\"\\\\ \\n\"",
        "\"\\ud800\"",
        "\"é\u{2028}😀\"",
        "null",
        &digits,
        &text,
    ] {
        for method in ["echo", "later"] {
            let answer =
                peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[1]}}"#)).await;
            assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[1]}}"#));
        }
        // In an error, and where it stands last.
        let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","method":"unknown","id":{id}}}"#)).await;
        let error = r#"{"code":-32601,"message":"method `unknown` not found"}"#;
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_id_as_it_was_sent() {
    let router = Router::new().method("id", async |_: Params, cx: Context| {
        Ok::<_, rpc::ErrorObject>(cx.id().map(ToString::to_string))
    });
    let (mut peer, _session) = Raw::peer_of(router, Limits::client());
    for (id, seen) in [("1.0", "\"1.0\""), ("7", "\"7\""), ("\"a\\u0062\"", r#""\"a\\u0062\"""#)] {
        let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"id"}}"#)).await;
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{seen}}}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_cannot_be_one_is_refused() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    for id in ["true", "false", "[]", "[1]", "{}", "{\"id\":1}"] {
        let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo"}}"#)).await;
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_used_twice_at_once_is_answered_twice() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"later","params":["a"]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"later","params":["b"]}"#).await;
    let mut answers = [peer.line().await, peer.line().await].map(|line| line.expect("an answer"));
    answers.sort();
    assert_eq!(answers, ["a", "b"].map(|text| format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{text}"]}}"#)));
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_use_one_id_at_once() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let (outcome, ()) = tokio::join!(async { session.call::<i64>("ours", ()).await }, async {
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"ours"}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"later","params":["theirs"]}"#).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":["theirs"]}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":5}"#).await;
    });
    assert_eq!(outcome.expect("our reply"), 5);
}

#[tokio::test(start_paused = true)]
async fn only_the_very_id_of_a_call_answers_it() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut call = Box::pin(session.call::<String>("m", ()).into_future());
    assert!(is_pending(&mut call));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).await;
    for id in [
        "true",
        "1.0",
        "1e0",
        "10e-1",
        "\"1\"",
        "\"\\u0031\"",
        "[1]",
        "[ 1 ]",
        "[]",
        "{}",
        "null",
        "0",
        "2",
        "-1",
        "5",
        "4294967297",
        "18446744073709551617",
        "01",
        "+1",
    ] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"wrong"}}"#)).await;
        // An error to the id null can mean the only call.
        if id != "null" {
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"wrong"}}}}"#))
                .await;
        }
        settled().await;
        assert!(is_pending(&mut call), "{id}");
        assert_eq!(session.calls_in_flight(), 1, "{id}");
    }
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"right"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"doubled"}"#).await;
    assert_eq!(call.await.expect("its reply"), "right");
}

#[tokio::test(start_paused = true)]
async fn a_doubled_reply_does_not_answer_the_next_call() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    for id in 1..=20 {
        let mut call = Box::pin(session.call::<u64>("m", ()).into_future());
        assert!(is_pending(&mut call));
        assert!(peer.line().await.is_some());
        // All that came before are answered again, and their slots are used by others now.
        for again in 1..=id {
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{again},"result":{again}}}"#)).await;
        }
        assert_eq!(call.await.expect("its own"), id);
    }
}
