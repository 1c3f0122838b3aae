//! What is answered.

use rpc::{Context, Dispatcher, ErrorObject, Extensions, Limits, Params, Protocol, Router};
use rpc_tests::{Gate, Raw, is_pending, waiting};

use super::{
    COLUMNS, SILENCE, echo_1_0 as e1, echo_2_0 as e2, error_1_0 as x1, error_2_0 as x2, is_like, service,
    speaking,
};

const INVALID: i64 = -32600;

/// What is sent, and what `V1`, `V2` and `Loose` answer.
fn rows() -> Vec<(&'static str, [String; 3])> {
    let silence = || SILENCE.to_owned();
    let nothing = || [silence(), silence(), silence()];
    vec![
        // `jsonrpc`: ignored, must be "2.0", ignored.
        (r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#, [e1("1"), e2("1"), e2("1")]),
        (r#"{"jsonrpc":"1.0","id":1,"method":"echo","params":[1]}"#, [e1("1"), x2("1", INVALID), e2("1")]),
        (r#"{"jsonrpc":2.0,"id":1,"method":"echo","params":[1]}"#, [e1("1"), x2("1", INVALID), e2("1")]),
        (r#"{"jsonrpc":null,"id":1,"method":"echo","params":[1]}"#, [e1("1"), x2("1", INVALID), e2("1")]),
        (r#"{"id":1,"method":"echo","params":[1]}"#, [e1("1"), x2("1", INVALID), e2("1")]),
        // The id: any JSON but null; a text, a number or null.
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"echo","params":[1]}"#,
            [e1("\"a\""), e2("\"a\""), e2("\"a\"")],
        ),
        (r#"{"jsonrpc":"2.0","id":1.50,"method":"echo","params":[1]}"#, [e1("1.50"), e2("1.50"), e2("1.50")]),
        (r#"{"jsonrpc":"2.0","id":-7,"method":"echo","params":[1]}"#, [e1("-7"), e2("-7"), e2("-7")]),
        (r#"{"jsonrpc":"2.0","id":0,"method":"echo","params":[1]}"#, [e1("0"), e2("0"), e2("0")]),
        (
            r#"{"jsonrpc":"2.0","id":true,"method":"echo","params":[1]}"#,
            [e1("true"), x2("null", INVALID), x2("null", INVALID)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":[1, "x"],"method":"echo","params":[1]}"#,
            [e1(r#"[1, "x"]"#), x2("null", INVALID), x2("null", INVALID)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":{"a" : 1},"method":"echo","params":[1]}"#,
            [e1(r#"{"a" : 1}"#), x2("null", INVALID), x2("null", INVALID)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":"3f1c:/#-é","method":"echo","params":[1]}"#,
            [e1("\"3f1c:/#-é\""), e2("\"3f1c:/#-é\""), e2("\"3f1c:/#-é\"")],
        ),
        // No id at all: refused, a notification, a notification.
        (r#"{"jsonrpc":"2.0","method":"note","params":[1]}"#, [x1("null", INVALID), silence(), silence()]),
        (r#"{"jsonrpc":"2.0","method":"echo","params":[1]}"#, [x1("null", INVALID), silence(), silence()]),
        (r#"{"method":"note","params":[1]}"#, [x1("null", INVALID), x2("null", INVALID), silence()]),
        // An id of null: a notification, a request, a notification unless 2.0 is spoken.
        (r#"{"jsonrpc":"2.0","id":null,"method":"echo","params":[1]}"#, [silence(), e2("null"), e2("null")]),
        (r#"{"id":null,"method":"echo","params":[1]}"#, [silence(), x2("null", INVALID), silence()]),
        (r#"{"id":null,"method":"unknown","params":[1]}"#, [silence(), x2("null", INVALID), silence()]),
        // `params`: an array, or an array or an object.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":1}}"#,
            [
                x1("1", INVALID),
                r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#.to_owned(),
                r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#.to_owned(),
            ],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":"text"}"#,
            [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":5}"#,
            [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)],
        ),
        // A batch: refused, taken, taken.
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}]"#,
            [x1("null", INVALID), format!("[{}]", e2("1")), format!("[{}]", e2("1"))],
        ),
        (
            r#"[{"id":1,"method":"echo","params":[1]}]"#,
            [x1("null", INVALID), format!("[{}]", x2("1", INVALID)), format!("[{}]", e2("1"))],
        ),
        ("[]", [x1("null", INVALID), x2("null", INVALID), x2("null", INVALID)]),
        // Members in any order, white space, unknown members, a byte order mark.
        (r#"{"params":[1],"method":"echo","id":1,"jsonrpc":"2.0"}"#, [e1("1"), e2("1"), e2("1")]),
        (
            "\u{feff} { \"x\" : [ {\"id\":5} ] , \"jsonrpc\" : \"2.0\" ,\t\"id\" : 1 , \"method\" : \"ech\\u006f\" , \"params\" : [ 1 ] } \r",
            [e1("1"), e2("1"), e2("1")],
        ),
        // A member that is there twice: refused by all.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"note","method":"echo","params":[1]}"#,
            [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1],"params":[2]}"#,
            [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)],
        ),
        // What is no request.
        (r#"{"jsonrpc":"2.0","id":1}"#, [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)]),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, [x1("1", INVALID), x2("1", INVALID), x2("1", INVALID)]),
        ("5", [x1("null", INVALID), x2("null", INVALID), x2("null", INVALID)]),
        ("rubbish", [x1("null", -32700), x2("null", -32700), x2("null", -32700)]),
        // A request that fails.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"unknown","params":[1]}"#,
            [x1("1", -32601), x2("1", -32601), x2("1", -32601)],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"$/cancelRequest","params":{}}"#,
            [x1("1", -32601), x2("1", -32601), x2("1", -32601)],
        ),
        // Answers to nothing, whatever is wrong with them.
        (r#"{"jsonrpc":"2.0","id":1,"result":1}"#, nothing()),
        (r#"{"result":1,"error":null,"id":1}"#, nothing()),
        (r#"{"result":null,"error":"no","id":1}"#, nothing()),
        (r#"{"result":1,"error":2,"id":[]}"#, nothing()),
        (r#"{"result":1}"#, nothing()),
        (r#"{"error":"no"}"#, nothing()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_session_answers_each_row_as_its_version_does() {
    for (sent, answers) in rows() {
        for (protocol, expected) in COLUMNS.into_iter().zip(answers) {
            let (mut peer, session) = speaking(protocol).await;
            peer.send(sent).await;
            if expected == SILENCE {
                peer.expect_silence().await;
            } else {
                let got = peer.line().await.expect("an answer");
                assert!(
                    is_like(&got, &expected),
                    "{protocol:?}, {sent}\n got      {got}\n expected {expected}"
                );
            }
            assert_eq!(session.protocol(), protocol);
            assert!(!session.is_closed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_answers_each_row_as_its_version_does() {
    for (column, protocol) in COLUMNS.into_iter().enumerate() {
        let dispatcher =
            Dispatcher::builder().service(service()).protocol(protocol).build().expect("one echo");
        for (sent, answers) in rows() {
            let got = dispatcher.dispatch(sent.as_bytes()).await.unwrap_or_default();
            let (got, expected) = (String::from_utf8_lossy(&got), &answers[column]);
            assert!(is_like(&got, expected), "{protocol:?}, {sent}\n got      {got}\n expected {expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_version_takes_none_for_none_however_that_is_said() {
    let none = ["", r#","params":null"#, r#","params":[]"#, r#","params":{}"#, r#","params":{ }"#];
    for protocol in COLUMNS.into_iter().chain([Protocol::Detect]) {
        for params in none {
            let (mut peer, _session) = Raw::peer_with(|connector| {
                let ping = rpc_tests::CalcServer::new(rpc_tests::MyCalc);
                connector.protocol(protocol).service(ping)
            })
            .await;
            let got = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping"{params}}}"#)).await;
            let expected = match protocol {
                Protocol::V1 => r#"{"result":"pong","error":null,"id":1}"#,
                _ => r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#,
            };
            assert_eq!(got, expected, "{protocol:?} {params}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_positional_parameter_may_itself_be_a_list() {
    for protocol in COLUMNS {
        let (mut peer, _session) = speaking(protocol).await;
        let got = peer.ask(r#"{"jsonrpc":"2.0","method":"echo","params":[[1,{"a":[]}]],"id":0}"#).await;
        assert!(got.contains(r#""result":[[1,{"a":[]}]]"#), "{got}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_used_for_every_call_comes_back_every_time() {
    for protocol in COLUMNS {
        let (mut peer, _session) = speaking(protocol).await;
        for method in ["later", "echo", "later", "later"] {
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[1]}}"#)).await;
        }
        for _ in 0..4 {
            let expected = if protocol == Protocol::V1 { e1("1") } else { e2("1") };
            peer.expect(&expected).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_texts_wherever_1_0_is_written_and_only_there() {
    let unknown = r#""method":"unknown","params":[],"id":7"#;
    let text = r#"{"result":null,"error":"method `unknown` not found","id":7}"#;
    for (protocol, sent, expected) in [
        (Protocol::V1, format!("{{{unknown}}}"), text.to_owned()),
        (Protocol::V1, "rubbish".to_owned(), r#"{"result":null,"error":"…","id":null}"#.to_owned()),
        (Protocol::V1, "[]".to_owned(), r#"{"result":null,"error":"…","id":null}"#.to_owned()),
        (Protocol::Detect, format!("{{{unknown}}}"), text.to_owned()),
        (Protocol::Detect, format!("[{{{unknown}}}]"), format!("[{text}]")),
        (Protocol::Detect, format!(r#"{{"jsonrpc":"1.0",{unknown}}}"#), text.to_owned()),
        (Protocol::Detect, format!(r#"{{"jsonrpc":"2.0",{unknown}}}"#), x2("7", -32601)),
        (Protocol::V2, format!(r#"{{"jsonrpc":"2.0",{unknown}}}"#), x2("7", -32601)),
        (Protocol::Loose, format!("{{{unknown}}}"), x2("7", -32601)),
    ] {
        let (mut peer, _session) =
            Raw::peer_with(|connector| connector.text_errors().protocol(protocol).service(service())).await;
        let got = peer.ask(&sent).await;
        assert!(is_like(&got, &expected), "{protocol:?}, {sent}: {got}");

        let dispatcher = Dispatcher::builder().service(service()).text_errors().protocol(protocol);
        let got = dispatcher.build().expect("one echo").dispatch(sent.as_bytes()).await.expect("a reply");
        let got = String::from_utf8_lossy(&got);
        assert!(is_like(&got, &expected), "{protocol:?}, {sent}: {got}");
    }
}

/// Methods that fail in every way there is.
fn failing(gate: &Gate) -> Router {
    waiting(gate)
        .method("at_once", async |_: Params, _: Context| -> Result<(), ErrorObject> { panic!("a secret") })
        .method("panic", async |_: Params, _: Context| -> Result<(), ErrorObject> {
            tokio::task::yield_now().await;
            panic!("a secret")
        })
        .method("fail", async |_: Params, _: Context| Err::<(), _>(ErrorObject::new(7, "no")))
        .method("fail_later", async |_: Params, _: Context| {
            tokio::task::yield_now().await;
            Err::<(), _>(ErrorObject::new(7, "no"))
        })
        .method("big", async |_: Params, _: Context| Ok::<_, ErrorObject>("x".repeat(1_001)))
        .method("none", async |params: Params, _: Context| params.parse::<()>())
}

#[tokio::test(start_paused = true)]
async fn wherever_an_error_comes_from_it_is_written_in_the_version_that_is_spoken() {
    for (protocol, jsonrpc, error) in [
        (Protocol::V1, "", x1 as fn(&str, i64) -> String),
        (Protocol::Detect, "", x1),
        (Protocol::Detect, r#""jsonrpc":"1.0","#, x1),
        (Protocol::Detect, r#""jsonrpc":"2.0","#, x2),
        (Protocol::Loose, "", x2),
        (Protocol::V2, r#""jsonrpc":"2.0","#, x2),
    ] {
        let gate = Gate::closed();
        let mut limits = Limits::public();
        (limits.reply_size, limits.requests_in_flight, limits.frame_size) = (1_000, 1, 5_000);
        let (mut peer, session) = Raw::peer_with(|connector| {
            connector.protocol(protocol).limits(limits.clone()).service(failing(&gate))
        })
        .await;
        let dispatcher = Dispatcher::builder().service(failing(&gate)).limits(limits).protocol(protocol);
        let dispatcher = dispatcher.build().expect("one service");
        for (method, code) in [
            ("unknown", -32601),
            ("none", -32602),
            ("at_once", -32603),
            ("panic", -32603),
            ("fail", 7),
            ("fail_later", 7),
            ("big", -32603),
            ("wait", -102),
        ] {
            let sent = format!(r#"{{{jsonrpc}"id":5,"method":"{method}","params":[1]}}"#);
            let got = peer.ask(&sent).await;
            assert!(is_like(&got, &error("5", code)), "{protocol:?}, {method}: {got}");
            let got = dispatcher.dispatch(sent.as_bytes()).await.expect("a reply");
            let got = String::from_utf8_lossy(&got);
            assert!(is_like(&got, &error("5", code)), "{protocol:?}, {method}: {got}");
        }

        // Too many at once, while a call of ours waits.
        let mut call = Box::pin(session.call::<i64>("ours", ()).into_future());
        assert!(is_pending(&mut call));
        assert!(peer.line().await.is_some());
        for id in [6, 7] {
            peer.send(&format!(r#"{{{jsonrpc}"id":{id},"method":"wait","params":[1]}}"#)).await;
        }
        let got = peer.line().await.expect("an answer");
        let expected = error("7", -102).replace("…\"", "…\",\"data\":{\"executed\":false}");
        assert!(is_like(&got, &expected), "{protocol:?}: {got}");
        // And one too many of them all.
        peer.send(&"rubbish\n".repeat(10)).await;
        gate.open();
        let rest = peer.rest().await;
        assert!(rest.iter().any(|line| is_like(line, &error("null", -101))), "{protocol:?}: {rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_refuses_a_message_that_is_too_large() {
    for (protocol, expected, none) in [
        (Protocol::V1, x1("7", INVALID), x1("null", INVALID)),
        (Protocol::V2, x2("7", INVALID), x2("null", INVALID)),
    ] {
        let mut limits = Limits::server();
        limits.frame_size = 100;
        let dispatcher = Dispatcher::builder().service(service()).limits(limits.clone()).protocol(protocol);
        let dispatcher = dispatcher.build().expect("one echo");
        let long = "x".repeat(100);
        for (sent, expected) in [
            (format!(r#"{{"jsonrpc":"2.0","method":"echo","params":["{long}"],"id":7}}"#), Some(&expected)),
            (format!(r#"[{{"jsonrpc":"2.0","method":"echo","params":["{long}"],"id":7}}]"#), Some(&none)),
            (format!("rubbish{long}"), Some(&none)),
            // A notification, and a response.
            (format!(r#"{{"jsonrpc":"2.0","method":"echo","params":["{long}"]}}"#), None),
            (format!(r#"{{"result":"{long}","error":null,"id":7}}"#), None),
        ] {
            let exchange = dispatcher
                .exchange(sent.as_bytes(), "memory:x".parse().expect("an endpoint"), Extensions::default())
                .await;
            let got = exchange.answer.map(|answer| String::from_utf8_lossy(&answer).into_owned());
            match expected {
                Some(expected) => assert!(is_like(got.as_deref().expect("an answer"), expected), "{got:?}"),
                None => assert_eq!(got, None, "{sent}"),
            }
            assert_eq!(exchange.cost, limits.cost_of_unreadable);
        }
    }
}
