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
async fn more_than_16_are_not_and_nothing_more_is_read() {
    for endless in [CONTINUE, HINTS] {
        let (mut peer, client) = HttpPeer::of_client();
        let call = async { client.call::<u8>("add", (1, 2)).without_timeout().await };
        let (outcome, taken) = tokio::join!(call, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write_until_closed(endless.as_bytes()).await
        });
        let error = outcome.expect_err("there is no answer");
        assert!(matches!(error, CallError::Http(HttpError::Broken { .. })), "{error:?}");
        let told = "more than 16 interim answers (1xx) have come, and no final one";
        assert!(in_full(&error).ends_with(told), "{}", in_full(&error));
        // Besides what the pipe between them holds.
        assert!(taken < 1 << 20, "{taken} bytes");
        // The next call has a connection of its own.
        let answer =
            call_answered_with(&mut peer, &client, ok(r#"{"jsonrpc":"2.0","id":2,"result":3}"#)).await;
        assert_eq!(answer.expect("a reply"), 3);
    }
}
