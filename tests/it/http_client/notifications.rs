//! Notifications over HTTP: whatever is answered to them, only the status counts.

use rpc::{CallError, HttpError, Protocol};
use rpc_tests::http::{HttpPeer, ok, response};

#[tokio::test(start_paused = true)]
async fn what_is_answered_to_a_notification_matches_nothing() {
    let (mut peer, client) = HttpPeer::of_client();
    let answers = [
        ok(""),
        response("202 Accepted", "", ""),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        ok("null"),
        ok(r#"{"jsonrpc":"2.0","result":3}"#),
        ok(r#"{"jsonrpc":"2.0","id":0,"result":3}"#),
        ok(r#"{"jsonrpc":"2.0","id":1,"result":3}"#),
        ok(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no id"}}"#),
        ok("<html>"),
    ];
    let served = async {
        let mut connection = peer.accept().await;
        for answer in &answers {
            connection.request().await;
            connection.write(answer).await;
        }
        // The call after them is not mistaken for any.
        connection.serve(|_| r#"{"jsonrpc":"2.0","id":1,"result":4}"#.to_owned()).await;
        connection
    };
    let calls = async {
        for answer in &answers {
            client.notify("log", ("x",)).await.unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
        client.call::<u8>("add", (2, 2)).await
    };
    let (_connection, sum) = tokio::join!(served, calls);
    assert_eq!(sum.unwrap(), 4);
    assert_eq!(peer.connections(), 1, "answers were read to their end, and the connection was used again");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_error() {
    for (status, body) in [
        ("401 Unauthorized", ""),
        ("500 ", r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#),
    ] {
        let (mut peer, client) = HttpPeer::with(|builder| builder.protocol(Protocol::V1));
        let (outcome, ()) = tokio::join!(async { client.notify("log", ("x",)).await }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(response(status, "", body)).await;
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, CallError::Http(HttpError::Status { .. })), "{error:?}");
    }
}
