//! On which CPUs the two processes of a measurement run.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

/// Which threads share a CPU decides more than most of what is measured, so it can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Placement {
    /// Wherever the kernel puts them, which may change while they run.
    Free,
    /// Both processes on the first CPU.
    One,
    /// The client on the first CPU, the server on the second.
    Apart,
    /// The client has a thread on each of the first two CPUs, and the server shares the second with it.
    Shared,
}

/// Whose threads are to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Placement {
    /// Binds this process, and has `runtime` bind its threads. Called before there are any: a runtime has as many workers as there are CPUs
    /// left to its process.
    pub fn hold(self, side: Side, runtime: &mut Builder) -> Result<()> {
        if self == Self::Free {
            return Ok(());
        }
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let usable: Vec<usize> =
            (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
        let chosen = self.choose(side, &usable)?;
        bind(chosen).context("binding the process to its CPUs")?;
        if let &[_, _, ..] = chosen {
            let (chosen, next) = (chosen.to_vec(), AtomicUsize::new(0));
            runtime.on_thread_start(move || {
                let cpu = chosen[next.fetch_add(1, Ordering::Relaxed) % chosen.len()];
                bind(&[cpu]).expect("the process may use this CPU");
            });
        }
        Ok(())
    }

    /// Those among the `usable` CPUs that the process is to have.
    fn choose(self, side: Side, usable: &[usize]) -> Result<&[usize]> {
        let range = match (self, side) {
            (Self::Free, _) => 0..usable.len(),
            (Self::One, _) | (Self::Apart, Side::Client) => 0..1,
            (Self::Apart | Self::Shared, Side::Server) => 1..2,
            (Self::Shared, Side::Client) => 0..2,
        };
        ensure!(
            range.end <= usable.len(),
            "`{self}` takes {} CPUs, and there are {} to use",
            range.end,
            usable.len()
        );
        Ok(&usable[range])
    }
}

/// As the command line has it.
impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().expect("none is skipped").get_name())
    }
}

/// Binds the thread, and those that it starts from now on.
fn bind(cpus: &[usize]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|&cpu| set.set(cpu))?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn each_side_gets_what_was_asked_for() {
        let chosen = |placement: Placement| {
            [Side::Client, Side::Server].map(|side| placement.choose(side, &[3, 5, 8]).unwrap().to_vec())
        };
        assert_eq!(chosen(Placement::Free), [[3, 5, 8], [3, 5, 8]]);
        assert_eq!(chosen(Placement::One), [[3], [3]]);
        assert_eq!(chosen(Placement::Apart), [[3], [5]]);
        assert_eq!(chosen(Placement::Shared), [vec![3, 5], vec![5]]);
    }

    #[test]
    fn where_there_is_one_cpu_only_one_can_be_held() {
        assert_eq!(Placement::One.choose(Side::Server, &[0]).unwrap(), [0]);
        let error = Placement::Apart.choose(Side::Server, &[0]).unwrap_err();
        assert_eq!(error.to_string(), "`apart` takes 2 CPUs, and there are 1 to use");
    }

    #[test]
    fn threads_take_turns_at_the_cpus_and_keep_to_theirs() {
        // On a thread of its own: it stays bound.
        let found = std::thread::spawn(|| {
            let mut builder = Builder::new_multi_thread();
            Placement::Shared.hold(Side::Client, builder.worker_threads(2)).unwrap();
            let runtime = builder.build().unwrap();
            let both = Arc::new(Barrier::new(2));
            let tasks = [(); 2].map(|()| {
                let both = Arc::clone(&both);
                runtime.spawn(async move {
                    // Neither worker gets both.
                    both.wait();
                    let bound = sched_getaffinity(Pid::from_raw(0)).unwrap();
                    (0..CpuSet::count()).filter(|&cpu| bound.is_set(cpu).unwrap()).collect::<Vec<_>>()
                })
            });
            tasks.map(|task| runtime.block_on(task).unwrap())
        });
        let [one, other] = found.join().unwrap();
        assert_eq!((one.len(), other.len()), (1, 1));
        assert_ne!(one, other);
    }
}
