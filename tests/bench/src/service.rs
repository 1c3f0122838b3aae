//! What every peer serves: the same work behind each framework, so that only the frameworks differ.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// An answer of the size that services usually give: about 430 bytes of JSON on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: u64,
    pub name: String,
    pub address: Address,
    pub phones: Vec<String>,
    pub groups: Vec<String>,
    pub credit: f64,
    pub verified: bool,
    pub last_seen: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub street: String,
    pub city: String,
    pub postcode: String,
    pub country: String,
}

/// What is sent to many: about 100 bytes of JSON on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    pub number: u64,
    pub symbol: String,
    pub price: f64,
    pub note: String,
}

/// How many there are to be before anything is sent.
pub const SUBSCRIBERS: usize = 100;

pub fn quote(number: u64) -> Quote {
    Quote {
        number,
        symbol: "XAU/USD".to_owned(),
        price: 4071.25,
        note: "the best offer has changed at one of five venues".to_owned(),
    }
}

pub fn add(a: i64, b: i64) -> i64 {
    a.wrapping_add(b)
}

pub fn user(id: u64) -> User {
    User {
        id,
        name: format!("Konstantin Oyelaran-Whitfield, number {id}"),
        address: Address {
            street: "1148 Upper Harbour Terrace, 3rd floor".into(),
            city: "Newcastle upon Tyne".into(),
            postcode: "NE1 4XY".into(),
            country: "United Kingdom".into(),
        },
        phones: ["+44 191 498 0192", "+44 7700 900461"].map(String::from).into(),
        groups: ["staff", "on-call", "billing-readers", "release-managers"].map(String::from).into(),
        credit: 250.25 + (id % 100) as f64,
        verified: true,
        last_seen: "2024-02-29T23:59:58.123Z".into(),
    }
}

/// Waits without using the CPU.
pub async fn wait(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// Uses the CPU without ever giving way: what a careless handler does.
pub fn compute(millis: u64) -> u64 {
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(millis) {
        std::hint::spin_loop();
    }
    millis
}

/// A text of `size` bytes in lines of 80: JSON has to escape one character in each.
pub fn text(size: usize) -> String {
    const LINE: &str = "Sphinx of black quartz, judge my vow; pack my box with five dozen liquor jugs 42\n";
    LINE.chars().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_takes_about_430_bytes_on_the_wire() {
        let reply = serde_json::json!({"jsonrpc": "2.0", "id": 1000, "result": user(1 << 32)});
        let size = reply.to_string().len();
        assert!((420..=440).contains(&size), "{size} bytes");
    }
}
