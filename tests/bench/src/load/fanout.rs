//! One source, many subscribers: how many items arrive?

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::{
    Measured,
    phases::{Phase, Phases},
};
use crate::{
    peers::{Client, Peer},
    role::Job,
    service::Quote,
};

/// Each subscriber gets every item, in order, or nothing is measured.
pub(super) async fn measure<C: Client>(peer: Peer, job: &Job, subscribers: usize) -> Result<Measured> {
    let phases = Phases::default();
    let counts: Vec<Arc<AtomicU64>> = (0..subscribers).map(|_| Arc::default()).collect();
    let mut following = JoinSet::new();
    for count in &counts {
        let client = C::connect(peer, &job.server).await?;
        let (phases, count) = (phases.clone(), Arc::clone(count));
        let mut next = 0;
        let take = move |quote: Quote| {
            assert_eq!(quote.number, next, "an item was lost, doubled, or out of order");
            next += 1;
            if phases.now() == Phase::Measuring {
                count.fetch_add(1, Relaxed);
            }
        };
        following.spawn(async move { client.follow(take).await });
    }
    let used = phases.measure(job).await;
    if let Some(ended) = following.try_join_next() {
        ended??;
    }
    ensure!(following.len() == subscribers, "a subscription has ended");
    let counts: Vec<u64> = counts.iter().map(|count| count.load(Relaxed)).collect();
    ensure!(counts.iter().all(|count| *count > 0), "a subscriber got nothing");
    Ok(used.per_call(counts.iter().sum()))
}
