//! One message, and the answer to it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use super::{Dispatcher, requests::MessageRequests};
use crate::{
    jsonrpc::{Connection, ErrorObject, Events, Id, Rest, Skim, Step, Verdict, version::Version},
    service::{peer::OneShot, routes::Routes},
    session::{Ending, log_refused},
    transport::{Endpoint, Extensions},
};

/// The result of a message: see [`Dispatcher::exchange`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// The answer, where one is due.
    pub answer: Option<Bytes>,
    /// The cost of the message, by the numbers in [`Limits`](crate::Limits): for its bytes and
    /// those of its answer, for broken rules, and what its handlers have
    /// [added](crate::Session::add_cost).
    pub cost: f64,
}

impl Dispatcher {
    /// Answers a message that is read in `version`.
    pub(super) async fn answer(
        &self,
        version: Version,
        message: &[u8],
        extensions: Extensions,
    ) -> Option<Bytes> {
        self.exchange_in(version, message, Endpoint::MEMORY, extensions).await.answer
    }

    pub(super) async fn exchange_in(
        &self,
        version: Version,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> Exchange {
        self.exchange_until::<false>(version, message, peer, extensions).await.0
    }

    /// Like [`exchange`](Self::exchange), where the answer does not wait for the handlers of
    /// notifications. The second value drives those that are still in flight: the caller has to
    /// spawn it. They count as shielded work.
    #[cfg(feature = "http")]
    pub(crate) async fn exchange_calls(
        &self,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> (Exchange, Option<BoxFuture<'static, ()>>) {
        self.exchange_until::<true>(self.shared.version, message, peer, extensions).await
    }

    /// With `CALLS` the answer waits for the handlers of calls only. Without it the second value is
    /// `None`.
    async fn exchange_until<const CALLS: bool>(
        &self,
        version: Version,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> (Exchange, Option<BoxFuture<'static, ()>>) {
        let limits = self.limits();
        if message.len() > limits.frame_size {
            let mut out = Vec::new();
            refuse_too_large(&peer, version, message, limits.frame_size, &mut out);
            let answer = (!out.is_empty()).then(|| out.into());
            return (Exchange { answer, cost: limits.cost_of_unreadable }, None);
        }
        let version = version.decided_by(message).unwrap_or(version);
        let one_shot = OneShot::new(&self.shared.policy, peer, version, extensions);
        let ends = EndOnDrop(Arc::clone(&one_shot));
        let mut unserved = UnservedRequests::of(version, message, &one_shot);
        let Some(routes) = self.routes(&one_shot) else {
            unserved.ending = Ending::Panicked;
            let mut out = Vec::new();
            version.put_error(&mut out, Id::NULL, &ErrorObject::internal());
            return (Exchange { answer: Some(out.into()), cost: 0.0 }, None);
        };
        let mut requests = MessageRequests::new(self, routes, &one_shot, version);
        while let Some(step) = unserved.events.step(requests.connection()) {
            match step {
                Step::Request(request) => {
                    requests.receive(&request.into_unchecked(), message, None).await;
                }
                Step::Member(request, member, text) => {
                    requests.receive(&request.into_unchecked(), text.as_bytes(), Some(member)).await;
                }
                Step::Malformed(malformed, member) => requests.malformed(&malformed, member),
                Step::BatchEnd(batch) => requests.end_batch(batch),
                // Not a request: nothing was called from here.
                Step::Answer(..) | Step::Refusal(_) | Step::Unmatched(_) | Step::Ended((), _) => {
                    requests.broke_rule();
                }
            }
        }
        while !requests.are_done() && (requests.have_calls() || !CALLS) {
            requests.finish_one().await;
        }
        let (answer, cost) = requests.answer(message.len());
        let left = (!requests.are_done()).then(|| {
            let counted = self.shared.policy.shielded_work.token();
            async move {
                let (_until_then, mut requests) = ((ends, counted), requests);
                while !requests.are_done() {
                    requests.finish_one().await;
                }
            }
            .boxed()
        });
        (Exchange { answer, cost: one_shot.cost(cost) }, left)
    }

    /// The services for one message. `None` if a factory has panicked.
    fn routes(&self, one_shot: &OneShot) -> Option<Routes> {
        let services = &self.shared.services;
        if !services.need_session() {
            return Some(services.shared());
        }
        // The factory of a service is code of the application.
        let made = catch_unwind(AssertUnwindSafe(|| services.for_session(one_shot.session())));
        if made.is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "making a service for a message panicked");
        }
        made.ok()
    }
}

/// Ends the message when its exchange is over, answered or dropped: tasks with a context of it are
/// told.
struct EndOnDrop(Arc<OneShot>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The requests of a message that are not dispatched yet. Those that never are, because the future
/// was dropped or a factory panicked, are logged as ended when this is dropped.
struct UnservedRequests<'m> {
    events: Events<'m, ()>,
    version: Version,
    one_shot: &'m OneShot,
    ending: Ending,
}

impl<'m> UnservedRequests<'m> {
    fn of(version: Version, message: &'m [u8], one_shot: &'m OneShot) -> Self {
        // Checked before the first handler runs: a later failure to decode cannot be judged against
        // the message again.
        let events = Events::of(version, version.read_checked(message));
        Self { events, version, one_shot, ending: Ending::Abandoned }
    }
}

impl Drop for UnservedRequests<'_> {
    fn drop(&mut self) {
        let mut connection = Connection::of(self.version);
        while let Some(step) = self.events.step(&mut connection) {
            if let Step::Request(request) | Step::Member(request, ..) = step {
                self.one_shot.trace(&request.into_unchecked()).end(self.ending);
            }
        }
    }
}

/// Answers a message that exceeds the size limit and is not read, unless it is a response or a
/// notification.
fn refuse_too_large(peer: &Endpoint, version: Version, message: &[u8], limit: usize, out: &mut Vec<u8>) {
    let mut skim = Skim::default();
    skim.read(message, |_| {});
    let id = match skim.verdict(version, Rest::Nothing) {
        Verdict::Error(id) => id,
        Verdict::Unreadable => Id::NULL,
        Verdict::Unknown | Verdict::Silence => return,
    };
    let error = ErrorObject::too_large(message.len(), true, limit);
    log_refused(Some(id), &error, None, peer);
    skim.answered_in(version).put_error(out, id, &error);
}
