//! Which of a host's addresses is connected to: "happy eyeballs", RFC 8305. No sockets in here: how to connect is passed in.

use std::{io, net::SocketAddr, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::ConnectAttempts;

/// How long an address may keep the next one waiting: RFC 8305, section 5, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to one of `addresses`: the first that answers.
///
/// They are tried in their order, with the families taking turns. The next one is begun when the one before it has failed, or has not answered
/// for 250 ms; those before it go on meanwhile. When one has answered, the others are given up.
///
/// Cancel safe: dropping the future gives all of them up.
pub(super) async fn race<S, C, F>(addresses: Vec<SocketAddr>, connect: C) -> Result<S, ConnectAttempts>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    let addresses = taking_turns(addresses);
    let mut to_try = addresses.iter().enumerate();
    let mut under_way = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some((place, &address)) = to_try.next() {
            let attempt = connect(address);
            under_way.push(async move { (place, address, attempt.await) });
        }
        let ended = if to_try.len() == 0 {
            under_way.next().await
        } else {
            // Whether none has ended in time or one has failed: the next one's turn has come.
            let Ok(ended) = timeout(ATTEMPT_DELAY, under_way.next()).await else { continue };
            ended
        };
        match ended {
            Some((_, _, Ok(connected))) => return Ok(connected),
            Some((place, address, Err(error))) => failed.push((place, address, error)),
            None => break,
        }
    }
    failed.sort_unstable_by_key(|(place, ..)| *place);
    Err(ConnectAttempts::new(failed.into_iter().map(|(_, address, error)| (address, error)).collect()))
}

/// Each address once, IPv6 and IPv4 in turn for as long as there are both: RFC 8305, section 4. The family of the first one begins, which the
/// system has chosen by RFC 6724: on a machine without IPv6 that is IPv4.
fn taking_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first_is_v6) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let total = addresses.len();
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut in_turn = Vec::with_capacity(total);
    loop {
        let round = [ours.next(), others.next()];
        if round == [None, None] {
            return in_turn;
        }
        for address in round.into_iter().flatten() {
            if !in_turn.contains(&address) {
                in_turn.push(address);
            }
        }
    }
}

#[cfg(test)]
#[path = "race_tests.rs"]
mod tests;
