//! Expands the crates, and checks them again and again.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use super::{Macro, Thinness};

/// Measures all crates below `dir`. They take turns in each round.
pub fn all(dir: &Path, rounds: usize) -> Result<Vec<(Macro, Thinness)>> {
    let mut seconds = Macro::ALL.map(|_| Vec::new());
    for peer in Macro::ALL {
        // What it depends on.
        check(dir, peer)?;
    }
    for _ in 0..rounds {
        for (peer, seconds) in Macro::ALL.into_iter().zip(&mut seconds) {
            seconds.push(check(dir, peer)?.as_secs_f64());
        }
    }
    let measured = Macro::ALL.into_iter().zip(seconds).map(|(peer, mut seconds)| {
        let expanded = expand(dir, peer)?;
        seconds.sort_by(f64::total_cmp);
        let seconds = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
        Ok((peer, Thinness { lines: expanded.lines().count(), bytes: expanded.len(), seconds }))
    });
    measured.collect()
}

/// The CPU time of `cargo check` when only the crate has changed.
fn check(dir: &Path, peer: Macro) -> Result<Duration> {
    let source = dir.join(peer.name()).join("src/lib.rs");
    fs::write(&source, fs::read(&source)?)?;
    let before = children()?;
    let status = cargo(dir, "check", peer).stderr(Stdio::null()).status()?;
    ensure!(status.success(), "{} does not compile", peer.name());
    children()?.checked_sub(before).context("time runs backwards")
}

/// The source after all macros. The compiler prints it for those only who ask as if they had its nightly version.
fn expand(dir: &Path, peer: Macro) -> Result<String> {
    let output = cargo(dir, "rustc", peer)
        .args(["--profile", "check", "--", "-Zunpretty=expanded"])
        .env("RUSTC_BOOTSTRAP", "1")
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("not UTF-8")
}

fn cargo(dir: &Path, command: &str, peer: Macro) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([command, "--quiet", "--package", &format!("thin-{}", peer.name())]).current_dir(dir);
    // As if called from a shell: those that cargo sets for us are not for it.
    cargo.env_remove("CARGO_MANIFEST_DIR").env("CARGO_TARGET_DIR", dir.join("target"));
    // Nothing is remembered of the last time.
    cargo.env("CARGO_INCREMENTAL", "0");
    cargo
}

/// CPU time of all processes that we have waited for.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
