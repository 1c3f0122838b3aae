//! The crate `rpc` beside a loop written by hand and beside other frameworks.
//!
//! The harness (`harness`) starts this binary again as a server and again as a client (`role`), for each peer (`peers`) and each
//! `scenario`; the client makes the calls and measures (`load`); `report` turns what comes back into a table or a drawing. `thinness` measures the macros, and runs nothing of what they make.

mod harness;
mod load;
mod peers;
mod placement;
mod report;
mod role;
mod scenario;
mod service;
mod thinness;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

use peers::Peer;
use placement::Placement;
use scenario::Scenario;

/// Measures `rpc` beside a loop written by hand and beside other frameworks.
#[derive(Parser)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    table: TableOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Draws calls per second against calls in flight, connections and payload, as SVG.
    Curves(CurveOptions),
    /// Counts and times what the macros of the frameworks expand to.
    Thinness(ThinnessOptions),
    /// One of the processes that the harness starts.
    #[command(hide = true)]
    Role {
        /// A `Role` as JSON.
        role: String,
    },
}

/// Without a command: runs the scenarios and prints tables as Markdown.
#[derive(Args)]
struct TableOptions {
    /// How often everything is measured. Ratios are taken within a round; what is printed are medians over the rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long one measurement takes, in seconds.
    #[arg(long, default_value_t = 2.0)]
    secs: f64,
    /// Which scenarios, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = Scenario::value_variants().to_vec())]
    scenarios: Vec<Scenario>,
    /// Which peers, separated by commas. Ratios are to the first.
    #[arg(long, value_delimiter = ',', default_values_t = Peer::USUAL)]
    peers: Vec<Peer>,
    /// On which CPUs the two processes run.
    #[arg(long, default_value_t = Placement::Free)]
    cpus: Placement,
}

#[derive(Args)]
struct CurveOptions {
    /// Where the drawing goes.
    #[arg(long, default_value = "curves.svg")]
    out: PathBuf,
    /// How often each point is measured: what is drawn is the median.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long one measurement takes, in seconds.
    #[arg(long, default_value_t = 1.0)]
    secs: f64,
    /// The factor from one point to the next.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    step: u64,
}

#[derive(Args)]
struct ThinnessOptions {
    /// Where the crates that are measured are written.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/thinness"))]
    dir: PathBuf,
    /// How often each is checked: what is printed is the median.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => table(&cli.table),
        Some(Command::Curves(options)) => curves(&options),
        Some(Command::Thinness(options)) => thinness::run(&options.dir, options.rounds),
        Some(Command::Role { role }) => role::play(serde_json::from_str(&role)?),
    }
}

fn table(options: &TableOptions) -> Result<()> {
    let mut rows = Vec::new();
    for round in 0..options.rounds {
        for &scenario in &options.scenarios {
            for peer in harness::rotated(&options.peers, round) {
                let placement = scenario.placement().unwrap_or(options.cpus);
                let measured = harness::measure(peer, &scenario.work(), options.secs, placement);
                eprintln!("round {} {scenario:12} {peer:12} {}", round + 1, harness::progress(&measured));
                // A peer that fails must not end the run: its cell stays empty.
                if let Ok(measured) = measured {
                    rows.push(report::Row { round, scenario, peer, measured });
                }
            }
        }
    }
    print!("{}", report::tables(&rows, &options.scenarios, &options.peers));
    println!("\n{}, CPUs: {}", report::circumstances(options.rounds, options.secs), options.cpus);
    Ok(())
}

fn curves(options: &CurveOptions) -> Result<()> {
    let mut panels = report::panels(options.step);
    for round in 0..options.rounds {
        for panel in &mut panels {
            for point in &mut panel.points {
                for peer in harness::rotated(&[Peer::Floor, Peer::Ours], round) {
                    let measured = harness::measure(peer, &point.work, options.secs, Placement::Free);
                    let size = point.size;
                    eprintln!(
                        "round {} {} {size} {peer} {}",
                        round + 1,
                        panel.title,
                        harness::progress(&measured)
                    );
                    let rate = measured.with_context(|| format!("{peer} at {size}"))?.calls_per_second;
                    point.add(peer, rate);
                }
            }
        }
    }
    let under = report::circumstances(options.rounds, options.secs);
    std::fs::write(&options.out, report::draw(&panels, &under))
        .with_context(|| format!("writing {}", options.out.display()))?;
    print!("{}", report::curve_tables(&panels));
    Ok(())
}
