//! Handlers that report their progress, and answer at the end.

use std::pin::pin;

use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use super::subscribe::{Sink, StreamTarget, YIELD_AFTER, capacity_for};
use crate::{
    jsonrpc::{
        ErrorCode, ErrorObject, Overflow, Progress, RpcError, SubscriptionStyle, subscription::ItemWriter,
    },
    session::{Gone, Pushed, Returns},
};

/// The item of a stream that reports progress: [`Progress`], and no other type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no item of a stream in a style of progress",
    label = "the items of this stream are not `rpc::Progress`",
    note = "write `impl Stream<Item = Progress<Step, Result>>`: steps, and at last what the call returns"
)]
pub trait Report {
    /// The type of a step.
    type Step: Serialize;
    /// The type of the result of the call.
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
    /// Reports the steps of the stream, where the peer wants reports, and answers with the result.
    ///
    /// `FALLIBLE` says whether the handler returned a `Result`; `ITEMS`, whether the items are
    /// results.
    pub async fn run_work<const FALLIBLE: bool, const ITEMS: bool, R>(self, returned: R)
    where
        R: Returns<FALLIBLE, Value: Stream<Item: Returns<ITEMS, Value: Report>>>,
    {
        let result = match returned.into_result() {
            Ok(stream) => self.report_steps(stream).await,
            Err(error) => Err(error.to_error_object()),
        };
        match &self.target {
            StreamTarget::Session { shared, number } => shared.finish_work(number.get(), &result),
            StreamTarget::Message { progress, .. } => progress.finish(result),
        }
    }

    /// Returns the JSON of the result.
    async fn report_steps<const ITEMS: bool, T>(
        &self,
        stream: impl Stream<Item = T>,
    ) -> Result<Vec<u8>, ErrorObject>
    where
        T: Returns<ITEMS, Value: Report>,
    {
        let mut stream = pin!(stream);
        let mut writer = self.token.as_ref().map(|token| ItemWriter::of_work(self.info, token));
        if let (Some(writer), StreamTarget::Session { shared, number }) = (&writer, &self.target) {
            shared.accept_work(number.get(), self.info, writer.clone());
        }
        let mut body = Vec::new();
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
            let now = Instant::now();
            let (shared, number) = match &self.target {
                StreamTarget::Session { shared, number } => (shared, number.get()),
                StreamTarget::Message { progress, .. } => {
                    progress.record_step(now);
                    continue;
                }
            };
            let Some(reports) = &writer else {
                shared.work_goes_on(number, now);
                continue;
            };
            body.clear();
            body.shrink_to(YIELD_AFTER);
            reports.item(&mut body, |out| self.write_step(step, out))?;
            let capacity = loop {
                match shared.push_report(number, &body, now) {
                    Ok(Pushed::More) => break Ok(()),
                    Ok(Pushed::Full) => break capacity_for(shared, number, 1).await,
                    Ok(Pushed::Waits) => match capacity_for(shared, number, body.len()).await {
                        Ok(()) => {}
                        Err(gone) => break Err(gone),
                    },
                    Err(gone) => break Err(gone),
                }
            };
            if capacity == Err(Gone) {
                if self.info.overflow() == Overflow::End {
                    return Err(ErrorObject::new(
                        ErrorCode::SERVER_BUSY,
                        "the one who asked is too slow to take the reports",
                    ));
                }
                // Another request has taken the token: no more reports, but the result is still
                // due.
                writer = None;
            }
        }
        Err(self.mistake_of_service("the stream has ended without `Progress::Done`"))
    }

    /// Appends the JSON of a step.
    fn write_step(&self, step: impl Serialize, out: &mut Vec<u8>) -> Result<(), ErrorObject> {
        let start = out.len();
        self.write::<false, _>(step, out)?;
        match (self.info.style(), out.get(start)) {
            (SubscriptionStyle::McpProgress, Some(b'{')) | (SubscriptionStyle::Progress, _) => Ok(()),
            _ => Err(self
                .mistake_of_service("a step is no object, and its members have to stand beside the token")),
        }
    }

    /// Logs a mistake of the service. The peer gets an internal error without the reason.
    fn mistake_of_service(&self, what: &str) -> ErrorObject {
        tracing::error!(rpc.system.name = "jsonrpc", rpc.method = self.method, "{what}");
        ErrorObject::internal()
    }
}
