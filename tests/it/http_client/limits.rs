//! Answers that are too large: refused as soon as that is known.

use rpc::{CallError, HttpClientBuilder, HttpError, Limits};
use rpc_tests::{
    Events,
    http::{HttpPeer, response},
};
use tracing::Level;

use super::call_answered_with;

fn small(builder: HttpClientBuilder) -> HttpClientBuilder {
    let mut limits = Limits::client();
    limits.frame_size = 1000;
    builder.limits(limits)
}

/// A reply of so many bytes.
fn reply(size: usize) -> String {
    let empty = r#"{"jsonrpc":"2.0","id":1,"result":""}"#;
    empty.replace(r#":"""#, &format!(r#":"{}""#, "x".repeat(size - empty.len())))
}

#[tokio::test(start_paused = true)]
async fn an_answer_up_to_the_limit_is_read() {
    for chunked in [false, true] {
        let body = reply(1000);
        let answer = match chunked {
            false => response("200 OK", "", &body),
            true => {
                let (first, rest) = body.split_at(900);
                format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n384\r\n{first}\r\n64\r\n{rest}\r\n0\r\n\r\n"
                )
            }
        };
        let (mut peer, client) = HttpPeer::with(small);
        assert!(call_answered_with(&mut peer, &client, answer).await.unwrap().is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_0_is_none() {
    let mut limits = Limits::client();
    limits.frame_size = 0;
    let (mut peer, client) = HttpPeer::with(|builder| builder.limits(limits));
    let answer = response("200 OK", "", &reply(20_000_000));
    assert!(call_answered_with(&mut peer, &client, answer).await.unwrap().is_string());
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_too_large_is_refused_before_it_comes() {
    for size in ["1001", "1099511627776", "18446744073709551615"] {
        let (mut peer, client) = HttpPeer::with(small);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        let events = Events::capture();
        let error = call_answered_with(&mut peer, &client, head).await.unwrap_err();
        match &error {
            CallError::Http(HttpError::TooLarge { declared, limit: 1000, .. }) => {
                assert_eq!(*declared, Some(size.parse().unwrap()));
            }
            // hyper keeps the two largest numbers for itself.
            CallError::Http(HttpError::Broken { .. }) if size.len() == 20 => continue,
            other => panic!("{other:?}"),
        }
        let said = format!(
            "the answer of http://server.test:8332 has {size} bytes: the limit is 1000 (`frame_size`)"
        );
        assert_eq!(rpc::chain(&error).to_string(), said);
        let told: Vec<_> =
            events.all().into_iter().filter(|event| event.message.contains("Limits::frame_size")).collect();
        // What is a little too large is told to the caller, and what is far too large in the log as well.
        assert_eq!(told.len(), usize::from(size != "1001"), "{told:?}");
        assert!(
            told.iter().all(|event| event.level == Level::WARN && event.field("size") == size),
            "{told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_refused_at_the_limit() {
    let (mut peer, client) = HttpPeer::with(small);
    let served = async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        connection.write_until_closed(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes()).await
    };
    let (outcome, written) = tokio::join!(async { client.call::<String>("m", ()).await }, served);
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, CallError::Http(HttpError::TooLarge { declared: None, limit: 1000, .. })),
        "{error:?}"
    );
    assert_eq!(
        rpc::chain(&error).to_string(),
        "the answer of http://server.test:8332 has more than 1000 bytes: the limit is 1000 (`frame_size`)"
    );
    // The connection holds 64 KiB, and hyper reads ahead; after that it was closed.
    assert!(written < 1_000_000, "{written}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_too_large_is_told_by_its_start() {
    let body = format!("{}{}", "no ".repeat(10), "x".repeat(5000));
    let endless = format!("HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n{body}");
    for answer in [response("503 Busy", "", &body), endless] {
        let (mut peer, client) = HttpPeer::with(small);
        let error = call_answered_with(&mut peer, &client, answer).await.unwrap_err();
        match error {
            CallError::Http(HttpError::Unavailable { text, .. }) => {
                assert!(text.starts_with("no no no"), "{text}");
                assert_eq!(text.chars().count(), 201);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn headers_without_end_are_refused() {
    let (mut peer, client) = HttpPeer::of_client();
    let served = async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write("HTTP/1.1 200 OK\r\n").await;
        connection
            .write_until_closed(
                b"x-filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
            )
            .await
    };
    let (outcome, written) = tokio::join!(async { client.call::<String>("m", ()).await }, served);
    let error = outcome.unwrap_err();
    assert!(matches!(error, CallError::Http(HttpError::Broken { .. })), "{error:?}");
    assert!(written < 1_000_000, "{written}");
}
