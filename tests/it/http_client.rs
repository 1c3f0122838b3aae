//! Calls over HTTP, to a server that is played by hand and to a real one.

mod answers;
mod batches;
mod connections;
mod interim;
mod limits;
mod notifications;
mod refusals;
mod requests;
mod timeouts;
mod tls;
mod typed;

use std::error::Error;

use rpc::{CallError, HttpClient};
use rpc_tests::http::{HttpConnection, HttpPeer};
use serde_json::Value;

/// Makes a call, and answers it with `answer` as it is.
async fn call_answered_with(
    peer: &mut HttpPeer,
    client: &HttpClient,
    answer: impl AsRef<[u8]>,
) -> Result<Value, CallError> {
    let (outcome, _connection) = tokio::join!(async { client.call::<Value>("add", (1, 2)).await }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(answer).await;
        connection
    });
    outcome
}

/// The same, over a connection that is there already.
async fn call_over(
    connection: &mut HttpConnection,
    client: &HttpClient,
    answer: &str,
) -> Result<Value, CallError> {
    let call = async { client.call::<Value>("add", (1, 2)).await };
    let (outcome, _) = tokio::join!(call, connection.serve(|_| answer.to_owned()));
    outcome
}

/// What an error says, with all its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
