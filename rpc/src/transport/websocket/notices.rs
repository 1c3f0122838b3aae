//! The header by which the two sides of a handshake say that they take notices: see [`Notices`](crate::Notices).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::head;
use crate::jsonrpc::subscription::{ENDED, LOST};

pub(super) const NAME: HeaderName = HeaderName::from_static("rpc-notices");

/// What this side takes: all that it sends.
pub(super) const ALL: HeaderValue = HeaderValue::from_static("rpc.ended, rpc.lost");

/// Whether a peer takes all that this side sends.
pub(super) fn are_taken(headers: &HeaderMap) -> bool {
    [ENDED, LOST].iter().all(|notice| head::has_token(headers, &NAME, notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_takes_them_where_it_names_them_all() {
        let taken = |values: &[&'static str]| {
            let values = values.iter().map(|value| (NAME, HeaderValue::from_static(value)));
            are_taken(&values.collect())
        };
        assert!(are_taken(&HeaderMap::from_iter([(NAME, ALL)])));
        assert!(taken(&["rpc.lost,rpc.ended , rpc.later"]) && taken(&["rpc.ended", "rpc.lost"]));
        assert!(!taken(&[]) && !taken(&["rpc.ended"]) && !taken(&["1"]) && !taken(&["rpc.ended rpc.lost"]));
    }
}
