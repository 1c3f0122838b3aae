//! The batches of ours that wait for their replies.

use std::ops::RangeInclusive;

/// The ids among which a batch of ours has its calls: nothing else is sent while a batch is written.
pub(crate) type BatchIds = RangeInclusive<u64>;

/// Batches in flight, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct SentBatches(Vec<SentBatch>);

#[derive(Debug)]
struct SentBatch {
    ids: BatchIds,
    /// How many of its calls are in flight.
    left: usize,
}

impl SentBatches {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, first: u64, last: u64, calls: usize) {
        self.0.push(SentBatch { ids: first..=last, left: calls });
    }

    /// One call less. Nearly always there are no batches.
    pub(super) fn ended(&mut self, call: u64) {
        if self.0.is_empty() {
            return;
        }
        if let Some(at) = self.find(call) {
            self.0[at].left -= 1;
            if self.0[at].left == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The ids among which the batch that `call` belongs to has its calls.
    pub(super) fn ids(&self, call: u64) -> Option<BatchIds> {
        Some(self.0[self.find(call)?].ids.clone())
    }

    /// The ids of the one that was sent first.
    pub(super) fn oldest(&self) -> Option<BatchIds> {
        self.0.first().map(|batch| batch.ids.clone())
    }

    /// Whether one of them has so many calls.
    pub(super) fn any_has(&self, calls: usize) -> bool {
        self.0.iter().any(|batch| batch.ids.end() - batch.ids.start() + 1 >= calls as u64)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&self, call: u64) -> Option<usize> {
        let at = self.0.partition_point(|batch| *batch.ids.end() < call);
        self.0.get(at)?.ids.contains(&call).then_some(at)
    }
}
