//! Handlers that report how far their work is, and answer at its end.

use std::{future::poll_fn, pin::pin};

use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use super::Sink;
use crate::{
    jsonrpc::{ErrorObject, Progress, RpcError, subscription::ItemWriter},
    session::{Gone, Returns},
};

/// What the items of work are: [`Progress`], and nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no item of a stream in a style of progress",
    label = "the items of this stream are not `rpc::Progress`",
    note = "write `impl Stream<Item = Progress<Step, Result>>`: steps, and at last what the call returns"
)]
pub trait Report {
    /// What a step is.
    type Step: Serialize;
    /// What the call returns.
    type Done: Serialize;

    /// The item itself.
    fn into_progress(self) -> Progress<Self::Step, Self::Done>;
}

impl<S: Serialize, D: Serialize> Report for Progress<S, D> {
    type Step = S;
    type Done = D;

    fn into_progress(self) -> Self {
        self
    }
}

impl Sink {
    /// Reports the steps of the stream to the one who asked, where that is wanted, and answers with what it comes to.
    ///
    /// `FALLIBLE` says whether the handler returned a `Result`, `ITEMS` whether the items are.
    pub async fn run_work<const FALLIBLE: bool, const ITEMS: bool, R>(self, returned: R)
    where
        R: Returns<FALLIBLE, Value: Stream<Item: Returns<ITEMS, Value: Report>>>,
    {
        let result = match returned.into_result() {
            Ok(stream) => self.work(stream).await,
            Err(error) => Err(error.to_error_object()),
        };
        self.link.finish_work(self.number.get(), &result);
    }

    /// Gives the JSON of the result.
    async fn work<const ITEMS: bool, T>(&self, stream: impl Stream<Item = T>) -> Result<Vec<u8>, ErrorObject>
    where
        T: Returns<ITEMS, Value: Report>,
    {
        let number = self.number.get();
        let mut stream = pin!(stream);
        let mut writer = self.token.as_ref().map(|token| ItemWriter::of_work(self.info, token));
        if let Some(writer) = &writer {
            self.link.accept_work(number, writer.clone(), self.bounds());
        }
        while let Some(item) = stream.next().await {
            let item = item.into_result().map_err(|error| error.to_error_object())?;
            let step = match item.into_progress() {
                Progress::Step(step) => step,
                Progress::Done(done) => {
                    let mut result = Vec::new();
                    self.write::<false, _>(done, &mut result)?;
                    return Ok(result);
                }
            };
            self.link.work_goes_on(number, Instant::now());
            if let Some(reports) = &writer {
                let mut body = Vec::new();
                reports.item(&mut body, |out| self.write::<false, _>(step, out))?;
                let room = match self.link.push_item(number, body) {
                    Ok(true) => Ok(()),
                    Ok(false) => poll_fn(|cx| self.link.poll_feed_room(number, cx)).await,
                    Err(gone) => Err(gone),
                };
                if room == Err(Gone) {
                    // Nobody takes reports any more; the result is waited for all the same.
                    writer = None;
                }
            }
        }
        tracing::error!(
            rpc.system.name = "jsonrpc",
            rpc.method = self.method,
            "the stream has ended without `Progress::Done`"
        );
        Err(ErrorObject::internal())
    }
}
