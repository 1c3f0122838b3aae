//! Untyped services that many tests need.

use rpc::{Context, Params, Router};
use serde_json::Value;

use crate::Gate;

/// `echo` gives its parameters back at once, `later` after others had a turn.
pub fn echo() -> Router {
    Router::new().method("echo", async |params: Params, _: Context| params.parse::<Value>()).method(
        "later",
        async |params: Params, _: Context| {
            tokio::task::yield_now().await;
            params.parse::<Value>()
        },
    )
}

/// The same, and `wait`, which gives its parameters back when it was let through `gate`.
pub fn waiting(gate: &Gate) -> Router {
    let gate = gate.clone();
    echo().method("wait", move |params: Params, _: Context| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            params.parse::<Value>()
        }
    })
}
