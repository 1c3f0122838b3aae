//! Markdown: one table to read, and one with everything.

use std::fmt::Write;

use super::{median, thousands};
use crate::{
    load::Measured,
    peers::Peer,
    scenario::{Metric, Scenario},
};

/// A measurement, and what it is one of.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub round: usize,
    pub scenario: Scenario,
    pub peer: Peer,
    pub measured: Measured,
}

/// The rows of one peer in one scenario, and those of whom it is compared with.
struct Cell<'a> {
    metric: Metric,
    rows: Vec<&'a Row>,
    base: Vec<&'a Row>,
}

/// All ratios are to the first of the peers.
pub fn tables(rows: &[Row], scenarios: &[Scenario], peers: &[Peer]) -> String {
    let base = peers.first().copied();
    let cell = |scenario: Scenario, peer: Peer| {
        let of = |peer| {
            rows.iter().filter(move |row| row.scenario == scenario && Some(row.peer) == peer).collect()
        };
        Cell { metric: scenario.metric(), rows: of(Some(peer)), base: of(base) }
    };
    let mut out = String::new();
    let titles: Vec<_> = peers.iter().map(|peer| peer.title()).collect();
    let _ = writeln!(out, "| | unit | {} |\n|---|---|{}", titles.join(" | "), "--:|".repeat(peers.len()));
    for &scenario in scenarios {
        let cells: Vec<_> =
            peers.iter().map(|&peer| cell(scenario, peer).in_short(Some(peer) == base)).collect();
        let _ = writeln!(out, "| `{scenario}` | {} | {} |", scenario.metric().unit(), cells.join(" | "));
    }
    let _ = writeln!(
        out,
        "\n| | | value | ratio to {of} | CPU µs/call | ratio to {of} | p50 µs | p99 µs |\n|---|---|{}",
        "--:|".repeat(6),
        of = titles.first().unwrap_or(&"")
    );
    for &scenario in scenarios {
        for &peer in peers {
            let _ = writeln!(out, "| `{scenario}` | {} | {} |", peer.title(), cell(scenario, peer).in_full());
        }
    }
    out
}

impl Cell<'_> {
    fn in_short(&self, is_base: bool) -> String {
        if self.rows.is_empty() {
            return "–".into();
        }
        let value = self.value();
        let ratio = self.value_ratio();
        if is_base || ratio.is_nan() { value } else { format!("{value} ({ratio:.2})") }
    }

    fn in_full(&self) -> String {
        let median_of =
            |field: fn(&Measured) -> f64| median(self.rows.iter().map(|row| field(&row.measured)));
        let cells = [
            if self.rows.is_empty() { "–".into() } else { self.value() },
            known(self.value_ratio(), |ratio| format!("{ratio:.2}")),
            known(median_of(|measured| measured.cpu_micros), |micros| format!("{micros:.2}")),
            known(self.ratio(|measured| measured.cpu_micros), |ratio| format!("{ratio:.2}")),
            known(median_of(|measured| measured.p50_micros), thousands),
            known(median_of(|measured| measured.p99_micros), thousands),
        ];
        cells.join(" | ")
    }

    fn value(&self) -> String {
        self.metric.shown(median(self.rows.iter().map(|row| self.metric.of(&row.measured))))
    }

    /// `NaN` where it would not say more than the value.
    fn value_ratio(&self) -> f64 {
        if self.metric.has_ratio() { self.ratio(|measured| self.metric.of(measured)) } else { f64::NAN }
    }

    /// The median over the rounds of the ratio within a round.
    fn ratio(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rows.iter().filter_map(|row| {
            let base = self.base.iter().find(|base| base.round == row.round)?;
            Some(of(&row.measured) / of(&base.measured))
        }))
    }
}

impl Metric {
    fn of(self, measured: &Measured) -> f64 {
        match self {
            Self::CallsPerSecond | Self::ItemsPerSecond => measured.calls_per_second,
            Self::MegabytesPerSecond => measured.megabytes_per_second,
            Self::ServerKibPerConnection => measured.server_kib_per_connection,
            Self::P99InMedians => measured.p99_micros / measured.others_p50_micros,
            Self::P99Micros => measured.p99_micros,
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::CallsPerSecond | Self::ItemsPerSecond | Self::MegabytesPerSecond | Self::P99Micros => {
                thousands(value)
            }
            Self::ServerKibPerConnection | Self::P99InMedians => format!("{value:.1}"),
        }
    }
}

/// Where a scenario does not measure something, there is a dash.
fn known(value: f64, shown: impl Fn(f64) -> String) -> String {
    if value.is_finite() && value > 0.0 { shown(value) } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(round: usize, peer: Peer, calls_per_second: f64) -> Row {
        let measured = Measured { calls_per_second, cpu_micros: 1.5, ..Measured::default() };
        Row { round, scenario: Scenario::Many, peer, measured }
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_then_the_median() {
        // The machine was half as fast in the second round, and in the third the peer failed.
        let rows = [
            row(0, Peer::Floor, 1000.0),
            row(0, Peer::Ours, 900.0),
            row(1, Peer::Ours, 450.0),
            row(1, Peer::Floor, 500.0),
            row(2, Peer::Floor, 1000.0),
        ];
        let text = tables(&rows, &[Scenario::Many], &[Peer::Floor, Peer::Ours, Peer::Tarpc]);
        let line = text.lines().find(|line| line.starts_with("| `many`")).unwrap();
        assert_eq!(line, "| `many` | calls/s | 1,000 | 675 (0.90) | – |");
        assert!(text.contains("| `many` | rpc | 675 | 0.90 | 1.50 | 1.00 | – | – |"), "{text}");
    }
}
