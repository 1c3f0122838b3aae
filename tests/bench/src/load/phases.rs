//! Warm-up, measurement, end: every user looks at the same clock hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Measured, process};
use crate::role::Job;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    WarmUp,
    Measuring,
    Over,
}

/// Shared by the users of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Phases(Arc<AtomicU8>);

/// Time and CPU time that a measurement took.
pub struct Used {
    secs: f64,
    cpu_secs: f64,
}

impl Phases {
    pub fn now(&self) -> Phase {
        match self.0.load(Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measuring,
            _ => Phase::Over,
        }
    }

    /// Goes through the phases, while the users are at it.
    pub async fn measure(&self, job: &Job) -> Used {
        let cpu_secs = || process::cpu_secs(std::process::id()) + process::cpu_secs(job.server_pid);
        tokio::time::sleep(Duration::from_secs_f64((job.secs / 4.0).min(0.5))).await;
        let (started, cpu_before) = (Instant::now(), cpu_secs());
        self.0.store(1, Relaxed);
        tokio::time::sleep(Duration::from_secs_f64(job.secs)).await;
        self.0.store(2, Relaxed);
        Used { secs: started.elapsed().as_secs_f64(), cpu_secs: cpu_secs() - cpu_before }
    }
}

impl Used {
    pub fn per_call(&self, calls: u64) -> Measured {
        // A measurement in which nothing was answered is one call too slow to be seen, and not a division by zero.
        let calls = calls.max(1) as f64;
        Measured {
            calls_per_second: calls / self.secs,
            cpu_micros: self.cpu_secs * 1e6 / calls,
            ..Measured::default()
        }
    }
}
