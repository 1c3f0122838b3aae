//! Batches: several calls in one message, ours and the peer's.

mod ending;
mod received;
mod refused;
mod replies;
mod sent;

use rpc::{Limits, Session};
use rpc_tests::Raw;
use tokio::io::DuplexStream;

/// A session that serves nothing, and its peer.
fn caller() -> (Raw<DuplexStream>, Session) {
    Raw::peer_of((), Limits::client())
}

/// A request of the peer's, in 2.0.
fn request(id: impl std::fmt::Display, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[{id}]}}"#)
}

/// What a method that gives its parameters back answers it with.
fn result(id: impl std::fmt::Display) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#)
}

fn error(id: impl std::fmt::Display, code: i64, message: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
}

/// The error of a request whose handler was not started.
fn not_begun(id: impl std::fmt::Display, message: &str) -> String {
    let error = format!(r#"{{"code":-102,"message":"{message}","data":{{"executed":false}}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

/// Messages as one batch.
fn batch<T: AsRef<str>>(members: impl IntoIterator<Item = T>) -> String {
    let members: Vec<_> = members.into_iter().map(|member| member.as_ref().to_owned()).collect();
    format!("[{}]", members.join(","))
}
