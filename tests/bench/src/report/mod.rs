//! Numbers to tables and drawings.

mod axis;
mod curves;
mod svg;
mod table;

use std::fs;

pub use curves::{curve_tables, panels};
pub use svg::draw;
pub use table::{Row, tables};

/// What a number is worth nothing without: the day, the machine, and how long it was measured.
pub fn circumstances(rounds: usize, secs: f64) -> String {
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("an unknown CPU", |(_, name)| name.trim());
    format!("{today}, {cores} cores of {cpu}, medians of {rounds} rounds of {secs} s")
}

/// `NaN` where there is nothing.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

/// 1234567.8 as `1,234,568`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let grouped = [0.4, 999.0, 1000.0, 1_234_567.8].map(thousands);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,568"]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([9.0, 1.0, 2.0, 4.0]), 3.0);
        assert!(median([]).is_nan());
    }
}
