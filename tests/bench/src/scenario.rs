//! What is measured, and in which unit.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{placement::Placement, service};

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One call at a time, both processes on one CPU: no wake-up of another core, so the least noisy latency.
    Sequential1,
    /// One connection, 128 calls in flight.
    Pipelined,
    /// The same with a reply of about 430 bytes.
    #[value(name = "get_user")]
    GetUser,
    /// 64 connections, 8 calls in flight on each.
    Many,
    /// A text of 1 MiB there and back, 4 in flight.
    Large,
    /// One source, 100 subscribers on as many connections.
    Fanout,
    /// The server's memory for a connection that has answered one call.
    Idle,
    /// One call at a time on a connection beside 64 saturated ones.
    Latency,
    /// A call each millisecond on a connection on which one handler waits and another computes for 10 ms.
    Slow,
}

/// What a client does to a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    Calls { connections: usize, in_flight: usize, call: Call },
    Fanout { subscribers: usize },
    Idle { connections: usize },
    Latency { connections: usize, in_flight: usize },
    Slow { millis: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    Add,
    GetUser,
    Echo { bytes: usize },
    Wait { millis: u64 },
    Compute { millis: u64 },
}

/// The number that a scenario is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    CallsPerSecond,
    ItemsPerSecond,
    /// Of payload, counted once a call, in units of 10^6.
    MegabytesPerSecond,
    ServerKibPerConnection,
    /// The 99th percentile of one connection in medians of the others.
    P99InMedians,
    P99Micros,
}

impl Work {
    /// How many threads the runtime of each process has; as many as there are CPUs where nothing is said.
    ///
    /// Where latency is measured under load, both processes together have as many as there are CPUs. With more, the kernel's time slices
    /// (about 4 ms) are everybody's 99th percentile, and nothing else can be seen.
    pub fn workers(&self) -> Option<usize> {
        let cpus = std::thread::available_parallelism().map_or(2, usize::from);
        matches!(self, Self::Latency { .. }).then_some((cpus / 2).max(1))
    }
}

impl Scenario {
    pub fn work(self) -> Work {
        match self {
            Self::Sequential1 => Work::Calls { connections: 1, in_flight: 1, call: Call::Add },
            Self::Pipelined => Work::Calls { connections: 1, in_flight: 128, call: Call::Add },
            Self::GetUser => Work::Calls { connections: 1, in_flight: 128, call: Call::GetUser },
            Self::Many => Work::Calls { connections: 64, in_flight: 8, call: Call::Add },
            Self::Large => Work::Calls { connections: 1, in_flight: 4, call: Call::Echo { bytes: 1 << 20 } },
            Self::Fanout => Work::Fanout { subscribers: service::SUBSCRIBERS },
            Self::Idle => Work::Idle { connections: 5_000 },
            Self::Latency => Work::Latency { connections: 64, in_flight: 8 },
            Self::Slow => Work::Slow { millis: 10 },
        }
    }

    /// Where it holds the processes, whatever is asked for.
    pub fn placement(self) -> Option<Placement> {
        (self == Self::Sequential1).then_some(Placement::One)
    }

    pub fn metric(self) -> Metric {
        match self {
            Self::Sequential1 | Self::Pipelined | Self::GetUser | Self::Many => Metric::CallsPerSecond,
            Self::Large => Metric::MegabytesPerSecond,
            Self::Fanout => Metric::ItemsPerSecond,
            Self::Idle => Metric::ServerKibPerConnection,
            Self::Latency => Metric::P99InMedians,
            Self::Slow => Metric::P99Micros,
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().expect("none is skipped").get_name())
    }
}

impl Metric {
    pub fn unit(self) -> &'static str {
        match self {
            Self::CallsPerSecond => "calls/s",
            Self::ItemsPerSecond => "items/s",
            Self::MegabytesPerSecond => "MB/s",
            Self::ServerKibPerConnection => "KiB/connection",
            Self::P99InMedians => "p99 : median",
            Self::P99Micros => "p99 µs",
        }
    }

    /// Whether a ratio to the floor says more than the number itself.
    pub fn has_ratio(self) -> bool {
        !matches!(self, Self::P99InMedians | Self::P99Micros)
    }
}
