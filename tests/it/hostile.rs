//! Bytes and messages that have broken systems like this one, in every version. What else a peer may try stands where it belongs:
//! batches in `batches`, ids in `ids`, replies to nothing in `answers`, frames in `limits`, wrong calls in `wrong_calls`.

use std::time::Duration;

use rpc::{CallError, CloseReason, Dispatcher, Limits, Protocol, Session};
use rpc_tests::{CalcServer, MyCalc, Raw, echo, is_pending, settled};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

const PROTOCOLS: [Protocol; 4] = [Protocol::V1, Protocol::V2, Protocol::Loose, Protocol::Detect];

/// What every version takes for a call, and for its answer.
const PROBE: &str = r#"{"jsonrpc":"2.0","id":"probe","method":"echo","params":[1]}"#;

async fn speaking(protocol: Protocol) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| connector.protocol(protocol).service(echo())).await
}

async fn still_serves(peer: &mut Raw<DuplexStream>) {
    let answer = peer.ask(PROBE).await;
    assert!(answer.contains(r#""result":[1]"#), "{answer:.300}");
}

/// Every version, by a session and by a dispatcher, answers `line` with an error of one of these codes, which is short.
async fn is_refused(line: &[u8], codes: &[&str]) {
    let check = |answer: &str, protocol| {
        let start: String = String::from_utf8_lossy(line).chars().take(80).collect();
        assert!(codes.iter().any(|code| answer.contains(code)), "{protocol:?}, {start}: {answer:.300}");
        assert!(answer.len() < 1_000, "{protocol:?}, {start}: {} bytes", answer.len());
    };
    for protocol in PROTOCOLS {
        let (mut peer, _session) = speaking(protocol).await;
        peer.write([line, b"\n"].concat()).await;
        check(&peer.line().await.expect("an answer"), protocol);
        still_serves(&mut peer).await;

        let dispatcher =
            Dispatcher::builder().service(echo()).protocol(protocol).build().expect("one service");
        let answer = dispatcher.dispatch(line).await.expect("an answer");
        check(std::str::from_utf8(&answer).expect("a text"), protocol);
    }
}

const UNREADABLE: &[&str] = &[r#""code":-32700"#];

#[tokio::test(start_paused = true)]
async fn brackets_without_end_are_refused_by_every_version() {
    for open in [
        "[",
        "{\"a\":",
        "[{\"a\":[",
        "{\"id\":[",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[",
    ] {
        is_refused(open.repeat(100_000 / open.len()).as_bytes(), UNREADABLE).await;
    }
    is_refused("[".repeat(900_000).as_bytes(), UNREADABLE).await;
    is_refused("]".repeat(900_000).as_bytes(), UNREADABLE).await;
    is_refused("\"".repeat(900_001).as_bytes(), UNREADABLE).await;
    is_refused("\\".repeat(900_000).as_bytes(), UNREADABLE).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_nested_deeply_overflows_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    for deep in [&deep, &objects] {
        is_refused(
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":[{deep}]}}"#).as_bytes(),
            &[r#""code":-32602"#],
        )
        .await;
        is_refused(
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":{deep},"params":[]}}"#).as_bytes(),
            &[r#""code":-32600"#],
        )
        .await;
        is_refused(format!("[{deep}]").as_bytes(), &[r#""code":-32600"#]).await;
    }
    // In 1.0 an id is any JSON, and is echoed.
    let (mut peer, _session) = speaking(Protocol::V1).await;
    let answer = peer.ask(&format!(r#"{{"id":{deep},"method":"echo","params":[1]}}"#)).await;
    assert!(answer == format!(r#"{{"result":[1],"error":null,"id":{deep}}}"#), "{answer:.300}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_nested_deeply_is_an_error_of_its_call() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for protocol in PROTOCOLS {
        for reply in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{deep},"error":null}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{deep}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{{"code":{deep},"message":{deep}}}}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{{"code":1,"message":"m","data":{deep}}}}}"#
            ),
        ] {
            let (mut peer, session) = speaking(protocol).await;
            let mut call = Box::pin(session.call::<Value>("m", ()).into_future());
            assert!(is_pending(&mut call));
            assert!(peer.line().await.is_some());
            peer.send(&reply).await;
            let outcome = call.await;
            assert!(
                matches!(
                    outcome,
                    Err(CallError::Decode { .. } | CallError::Protocol { .. } | CallError::Rpc(_))
                ),
                "{protocol:?}, {reply:.80}"
            );
            still_serves(&mut peer).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_no_unicode_is_refused() {
    let around = |inside: &[u8]| {
        [&br#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[""#[..], inside, br#""]}"#].concat()
    };
    // A stray byte, a byte that is never used, an overlong slash, half a pair, beyond the end, a character cut off.
    for bytes in [
        &b"\x80"[..],
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ] {
        is_refused(&around(bytes), UNREADABLE).await;
        is_refused(&[b"[", &around(bytes)[..], b"]"].concat(), UNREADABLE).await;
        is_refused(bytes, UNREADABLE).await;
    }
    // Half a pair that is escaped is JSON, and no text.
    is_refused(&around(br"\ud800"), &[r#""code":-32602"#]).await;
    is_refused(br#"{"jsonrpc":"2.0","id":1,"method":"\udc00"}"#, &[r#""code":-32600"#]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_nearly_json_is_refused() {
    for nearly in [
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "0x10",
        "'a'",
        "undefined",
        "{id:1}",
        r#"{"id":1,}"#,
        "[1,]",
        "[,]",
        "[1 2]",
        "{} {}",
        "\"\t\"",
        "// a comment",
        "\u{feff}\u{feff}{}",
        "\u{a0}{}",
        "\0",
        r#"{"jsonrpc":"2.0","id":01,"method":"echo"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[NaN]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1],}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]},]"#,
    ] {
        is_refused(nearly.as_bytes(), UNREADABLE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_of_any_size_do_no_harm() {
    let digits = "7".repeat(5_000);
    for number in [&digits, "1e400", "-1e999999999", &format!("0.{digits}"), &format!("1e-{digits}")] {
        for protocol in PROTOCOLS {
            let (mut peer, _session) =
                Raw::peer_with(|connector| connector.protocol(protocol).service(CalcServer::new(MyCalc)))
                    .await;
            let answer = peer
                .ask(&format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"add","params":[{number},1]}}"#))
                .await;
            assert!(answer.contains(r#""code":-32602"#), "{answer:.300}");
            assert!(answer.contains(&format!(r#""id":{number}"#)), "the id is echoed: {answer:.300}");
            // As the code of an error.
            let (mut peer, session) = speaking(protocol).await;
            let mut call = Box::pin(session.call::<i64>("m", ()).into_future());
            assert!(is_pending(&mut call));
            let error = format!(r#"{{"code":{number},"message":"m"}}"#);
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{error}}}"#)).await;
            let outcome = call.await;
            assert!(matches!(outcome, Err(CallError::Protocol { .. } | CallError::Rpc(_))), "{outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_id_is_echoed_and_nothing_else_of_it_is_kept() {
    let id = format!("\"{}\"", "é".repeat(400_000));
    for protocol in PROTOCOLS {
        let (mut peer, session) = speaking(protocol).await;
        for (method, found) in
            [("echo", r#""result":[1]"#), ("later", r#""result":[1]"#), ("unknown", "-32601")]
        {
            let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[1]}}"#);
            let answer = peer.ask(&request).await;
            assert!(answer.contains(&id) && answer.contains(found), "{protocol:?}, {method}");
        }
        // As that of a reply, it is none of ours.
        let mut call = Box::pin(session.call::<i64>("m", ()).into_future());
        assert!(is_pending(&mut call));
        assert!(peer.line().await.is_some());
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1,"error":null}}"#)).await;
        still_serves(&mut peer).await;
        assert_eq!(session.calls_in_flight(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_method_or_a_huge_version_is_not_sent_back() {
    let huge = "é".repeat(400_000);
    is_refused(
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{huge}","params":[]}}"#).as_bytes(),
        &[r#""code":-32601"#],
    )
    .await;
    is_refused(
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":["{huge}"],"params":[]}}"#).as_bytes(),
        &[r#""code":-32600"#],
    )
    .await;
    is_refused(
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":"{huge}"}}"#).as_bytes(),
        &[r#""code":-32600"#],
    )
    .await;
    is_refused(format!("\"{huge}\"").as_bytes(), &[r#""code":-32600"#]).await;
    // Versions that look at it, that is.
    let sent = format!(r#"{{"jsonrpc":"{huge}","id":1,"method":"unknown","params":[]}}"#);
    is_refused(sent.as_bytes(), &[r#""code":-32600"#, r#""code":-32601"#]).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_tiny_members_is_answered_briefly_by_every_version() {
    for member in ["1", r#"{"id":1}"#] {
        let members = vec![member; 900_000 / (member.len() + 1)].join(",");
        is_refused(format!("[{members}]").as_bytes(), &[r#""code":-32600"#]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_too_large_are_charged_for() {
    let mut limits = Limits::public();
    limits.frame_size = 100;
    // A peer that is slowed down gains time.
    limits.cost_forgiven_per_second = 0.0;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    let large = format!("{}\n", "x".repeat(101));
    peer.write(large.repeat(9)).await;
    for _ in 0..9 {
        assert!(peer.line().await.expect("a refusal").contains("-32600"));
    }
    still_serves(&mut peer).await;
    assert!(!session.is_closed());
    peer.write(large).await;
    assert!(peer.rest().await.last().expect("a farewell").contains("-101"));
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
}

#[tokio::test(start_paused = true)]
async fn messages_are_found_wherever_reads_end() {
    let request =
        |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":["é😀\u2028"]}}"#);
    let bytes = format!(
        "\u{feff}{}\r\n\n \t \r\n[{},{}]\n\u{feff} [ {} ] \r\n{}\n",
        request(1),
        request(2),
        request(3),
        request(4),
        request(5)
    );
    let answer = |id: u32| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":[\"é😀\u{2028}\"]}}");
    let expected =
        [answer(1), format!("[{},{}]", answer(2), answer(3)), format!("[{}]", answer(4)), answer(5)];
    for cut in 1..bytes.len() {
        let (mut peer, _session) = speaking(Protocol::V2).await;
        let (first, second) = bytes.as_bytes().split_at(cut);
        peer.write(first).await;
        settled().await;
        peer.write(second).await;
        for expected in &expected {
            peer.expect(expected).await;
        }
    }
}

/// What the two say to each other from here on, until nobody says anything.
async fn talk(mut sides: [DuplexStream; 2], what: &str) {
    let mut buffer = vec![0; 1 << 20];
    for round in 0.. {
        assert!(round < 5, "they go on and on: {what}");
        let mut said = false;
        for from in [0, 1] {
            settled().await;
            if let Ok(read) = timeout(Duration::from_millis(1), sides[from].read(&mut buffer)).await {
                let read = read.expect("open");
                assert!(read > 0, "nobody leaves: {what}");
                sides[1 - from].write_all(&buffer[..read]).await.expect("open");
                said = true;
            }
        }
        if !said {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_of_any_two_versions_fall_silent() {
    let rubbish = [
        "rubbish",
        "5",
        "null",
        "{}",
        "[]",
        "[1,2]",
        "[[]]",
        r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
        r#"{"id":1,"method":"unknown"}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error"}}"#,
        r#"{"result":null,"error":"no","id":null}"#,
        r#"{"error":"no"}"#,
        r#"{"result":5}"#,
        r#"[{"error":"no"},{"result":5},{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}]"#,
    ];
    for one in PROTOCOLS {
        for other in PROTOCOLS {
            for line in rubbish {
                let side = |protocol| async move {
                    let (peer, session) = Raw::peer_with(|connector| {
                        connector.protocol(protocol).limits(Limits::unlimited()).service(echo())
                    })
                    .await;
                    (peer.into_inner(), session)
                };
                let ((mut a, _a), (mut b, _b)) = (side(one).await, side(other).await);
                a.write_all(format!("{line}\n").as_bytes()).await.expect("open");
                b.write_all(format!("{line}\n").as_bytes()).await.expect("open");
                talk([a, b], &format!("{one:?} and {other:?} after {line}")).await;
            }
        }
    }
}
