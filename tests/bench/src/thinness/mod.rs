//! What a framework's macro makes of a trait: how much code, and how long it takes to check.
//!
//! For each peer a crate is written with a trait of 100 methods, its implementation, a server of it, and a call of each method
//! through the client. `bare` is the trait with its implementation and no framework; what it has is taken off from the others.

mod crates;
mod measure;

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// Whose macro.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Macro {
    Bare,
    Ours,
    Tarpc,
    Jsonrpsee,
}

impl Macro {
    pub const ALL: [Self; 4] = [Self::Bare, Self::Ours, Self::Tarpc, Self::Jsonrpsee];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Ours => "ours",
            Self::Tarpc => "tarpc",
            Self::Jsonrpsee => "jsonrpsee",
        }
    }
}

/// What was measured of one crate.
struct Thinness {
    /// Of the expanded source.
    lines: usize,
    bytes: usize,
    /// CPU time of `cargo check`, everything but the crate itself being there already: the median.
    seconds: f64,
}

/// The methods of the trait.
const METHODS: usize = 100;

/// Writes the crates below `dir`, measures them, and prints a table.
pub fn run(dir: &Path, rounds: usize) -> Result<()> {
    crates::write(dir).with_context(|| format!("writing crates into {}", dir.display()))?;
    let measured = measure::all(dir, rounds)?;
    print!("{}", table(&measured));
    Ok(())
}

fn table(measured: &[(Macro, Thinness)]) -> String {
    let bare = measured.iter().find(|(peer, _)| *peer == Macro::Bare).map(|(_, thinness)| thinness);
    let (bare_lines, bare_bytes) = bare.map_or((0, 0), |bare| (bare.lines, bare.bytes));
    let mut table =
        String::from("| | lines a method | bytes a method | CPU seconds to check |\n|---|---|---|---|\n");
    for (peer, Thinness { lines, bytes, seconds }) in measured {
        let beyond = |all: usize, bare: usize| all.saturating_sub(bare) as f64 / METHODS as f64;
        let (lines, bytes) = match peer {
            Macro::Bare => ("0".to_owned(), "0".to_owned()),
            _ => (format!("{:.0}", beyond(*lines, bare_lines)), format!("{:.0}", beyond(*bytes, bare_bytes))),
        };
        table += &format!("| {} | {lines} | {bytes} | {seconds:.2} |\n", peer.name());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bare_trait_has_is_taken_off() {
        let thinness = |lines, bytes, seconds| Thinness { lines, bytes, seconds };
        let table = table(&[
            (Macro::Bare, thinness(1_000, 20_000, 0.2)),
            (Macro::Ours, thinness(5_000, 120_000, 0.512)),
        ]);
        assert!(table.ends_with("| bare | 0 | 0 | 0.20 |\n| ours | 40 | 1000 | 0.51 |\n"), "{table}");
    }
}
