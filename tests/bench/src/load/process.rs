//! What `/proc` says about a process.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// CPU time used so far, in user mode and in the kernel, in seconds.
pub fn cpu_secs(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let ticks = cpu_ticks(&stat).expect("/proc/<pid>/stat is as in proc(5)");
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().expect("a clock tick");
    ticks as f64 / per_second as f64
}

/// Resident memory, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// `utime` and `stime`: fields 14 and 15, counted from 1. The second field, the command, may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_command) = stat.rsplit_once(')')?;
    let mut fields = behind_command.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_process_may_hold_anything() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 120 45 0 0 20 0 3 0";
        assert_eq!(cpu_ticks(stat), Some(165));
    }

    #[test]
    fn a_process_that_computes_uses_cpu_time() {
        let this = std::process::id();
        let before = cpu_secs(this);
        crate::service::compute(100);
        assert!(cpu_secs(this) > before);
    }
}
