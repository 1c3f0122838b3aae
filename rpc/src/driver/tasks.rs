//! Handlers that did not finish at once, as tasks of the session.

use std::{future::poll_fn, sync::Arc};

use futures::future::BoxFuture;
use tokio::{task::JoinHandle, time::Instant};

use super::Driver;
use crate::{
    jsonrpc::{Member, UncheckedRequest},
    limits::deadline,
    service::{Finished, RequestNumber, Working},
    session::{Running, TellsWorkEnded, Trace},
};

impl Driver {
    /// Starts a task that finishes the handler and sends the reply, when there is capacity for it. It ends with the session at the latest.
    pub(super) fn start_task(
        &self,
        request: &UncheckedRequest<'_>,
        member: Option<Member>,
        bytes: usize,
        mut handler: Box<dyn Working>,
        trace: Trace,
    ) {
        let is_answered = request.id.is_some();
        let request = self.begin(request, member, bytes, false, trace);
        let link = Arc::clone(&self.link);
        let task = tokio::spawn(async move {
            poll_fn(|cx| handler.poll_finished(cx)).await;
            if is_answered && !link.has_capacity_for_reply(member) {
                // Seldom, and large: a task is moved more than once when it is started.
                Box::pin(link.capacity_for_reply(request, member)).await;
            }
            let Finished { reply, ending } = handler.finish();
            link.reply(request, &reply, ending);
        });
        self.begun(request, &task);
    }

    /// Starts a task that answers by itself, and may go on afterwards. It ends with the session at the latest.
    pub(super) fn start_subscribing(
        &self,
        request: &UncheckedRequest<'_>,
        member: Option<Member>,
        bytes: usize,
        handler: BoxFuture<'static, ()>,
        number: &RequestNumber,
        trace: Trace,
    ) {
        let request = self.begin(request, member, bytes, true, trace);
        number.set(request);
        let ended = TellsWorkEnded(Arc::clone(&self.link));
        let task = tokio::spawn(async move {
            handler.await;
            drop(ended);
        });
        self.begun(request, &task);
    }

    fn begin(
        &self,
        request: &UncheckedRequest<'_>,
        member: Option<Member>,
        bytes: usize,
        subscribes: bool,
        trace: Trace,
    ) -> u64 {
        let timeout = self.link.limits.request_timeout();
        let deadline = timeout.and_then(|after| deadline::after(Instant::now(), after));
        let id = request.id.map(|id| id.to_owned());
        let order = self.routes.order(&request.method).unwrap_or_default();
        self.link.begin(Running {
            id,
            member,
            task: None,
            deadline,
            order,
            subscribes,
            bytes,
            work: self.link.starting(),
            trace,
        })
    }

    fn begun(&self, request: u64, task: &JoinHandle<()>) {
        self.link.begun(request, task.abort_handle());
        // A task that was just started stands in this worker's own slot, which nobody else takes from. Should it compute for long,
        // somebody else has to look after the session: tokio wakes another worker for a loop that is woken.
        self.link.wake();
    }
}
