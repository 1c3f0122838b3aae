//! Answers with a status of 1xx: passed over, and not without end.

use rpc::{CallError, HttpError};
use rpc_tests::http::{HttpPeer, ok};

use super::{call_answered_with, in_full};

const REPLY: &str = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn interim_answers_are_passed_over() {
    for before in [CONTINUE.to_owned(), HINTS.to_owned(), HINTS.repeat(15) + CONTINUE] {
        let (mut peer, client) = HttpPeer::of_client();
        let answer = call_answered_with(&mut peer, &client, before + &ok(REPLY)).await;
        assert_eq!(answer.expect("a reply"), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_16_are_too_many_whatever_follows() {
    for (interim, times) in [(CONTINUE, 17), (HINTS, 17), (CONTINUE, 500)] {
        let (mut peer, client) = HttpPeer::of_client();
        let answer = interim.repeat(times) + &ok(REPLY);
        let error = call_answered_with(&mut peer, &client, answer).await.expect_err("it is too much");
        assert!(matches!(error, CallError::Http(HttpError::Broken { .. })), "{error:?}");
        let told = "more than 16 interim answers (1xx) have come, and no final one";
        assert!(in_full(&error).ends_with(told), "{}", in_full(&error));
        // The next call has a connection of its own.
        let reply = ok(r#"{"jsonrpc":"2.0","id":2,"result":3}"#);
        let answer = call_answered_with(&mut peer, &client, reply).await;
        assert_eq!(answer.expect("a reply"), 3);
    }
}
