//! Events that a peer can bring about as often as it likes: the log has so many a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many of them are logged in each [`WINDOW`].
const MOST: u32 = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// How often something was logged lately.
#[derive(Debug, Default)]
pub(crate) struct LogRate(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    /// When the window began.
    since: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl LogRate {
    /// Whether one more is logged now: then how many were left out before it, for the log.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = lately.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW);
        if is_over {
            (lately.since, lately.logged) = (Some(now), 0);
        }
        if lately.logged >= MOST {
            lately.left_out += 1;
            return None;
        }
        lately.logged += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_a_minute_are_logged_and_the_others_are_counted() {
        let rate = LogRate::default();
        let admitted = |times: u32| (0..times).filter_map(|_| rate.admit()).collect::<Vec<_>>();
        assert_eq!(admitted(300), [0; 10]);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(admitted(5), [0; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(admitted(3), [295, 0, 0]);
        assert_eq!(admitted(8), [0; 7]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(admitted(1), [1]);
    }
}
