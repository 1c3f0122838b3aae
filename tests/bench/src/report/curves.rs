//! How calls per second go with what grows.

use std::fmt::Write;

use super::{median, thousands};
use crate::{
    peers::Peer,
    scenario::{Call, Work},
};

/// One drawing: calls per second against one size.
pub struct Panel {
    pub title: &'static str,
    pub points: Vec<Point>,
}

pub struct Point {
    pub size: u64,
    pub work: Work,
    rates: Vec<(Peer, f64)>,
}

impl Point {
    pub fn add(&mut self, peer: Peer, calls_per_second: f64) {
        self.rates.push((peer, calls_per_second));
    }

    pub fn rate(&self, peer: Peer) -> f64 {
        median(self.rates.iter().filter(|(of, _)| *of == peer).map(|(_, rate)| *rate))
    }
}

/// What is drawn; sizes grow by the factor `step`.
pub fn panels(step: u64) -> [Panel; 3] {
    [
        Panel {
            title: "calls in flight on one connection",
            points: points(1, 1 << 10, step, |in_flight| Work::Calls {
                connections: 1,
                in_flight,
                call: Call::Add,
            }),
        },
        Panel {
            title: "connections, 8 calls in flight on each",
            points: points(1, 1 << 10, step, |connections| Work::Calls {
                connections,
                in_flight: 8,
                call: Call::Add,
            }),
        },
        Panel {
            title: "bytes of text there and back, 8 calls in flight",
            points: points(16, 1 << 20, step, |bytes| Work::Calls {
                connections: 1,
                in_flight: 8,
                call: Call::Echo { bytes },
            }),
        },
    ]
}

fn points(from: u64, to: u64, step: u64, work: impl Fn(usize) -> Work) -> Vec<Point> {
    std::iter::successors(Some(from), |size| size.checked_mul(step))
        .take_while(|&size| size <= to)
        .map(|size| Point { size, work: work(size as usize), rates: Vec::new() })
        .collect()
}

/// The same numbers to read.
pub fn curve_tables(panels: &[Panel]) -> String {
    let mut out = String::new();
    for Panel { title, points } in panels {
        let _ = writeln!(out, "| {title} | by hand | rpc | ratio |\n|--:|--:|--:|--:|");
        for point in points {
            let (floor, ours) = (point.rate(Peer::Floor), point.rate(Peer::Ours));
            let size = thousands(point.size as f64);
            let _ = writeln!(
                out,
                "| {size} | {} | {} | {:.2} |",
                thousands(floor),
                thousands(ours),
                ours / floor
            );
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_by_the_step_and_stay_within_the_range() {
        let sizes =
            |step| panels(step).map(|panel| panel.points.iter().map(|point| point.size).collect::<Vec<_>>());
        let [in_flight, _, bytes] = sizes(4);
        assert_eq!(in_flight, [1, 4, 16, 64, 256, 1024]);
        assert_eq!((bytes[0], bytes[bytes.len() - 1], bytes.len()), (16, 1 << 20, 9));
        assert_eq!(sizes(3)[0], [1, 3, 9, 27, 81, 243, 729]);
    }
}
