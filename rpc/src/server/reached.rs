//! Limits for which peers are refused, in the log: with the number, and the field to change.

use super::handle::Full;
use crate::{limits::OverLimit, transport::Endpoint};

/// `unlogged` is how many like it are not in the log.
pub(super) fn full(full: &Full, peer: &Endpoint, unlogged: u64) {
    let &Full { open, limit } = full;
    tracing::warn!(
        rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, open, limit, unlogged,
        "as many connections are open as may be: further ones are refused. Where the system has room for more, raise \
         `Limits::connections`"
    );
}

pub(super) fn over(over: &OverLimit, peer: &Endpoint, unlogged: u64) {
    match *over {
        OverLimit::Connections { open, limit } => tracing::warn!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, open, limit, unlogged,
            "a group of peers has as many connections as it may have: a further one is refused. Where many peers come from one place, \
             raise `Groups::connections`, or leave the place out with `Groups::exempt`"
        ),
        OverLimit::Cost { cost, limit } => tracing::info!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, cost, limit, unlogged,
            "a group of peers has cost too much: one that connects again is refused. Where they do what they should, raise \
             `Limits::cost_hard` or `Groups::allowance`"
        ),
    }
}
