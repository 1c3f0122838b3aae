//! What the process takes up, and whether it grows.

use std::{fmt, fs};

use peak_alloc::PeakAlloc;

/// How many phases there are before growth is looked for: until then everything that is kept for ever has been made.
const FIRST: usize = 5;

/// How much more of the heap may be in use at a quiet moment than at the largest of the first ones. What varies is what threads and
/// tables keep for the next one; a leak of a hundred bytes a connection is more after some minutes.
const SLACK: usize = 256 << 10;

/// How much more resident memory there may be: allocators give back what is free when they like.
const RESIDENT_SLACK: usize = 32 << 20;

/// What there is at a moment at which nothing is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet {
    /// Bytes of the heap in use.
    heap: usize,
    /// The most of them since this was measured last.
    heap_at_most: usize,
    /// Bytes of memory that the process has.
    resident: usize,
    tasks: usize,
    descriptors: usize,
}

impl Quiet {
    pub(crate) const HEADER: &str =
        "heap in use (and the most since the line before), resident memory, tasks alive, file descriptors";

    pub(crate) fn now(heap: &PeakAlloc) -> Self {
        let heap_at_most = heap.peak_usage();
        heap.reset_peak_usage();
        Self {
            heap: heap.current_usage(),
            heap_at_most,
            resident: resident(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heap, heap_at_most, resident, tasks, descriptors } = self;
        let [heap, most, resident] = [heap, heap_at_most, resident].map(|bytes| bytes >> 10);
        write!(
            f,
            "heap {heap} KiB (at most {most}), resident {resident} KiB, {tasks} tasks, {descriptors} fds"
        )
    }
}

/// 0 where the system has no such file.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

/// What there was at the quiet moments so far.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    first: Vec<Quiet>,
}

impl Levels {
    /// # Errors
    ///
    /// Where there is more than there was at the first quiet moments.
    pub(crate) fn check(&mut self, quiet: Quiet) -> Result<(), String> {
        if self.first.len() < FIRST {
            self.first.push(quiet);
            return Ok(());
        }
        let most = |of: fn(&Quiet) -> usize| self.first.iter().map(of).max().unwrap_or(0);
        let checks = [
            ("bytes of the heap in use", quiet.heap, most(|quiet| quiet.heap) + SLACK),
            ("bytes resident", quiet.resident, most(|quiet| quiet.resident) + RESIDENT_SLACK),
            ("tasks alive", quiet.tasks, most(|quiet| quiet.tasks)),
            ("file descriptors", quiet.descriptors, most(|quiet| quiet.descriptors)),
        ];
        for (what, now, limit) in checks {
            if now > limit {
                return Err(format!("{now} {what} when everybody has gone: at most {limit} were expected"));
            }
        }
        Ok(())
    }
}
