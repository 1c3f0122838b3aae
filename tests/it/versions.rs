//! What each version takes, gives and refuses, row by row of the guide's table; and how a version is detected.

mod as_client;
mod as_server;
mod detect;

use rpc::{Context, Params, Protocol, Router, Session};
use rpc_tests::{Raw, echo};
use tokio::io::DuplexStream;

/// The versions that rows are about, in the order of their columns.
const COLUMNS: [Protocol; 3] = [Protocol::V1, Protocol::V2, Protocol::Loose];

/// Nothing is answered.
const SILENCE: &str = "";

/// `echo` gives its parameters back, `note` is a notification.
fn service() -> Router {
    echo().notification("note", async |_: Params, _: Context| {})
}

/// A session of one version.
async fn speaking(protocol: Protocol) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| connector.protocol(protocol).service(service())).await
}

/// Whether `got` is `expected`, where `…` stands for the words of an error.
fn is_like(got: &str, expected: &str) -> bool {
    match expected.split_once('…') {
        None => got == expected,
        Some((before, after)) => {
            got.len() > before.len() + after.len() && got.starts_with(before) && got.ends_with(after)
        }
    }
}

/// An error, in the form of 2.0.
fn error_2_0(id: &str, code: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"…"}}}}"#)
}

/// An error, in the form of 1.0.
fn error_1_0(id: &str, code: i64) -> String {
    format!(r#"{{"result":null,"error":{{"code":{code},"message":"…"}},"id":{id}}}"#)
}

/// What `echo` gives for `[1]`, in the form of 2.0.
fn echo_2_0(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[1]}}"#)
}

/// What `echo` gives for `[1]`, in the form of 1.0.
fn echo_1_0(id: &str) -> String {
    format!(r#"{{"result":[1],"error":null,"id":{id}}}"#)
}
