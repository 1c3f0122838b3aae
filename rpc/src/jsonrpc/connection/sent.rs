//! The batches of ours that wait for their replies.

/// Batches in flight, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct SentBatches(Vec<SentBatch>);

/// The calls of a batch are those in flight whose ids are in its range: nothing else is sent while a batch is written.
#[derive(Debug, Clone, Copy)]
struct SentBatch {
    first: u64,
    last: u64,
    /// How many of its calls are in flight.
    left: usize,
}

impl SentBatches {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, first: u64, last: u64, calls: usize) {
        self.0.push(SentBatch { first, last, left: calls });
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
    pub(super) fn ids(&self, call: u64) -> Option<(u64, u64)> {
        let batch = self.0[self.find(call)?];
        Some((batch.first, batch.last))
    }

    /// The ids of the one that was sent first.
    pub(super) fn oldest(&self) -> Option<(u64, u64)> {
        self.0.first().map(|batch| (batch.first, batch.last))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&self, call: u64) -> Option<usize> {
        let at = self.0.partition_point(|batch| batch.last < call);
        (self.0.get(at)?.first <= call).then_some(at)
    }
}
