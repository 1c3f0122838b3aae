//! What servers answer with, and what it means: QUIRKS of real ones, one by one.

use rpc::{CallError, HttpError, Protocol};
use rpc_tests::http::{HttpPeer, ok, response};
use serde_json::{Value, json};

use super::{call_answered_with, in_full};

/// What a client of `protocol` makes of an answer.
async fn outcome_of(protocol: Protocol, answer: impl AsRef<[u8]>) -> Result<Value, CallError> {
    let (mut peer, client) = HttpPeer::with(|builder| builder.protocol(protocol));
    call_answered_with(&mut peer, &client, answer).await
}

/// What a client makes of an answer that it cannot read.
async fn http_error_of(answer: impl AsRef<[u8]>) -> HttpError {
    match outcome_of(Protocol::V2, answer).await {
        Err(CallError::Http(error)) => error,
        other => panic!("{other:?}"),
    }
}

const THREE: &str = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;
const FAILED: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no such thing"}}"#;

fn is_failed(outcome: Result<Value, CallError>) -> bool {
    matches!(outcome, Err(CallError::Rpc(error)) if error.code().value() == -5 && error.message() == "no such thing")
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_read_however_http_carries_it() {
    let length = THREE.len();
    for answer in [
        ok(THREE),
        // An empty reason phrase, with and without the blank.
        response("200 ", "", THREE),
        response("200", "", THREE),
        response("200 OK", "content-type: application/json-rpc\r\n", THREE),
        response("200 OK", "content-type: text/plain; charset=utf-8\r\nconnection: close\r\n", THREE),
        response("201 Created", "", THREE),
        // In pieces, with a comment on one of them and a trailer.
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\n{}\r\n{:x}\r\n{}\r\n0\r\nx-t: u\r\n\r\n",
            &THREE[..5],
            length - 5,
            &THREE[5..]
        ),
        // Over several lines, and blanks around it.
        ok("\n {\r\n  \"result\": 3,\n  \"id\": 1,\n  \"jsonrpc\": \"2.0\"\n}\n\n"),
        ok(&format!("\u{feff}{THREE}")),
        // As the only member of an array.
        ok(&format!("[{THREE}]")),
        // Something that is no answer comes first.
        format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok(THREE)),
    ] {
        assert_eq!(outcome_of(Protocol::V2, &answer).await.unwrap(), json!(3), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_end_with_the_connection() {
    for version in ["1.0", "1.1"] {
        let (mut peer, client) = HttpPeer::of_client();
        let answer = format!("HTTP/{version} 200 OK\r\nconnection: close\r\n\r\n{THREE}");
        let (outcome, ()) = tokio::join!(async { client.call::<u8>("add", (1, 2)).await }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(answer).await;
        });
        assert_eq!(outcome.unwrap(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_json_rpc_are_read_whatever_the_status() {
    for status in
        ["200 OK", "400 Bad Request", "401 Unauthorized", "404 Not Found", "415 No", "500 ", "503 Busy"]
    {
        for message in [
            FAILED,
            // To no id, and to one that nobody has used: it can only mean this call.
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-5,"message":"no such thing"}}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-5,"message":"no such thing"}}"#,
            r#"{"jsonrpc":"2.0","id":0,"error":{"code":-5,"message":"no such thing"}}"#,
            // Many send both members.
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-5,"message":"no such thing"}}"#,
        ] {
            let outcome = outcome_of(Protocol::V2, response(status, "", message)).await;
            assert!(is_failed(outcome), "{status}: {message}");
        }
    }
    // A result is one as well.
    assert_eq!(outcome_of(Protocol::V2, response("500 Oops", "", THREE)).await.unwrap(), json!(3));
}

#[tokio::test(start_paused = true)]
async fn answers_of_1_0_are_read_by_1_0_and_by_loose() {
    for protocol in [Protocol::V1, Protocol::Loose, Protocol::Detect] {
        let result = r#"{"result":3,"error":null,"id":1}"#;
        assert_eq!(outcome_of(protocol, ok(result)).await.unwrap(), json!(3), "{protocol:?}");
        let null = r#"{"result":null,"error":null,"id":1}"#;
        assert_eq!(outcome_of(protocol, ok(null)).await.unwrap(), json!(null), "{protocol:?}");
        // Bitcoin Core's errors come with 404 and 500.
        let error = r#"{"result":null,"error":{"code":-5,"message":"no such thing"},"id":1}"#;
        for status in ["404 Not Found", "500 Internal Server Error"] {
            assert!(is_failed(outcome_of(protocol, response(status, "", error)).await), "{protocol:?}");
        }
    }
    let text = r#"{"result":null,"error":"no such thing","id":1}"#;
    let error = outcome_of(Protocol::V1, ok(text)).await.unwrap_err();
    assert_eq!(rpc::chain(&error).to_string(), "the peer answered with an error: no such thing (code -100)");
}

#[tokio::test(start_paused = true)]
async fn what_another_version_answers_breaks_the_rules_of_a_strict_one() {
    let result = outcome_of(Protocol::V2, ok(r#"{"result":3,"error":null,"id":1}"#)).await;
    assert!(matches!(&result, Err(CallError::Protocol { .. })), "{result:?}");
    assert!(rpc::chain(&result.unwrap_err()).to_string().contains("`jsonrpc` is missing"));
    // Beside a status that refuses, what was said is told.
    let error = http_error_of(response("500 No", "", r#"{"result":null,"error":"no","id":1}"#)).await;
    assert_eq!(
        rpc::chain(&error).to_string(),
        r#"http://server.test:8332 answered with the HTTP status 500: {"result":null,"error":"no","id":1}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_plain_text_says_the_status_and_the_text() {
    for (status, headers, text, said) in [
        ("401 Unauthorized", "www-authenticate: Basic realm=\"jsonrpc\"\r\n", "", "its body is empty"),
        ("401 ", "", "Unauthorized\n", "Unauthorized"),
        ("403 Forbidden", "", "Host not\r\nallowed", "Host not  allowed"),
        (
            "415 Unsupported Media Type",
            "content-type: text/plain\r\n",
            "Supplied content type is not allowed",
            "Supplied content type is not allowed",
        ),
        ("500 ", "", r#"{"message":"no"}"#, r#"{"message":"no"}"#),
        ("400 Bad Request", "", r#"{"error":"unauthorized"}"#, r#"{"error":"unauthorized"}"#),
        ("400 Bad Request", "", "[]", "[]"),
        ("304 Not Modified", "", "", "its body is empty"),
    ] {
        let error = http_error_of(response(status, headers, text)).await;
        let number: u16 = status[..3].parse().unwrap();
        assert!(matches!(&error, HttpError::Status { status, .. } if *status == number), "{error:?}");
        assert_eq!(error.status(), Some(number));
        let whole = format!("http://server.test:8332 answered with the HTTP status {number}: {said}");
        assert_eq!(rpc::chain(&error).to_string(), whole);
    }
}

#[tokio::test(start_paused = true)]
async fn success_without_json_is_no_reply() {
    for (status, body, said) in [
        ("200 OK", "<html>\n<title>Welcome</title>", "<html> <title>Welcome</title>"),
        ("200 OK", "", "its body is empty"),
        ("204 No Content", "", "its body is empty"),
        ("200 OK", r#"{"jsonrpc":"2.0","id":1,"resu"#, r#"{"jsonrpc":"2.0","id":1,"resu"#),
    ] {
        let error = http_error_of(response(status, "", body)).await;
        assert!(matches!(error, HttpError::NoReply { .. }), "{error:?}");
        let number = &status[..3];
        let whole =
            format!("http://server.test:8332 answered with the HTTP status {number} and no JSON-RPC: {said}");
        assert_eq!(rpc::chain(&error).to_string(), whole);
    }
}

#[tokio::test(start_paused = true)]
async fn json_that_answers_nothing_breaks_the_protocol() {
    for (body, reason) in [
        // The result of another call is none of this one.
        (r#"{"jsonrpc":"2.0","id":2,"result":3}"#, "it has the id of another call"),
        (r#"{"jsonrpc":"2.0","id":"1","result":3}"#, "it has the id of another call"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[]}"#, "it is a request"),
        ("null", "a message is an object"),
        ("3", "a message is an object"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "it is no reply: invalid request: `method` is missing"),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":3,"error":{"code":1,"message":"m"}}"#,
            "exactly one of `result` and `error`",
        ),
        (r#"{"jsonrpc":"2.0","result":3}"#, "a response without an id"),
        ("[]", "the batch is empty"),
    ] {
        let error = outcome_of(Protocol::V2, ok(body)).await.unwrap_err();
        assert!(matches!(error, CallError::Protocol { .. }), "{body}: {error:?}");
        assert!(rpc::chain(&error).to_string().contains(reason), "{body}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let answer = response(&format!("{status} "), "location: https://other.test/\r\n", "moved");
        let (mut peer, client) = HttpPeer::with(|builder| builder.basic_auth("ann", "secret"));
        let error = call_answered_with(&mut peer, &client, answer).await.unwrap_err();
        assert_eq!(
            rpc::chain(&error).to_string(),
            format!(
                "http://server.test:8332 redirects to https://other.test/ (HTTP status {status}): redirects are not followed"
            )
        );
        assert!(matches!(error, CallError::Http(HttpError::Redirect { .. })));
        assert_eq!(peer.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_breaks_the_exchange_off() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "{\"jsonrpc\":\"2.0\"}\n",
        "HTTP/3 200 OK\r\n\r\n",
    ] {
        let error = http_error_of(answer).await;
        assert!(matches!(error, HttpError::Broken { .. }), "{answer}: {error:?}");
        assert!(
            rpc::chain(&error)
                .to_string()
                .starts_with("the exchange with http://server.test:8332 broke off: "),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_a_secret() {
    for answer in ["nonsense\r\n\r\n".to_owned(), response("401 No", "", "go away"), ok("<html>"), ok("")] {
        let (mut peer, client) = HttpPeer::with(|builder| builder.basic_auth("user-name", "pass-word"));
        let error = call_answered_with(&mut peer, &client, answer).await.unwrap_err();
        let shown = format!("{error:?} {}", in_full(&error));
        // The path may hold a key, as it does with hosted nodes.
        for secret in ["user-name", "pass-word", "dXNlci", "wallet"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
