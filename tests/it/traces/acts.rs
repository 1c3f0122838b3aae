//! A service whose handlers end in every way, and say in the log what they do.

use std::fmt::Debug;

use futures::{Stream, StreamExt, stream};
use rpc::{ErrorObject, rpc_service};
use rpc_tests::Gate;
use serde::{Deserialize, Deserializer, Serialize};
use tracing::Span;

#[rpc_service]
pub(super) trait Acts {
    async fn value(&self, n: u64) -> u64;
    fn plain(&self, n: u64) -> u64;
    #[rpc(blocking)]
    fn blocking(&self, n: u64) -> bool;
    async fn later(&self, n: u64) -> u64;
    async fn fail(&self, n: u64) -> Result<u64, ErrorObject>;
    async fn fail_later(&self, n: u64) -> Result<u64, ErrorObject>;
    async fn burst(&self, n: u64) -> u64;
    async fn burst_later(&self, n: u64) -> u64;
    async fn hang(&self, n: u64) -> u64;
    #[rpc(subscription)]
    async fn count(&self, n: u64) -> Result<impl Stream<Item = u64>, ErrorObject>;
    #[rpc(subscription)]
    async fn watch(&self, what: Unreadable) -> impl Stream<Item = u64>;
}

/// Whose author has made a mistake.
#[derive(Debug, Serialize)]
pub(super) struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("it cannot be read")
    }
}

#[derive(Debug, Clone)]
pub(super) struct Actor(pub(super) Gate);

/// An event of the user's, which names the handler that it is in.
pub(super) fn say(handler: &'static str) {
    tracing::info!(target: "user", handler, "a handler says");
}

/// Says so, after others had a turn and a task of its own has said something elsewhere.
async fn wait_and_say(handler: &'static str) {
    say(handler);
    let elsewhere = tokio::spawn(async { tracing::info!(target: "user", "elsewhere") });
    elsewhere.await.expect("no panic");
    say(handler);
}

/// Says so when it is dropped.
struct SaysWhenDropped(&'static str);

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        say(self.0);
    }
}

impl Acts for Actor {
    async fn value(&self, n: u64) -> u64 {
        say("value");
        n
    }

    fn plain(&self, n: u64) -> u64 {
        say("plain");
        n
    }

    /// Whether it is in the span, on the thread that it has.
    fn blocking(&self, _: u64) -> bool {
        Span::current().metadata().is_some_and(|span| span.target() == "rpc::request")
    }

    async fn later(&self, n: u64) -> u64 {
        wait_and_say("later").await;
        n
    }

    async fn fail(&self, _: u64) -> Result<u64, ErrorObject> {
        say("fail");
        Err(ErrorObject::new(-7, "it fails"))
    }

    async fn fail_later(&self, _: u64) -> Result<u64, ErrorObject> {
        wait_and_say("fail_later").await;
        Err(ErrorObject::new(-7, "it fails"))
    }

    async fn burst(&self, _: u64) -> u64 {
        say("burst");
        panic!("it bursts")
    }

    async fn burst_later(&self, _: u64) -> u64 {
        wait_and_say("burst_later").await;
        panic!("it bursts")
    }

    async fn hang(&self, n: u64) -> u64 {
        let _says = SaysWhenDropped("hang");
        wait_and_say("hang").await;
        self.0.pass().await;
        n
    }

    async fn count(&self, n: u64) -> Result<impl Stream<Item = u64>, ErrorObject> {
        wait_and_say("count").await;
        match n {
            0 => Err(ErrorObject::new(-7, "it fails")),
            _ => Ok(stream::iter(0..n).inspect(|_| say("count"))),
        }
    }

    async fn watch(&self, _: Unreadable) -> impl Stream<Item = u64> {
        stream::empty()
    }
}
