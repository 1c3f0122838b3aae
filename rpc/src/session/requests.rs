//! The peer's requests in flight, whose handlers have become tasks.

use tokio::{task::AbortHandle, time::Instant};

use super::{calls::is_late, trace::Trace};
use crate::jsonrpc::{BatchId, Member, Order, RequestId, table::Table};

/// Identifies a request for its contexts; 0 is none. Most requests never need one.
pub(crate) type WorkNumber = u64;

/// A request whose handler has become a task.
#[derive(Debug)]
pub(crate) struct Running {
    /// `None` for a notification.
    pub(crate) id: Option<RequestId>,
    /// The place of its reply, if it came in a batch.
    pub(crate) member: Option<Member>,
    /// `None` between adding the entry and spawning the task.
    pub(crate) task: Option<AbortHandle>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) order: Order,
    /// Whether it may become a subscription.
    pub(crate) subscribes: bool,
    /// The size of its message in bytes.
    pub(crate) bytes: usize,
    /// The number that its contexts use; 0 if it has none.
    pub(crate) work: WorkNumber,
    pub(crate) trace: Trace,
}

/// The requests in flight, and shielded work, which takes permits too.
#[derive(Debug)]
pub(crate) struct Requests {
    running: Table<Running>,
    bytes: usize,
    shielded: usize,
    close_after: CloseAfter,
}

impl Requests {
    pub(crate) const fn new() -> Self {
        Self { running: Table::new(), bytes: 0, shielded: 0, close_after: CloseAfter::new() }
    }

    /// The number of requests in flight.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The number of permits that are in use.
    #[inline]
    pub(super) fn permits(&self) -> usize {
        self.running.len() + self.shielded
    }

    /// The bytes of their messages.
    #[inline]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a request whose handler becomes a task.
    pub(crate) fn begin(&mut self, running: Running) -> u64 {
        self.bytes += running.bytes;
        self.running.insert(running)
    }

    pub(crate) fn get_mut(&mut self, request: u64) -> Option<&mut Running> {
        self.running.get_mut(request)
    }

    /// Removes a request that is answered now, or never will be.
    pub(crate) fn finish(&mut self, request: u64) -> Option<Running> {
        let done = self.running.remove(request)?;
        self.bytes -= done.bytes;
        // A notification has no part in the reply to its batch.
        let member = done.member.filter(|_| done.id.is_some());
        self.close_after.request_answered(done.work, member);
        Some(done)
    }

    /// The requests that are late at `now`. Lowers `next` to the earliest deadline of the others.
    pub(crate) fn late(&self, now: Instant, next: &mut Option<Instant>) -> Vec<u64> {
        let is_late = |running: &Running| running.deadline.is_some_and(|at| is_late(at, now, next));
        let mut is_late = is_late;
        self.running.iter().filter(|(_, running)| is_late(running)).map(|(id, _)| id).collect()
    }

    /// The request with this id, in the form of `Id::known`.
    pub(super) fn find(&self, known: &str) -> Option<u64> {
        let is_it =
            |running: &Running| running.id.as_ref().is_some_and(|own| own.with(|own| own.is_known_as(known)));
        self.running.iter().find(|(_, running)| is_it(running)).map(|(request, _)| request)
    }

    /// Whether a request with this number is in flight.
    pub(super) fn has_number(&self, number: WorkNumber) -> bool {
        self.running.iter().any(|(_, running)| running.work == number)
    }

    /// The requests that may become subscriptions.
    pub(super) fn subscribing(&self) -> impl Iterator<Item = u64> {
        self.running.iter().filter(|(_, running)| running.subscribes).map(|(request, _)| request)
    }

    /// The combined orders of all requests: a later request may have to wait for them.
    pub(crate) fn orders(&self) -> Ahead {
        self.running.iter().fold(Ahead::NOTHING, |ahead, (_, running)| ahead.and(running.order))
    }

    /// Removes all requests.
    pub(super) fn end(&mut self) -> Vec<Running> {
        self.bytes = 0;
        self.running.drain().collect()
    }
}

/// Shielded work is finished even if its request is cancelled. It takes a permit: otherwise a peer
/// could start any amount of it by cancelling its requests.
impl Requests {
    pub(super) const fn shield(&mut self) {
        self.shielded += 1;
    }

    pub(super) const fn unshield(&mut self) {
        self.shielded -= 1;
    }
}

/// Requests after whose reply the session closes.
impl Requests {
    pub(super) fn close_after(&mut self, request: WorkNumber) {
        self.close_after.requests.push(request);
    }

    pub(super) const fn any_closes_after(&self) -> bool {
        !self.close_after.requests.is_empty()
    }

    /// A handler has finished without becoming a task.
    pub(super) fn finished_in_place(&mut self, request: WorkNumber, member: Option<Member>) {
        self.close_after.request_answered(request, member);
    }

    /// The reply to a batch was appended, or the batch has none.
    pub(super) fn batch_answered(&mut self, batch: BatchId) {
        self.close_after.is_due |= self.close_after.batches.contains(&batch);
    }

    /// Whether the session is to close now. Returns true once.
    pub(super) const fn take_close_due(&mut self) -> bool {
        std::mem::replace(&mut self.close_after.is_due, false)
    }
}

#[derive(Debug)]
struct CloseAfter {
    /// The numbers of the requests in flight.
    requests: Vec<WorkNumber>,
    /// The batches of answered requests, in which other members are not answered yet.
    batches: Vec<BatchId>,
    /// Whether one of them was answered, so that the session is to close.
    is_due: bool,
}

impl CloseAfter {
    const fn new() -> Self {
        Self { requests: Vec::new(), batches: Vec::new(), is_due: false }
    }

    /// A request was answered, by itself or in its batch.
    fn request_answered(&mut self, request: WorkNumber, member: Option<Member>) {
        let Some(at) = self.requests.iter().position(|last| *last == request) else { return };
        self.requests.swap_remove(at);
        match member {
            Some(Member { batch, .. }) => self.batches.push(batch),
            None => self.is_due = true,
        }
    }
}

/// The orders of the requests ahead of another one: those in flight, and those that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead {
    any: bool,
    ordered: bool,
    exclusive: bool,
}

impl Ahead {
    pub(crate) const NOTHING: Self = Self { any: false, ordered: false, exclusive: false };

    /// Whether a request of this order may start beside them.
    pub(crate) const fn lets_start(self, order: Order) -> bool {
        match order {
            Order::Concurrent => !self.exclusive,
            Order::Ordered => !self.exclusive && !self.ordered,
            Order::Exclusive => !self.any,
        }
    }

    pub(crate) const fn and(self, order: Order) -> Self {
        Self {
            any: true,
            ordered: self.ordered || matches!(order, Order::Ordered),
            exclusive: self.exclusive || matches!(order, Order::Exclusive),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::jsonrpc::{Connection, Id, Protocol};

    fn running(bytes: usize) -> Running {
        Running {
            id: None,
            member: None,
            task: None,
            deadline: None,
            order: Order::Concurrent,
            subscribes: false,
            bytes,
            work: 0,
            trace: Trace::NONE,
        }
    }

    #[test]
    fn permits_and_bytes_are_given_back_with_each_request_and_shielded_work_keeps_its_own() {
        let mut requests = Requests::new();
        let first = requests.begin(running(10));
        let second = requests.begin(running(5));
        requests.shield();
        assert_eq!((requests.len(), requests.permits(), requests.bytes()), (2, 3, 15));
        assert!(requests.finish(first).is_some());
        assert!(requests.finish(first).is_none(), "once");
        assert_eq!((requests.len(), requests.permits(), requests.bytes()), (1, 2, 5));
        assert_eq!(requests.end().len(), 1);
        assert!(requests.finish(second).is_none());
        assert_eq!((requests.permits(), requests.bytes()), (1, 0));
        requests.unshield();
        assert_eq!(requests.permits(), 0);
    }

    #[test]
    fn late_requests_are_found_and_the_next_deadline_is_that_of_the_others() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut requests = Requests::new();
        let late = requests.begin(Running { deadline: Some(now), ..running(1) });
        requests.begin(Running { deadline: Some(now + second), ..running(1) });
        requests.begin(running(1));
        let mut next = Some(now + 2 * second);
        assert_eq!(requests.late(now, &mut next), [late]);
        assert_eq!(next, Some(now + second));
    }

    #[test]
    fn the_session_closes_after_a_request_and_after_the_batch_that_it_came_in() {
        let mut requests = Requests::new();
        let alone = requests.begin(Running { work: 1, ..running(1) });
        requests.close_after(1);
        assert!(requests.any_closes_after() && !requests.take_close_due());
        requests.finish(alone);
        assert!(requests.take_close_due() && !requests.take_close_due());

        let batch = Connection::<()>::new(Protocol::V2).begin_batch();
        let member = Some(Member { batch, index: 0 });
        let id = Some(Id::NULL.to_owned());
        let of_batch = requests.begin(Running { id, work: 2, member, ..running(1) });
        requests.close_after(2);
        requests.finish(of_batch);
        assert!(!requests.take_close_due(), "the others of its batch are not answered");
        requests.batch_answered(batch);
        assert!(requests.take_close_due());
    }
}
