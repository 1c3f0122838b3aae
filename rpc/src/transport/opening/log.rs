//! Peers of another protocol, in the log.

use super::{Expected, Foreign, advice};
use crate::{
    jsonrpc::shown::brief,
    transport::{Endpoint, LogRate},
};

/// Says what a peer speaks, and what became of it. Whoever looks for open ports comes by often: what `rate` leaves out is for those who
/// look closely. A session of this side's own has none.
pub(crate) fn log_foreign(
    (expected, foreign): (Expected, &Foreign),
    (peer, session): (&Endpoint, Option<u64>),
    rate: Option<&LogRate>,
    outcome: &str,
) {
    let &Foreign { protocol, ref found } = foreign;
    let advice = advice(expected, protocol, found);
    match rate.map_or(Some(0), LogRate::admit) {
        Some(unlogged) => tracing::info!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer,
            session, protocol, %found, advice = %brief(advice), unlogged,
            "a peer speaks another protocol: {outcome}, and nothing of it was handled"
        ),
        None => tracing::debug!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer,
            session, protocol, %found, advice = %brief(advice),
            "a peer speaks another protocol: {outcome}, and nothing of it was handled"
        ),
    }
}
