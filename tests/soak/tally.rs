//! What was done so far, by everybody together.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Things that ended as they had to.
    pub(crate) good: AtomicU64,
    /// Things that were dropped before their end.
    pub(crate) dropped: AtomicU64,
    /// Things that a stream took with it when it broke.
    pub(crate) lost: AtomicU64,
    /// Connections of friends, over streams that are whole and such that are not.
    pub(crate) connections: AtomicU64,
    /// Visits of hostile peers.
    pub(crate) visits: AtomicU64,
    /// Those among them whom the server has sent away.
    pub(crate) sent_away: AtomicU64,
    /// Numbers given out: what one asks for, no other does.
    numbers: AtomicU64,
}

impl Tally {
    pub(crate) fn next_number(&self) -> u64 {
        1_000 * self.numbers.fetch_add(1, Relaxed)
    }

    /// A run in which nothing was done has shown nothing.
    pub(crate) fn unless_idle(&self) -> Result<(), String> {
        match self.good.load(Relaxed) {
            0 => Err("nothing was done: give it more seconds".to_owned()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, dropped, lost, connections, visits, sent_away, .. } = self;
        let [good, dropped, lost, connections, visits, sent_away] =
            [good, dropped, lost, connections, visits, sent_away].map(|count| count.load(Relaxed));
        write!(
            f,
            "{good} done, {dropped} dropped, {lost} lost with their streams, {connections} connections, \
             {visits} hostile visits, {sent_away} sent away"
        )
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
