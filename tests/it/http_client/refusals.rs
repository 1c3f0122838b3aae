//! What a caller sees of an answer that refuses: the status, the headers, and when to try again.

use std::time::Duration;

use rpc::{BatchError, CallError, Executed, HttpError, Protocol};
use rpc_tests::http::{HttpPeer, response};
use serde_json::Value;

use super::call_answered_with;

async fn error_of(answer: &str) -> HttpError {
    let (mut peer, client) = HttpPeer::with(|builder| builder.protocol(Protocol::V2));
    match call_answered_with(&mut peer, &client, answer).await {
        Err(CallError::Http(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The error of a client that sends too much is matched without a number, and so is that of a
/// server that is down. What both say besides is at hand.
#[tokio::test(start_paused = true)]
async fn too_many_requests_and_unavailable_are_kinds_of_their_own() {
    let error =
        error_of(&response("429 Too Many Requests", "retry-after: 7\r\nx-quota: 100\r\n", "slow down")).await;
    assert!(matches!(error, HttpError::TooManyRequests { .. }), "{error:?}");
    assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(7))));
    assert_eq!(error.executed(), Executed::No);
    assert_eq!(error.headers().expect("an answer")["x-quota"], "100");
    assert_eq!(
        error.to_string(),
        "http://server.test:8332 answered with the HTTP status 429: slow down (it says to try again in 7s)"
    );

    let headers = "date: Tue, 01 Dec 2026 12:00:00 GMT\r\nretry-after: Tue, 01 Dec 2026 12:01:30 GMT\r\n";
    let error = error_of(&response("503 Service Unavailable", headers, "Work queue depth exceeded")).await;
    assert!(matches!(error, HttpError::Unavailable { .. }), "{error:?}");
    assert_eq!((error.status(), error.retry_after()), (Some(503), Some(Duration::from_secs(90))));
    // A proxy says so of a server that has broken off, too.
    assert_eq!(error.executed(), Executed::Perhaps);

    let error = error_of(&response("503 Service Unavailable", "", "")).await;
    assert_eq!(error.retry_after(), None);
    assert_eq!(
        error.to_string(),
        "http://server.test:8332 answered with the HTTP status 503: its body is empty"
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_that_is_an_error_has_its_headers() {
    for (status, more) in [
        ("401 Unauthorized", ""),
        ("500 Internal Server Error", ""),
        ("308 Permanent Redirect", "location: /next\r\n"),
        ("200 OK", ""),
    ] {
        let headers = format!("www-authenticate: Basic realm=\"node\"\r\nretry-after: 3\r\n{more}");
        let error = error_of(&response(status, &headers, "<html>")).await;
        assert_eq!(
            error.headers().expect("an answer")["www-authenticate"],
            "Basic realm=\"node\"",
            "{error:?}"
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)), "{error:?}");
    }
    let error = error_of("no HTTP\r\n\r\n").await;
    assert!(error.headers().is_none() && error.retry_after().is_none(), "{error:?}");
}

/// A cookie is a credential: programs can read it, and logs have its name.
#[tokio::test(start_paused = true)]
async fn values_of_headers_are_not_shown() {
    let error = error_of(&response("429 Slow", "set-cookie: session=ducks\r\n", "")).await;
    assert_eq!(error.headers().expect("an answer")["set-cookie"], "session=ducks");
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(shown.contains("set-cookie") && !shown.contains("ducks"), "{shown}");
}

/// Batches and notifications, too.
#[tokio::test(start_paused = true)]
async fn whatever_was_posted_is_refused_alike() {
    let busy = response("429 Slow", "retry-after: 7\r\n", "");
    let (mut peer, client) = HttpPeer::of_client();
    let posted = async {
        let batch = client.batch([client.call::<Value>("a", ())]).await;
        let batch = batch.expect_err("it is refused");
        (batch, client.notify("a", ()).await.expect_err("it is refused"))
    };
    let ((batch, notification), ()) = tokio::join!(posted, async {
        let mut connection = peer.accept().await;
        for _ in 0..2 {
            connection.request().await;
            connection.write(&busy).await;
        }
    });
    let BatchError::Http(of_batch) = batch else { panic!("{batch:?}") };
    let CallError::Http(of_notification) = notification else { panic!("{notification:?}") };
    for error in [of_batch, of_notification] {
        assert!(matches!(error, HttpError::TooManyRequests { .. }), "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}
