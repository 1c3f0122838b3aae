//! What both sides serve beside the trait of `service.rs`: requests that are taken back, and work that reports how far it is.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use futures::{
    Stream, StreamExt,
    future::{Either, pending, select},
    stream,
};
use rpc::{CallError, Context, ErrorCode, ErrorObject, Progress, rpc_service};

#[rpc_service(rename_all = "camelCase")]
pub(crate) trait Work {
    /// Never answers.
    async fn wait(&self);

    /// How many do.
    async fn waiting(&self) -> u32;

    /// Lets whoever calls wait for nothing, takes it back, and gives how many of theirs were waiting meanwhile, and are at last.
    async fn give_up(&self, #[rpc(context)] cx: &Context) -> Result<(u32, u32), ErrorObject>;

    /// Counts from one, and gives the sum.
    #[rpc(subscription, style = "progress")]
    async fn count(&self, to: u32) -> impl Stream<Item = Progress<u32, u32>>;

    /// Counts from one, and says nothing more then.
    #[rpc(subscription, item = "tick", unsubscribe = "unticks")]
    async fn ticks(&self, to: u32) -> impl Stream<Item = u32>;

    /// Lets whoever calls count, and gives the steps and the sum.
    async fn follow(&self, #[rpc(context)] cx: &Context, to: u32) -> Result<(Vec<u32>, u32), ErrorObject>;
}

#[derive(Debug, Default)]
pub(crate) struct MyWork {
    waiting: AtomicU32,
}

/// Counts one that waits, until it does not.
struct Waits<'a>(&'a AtomicU32);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Work for MyWork {
    async fn wait(&self) {
        self.waiting.fetch_add(1, SeqCst);
        let _waits = Waits(&self.waiting);
        pending::<()>().await;
    }

    async fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    async fn give_up(&self, cx: &Context) -> Result<(u32, u32), ErrorObject> {
        let theirs = WorkClient::from(cx.session().clone());
        let before = {
            let wait = pin!(theirs.wait().into_future());
            // Begun in this order, and so sent.
            match select(wait, pin!(theirs.waiting().into_future())).await {
                Either::Right((waiting, _)) => waiting.map_err(failed)?,
                Either::Left((ended, _)) => {
                    return Err(ErrorObject::new(1, format!("it has ended: {ended:?}")));
                }
            }
        };
        Ok((before, theirs.waiting().await.map_err(failed)?))
    }

    async fn count(&self, to: u32) -> impl Stream<Item = Progress<u32, u32>> {
        stream::iter(1..=to).map(Progress::Step).chain(stream::iter([Progress::Done((1..=to).sum())]))
    }

    async fn ticks(&self, to: u32) -> impl Stream<Item = u32> {
        stream::iter(1..=to)
    }

    async fn follow(&self, cx: &Context, to: u32) -> Result<(Vec<u32>, u32), ErrorObject> {
        let mut work = WorkClient::from(cx.session().clone()).count(to).await.map_err(failed)?;
        let mut steps = Vec::new();
        while let Some(item) = work.next().await {
            match item.map_err(|error| {
                ErrorObject::new(ErrorCode::INTERNAL_ERROR, rpc::chain(&error).to_string())
            })? {
                Progress::Step(step) => steps.push(step),
                Progress::Done(sum) => return Ok((steps, sum)),
            }
        }
        Err(ErrorObject::new(1, "it has no end"))
    }
}

fn failed(error: CallError) -> ErrorObject {
    ErrorObject::new(ErrorCode::INTERNAL_ERROR, rpc::chain(&error).to_string())
}
