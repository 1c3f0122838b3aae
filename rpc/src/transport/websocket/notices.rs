//! The header by which the two sides of a handshake say which notifications of this crate's own they take: see
//! [`Notices`](crate::Notices) and [`Cancellation`].

use http::{HeaderMap, HeaderName, HeaderValue};

use super::head;
use crate::{
    jsonrpc::{
        Cancellation,
        subscription::{CLOSING, ENDED, LOST},
    },
    transport::Takes,
};

pub(super) const NAME: HeaderName = HeaderName::from_static("rpc-notices");

/// What this side takes: all that it sends.
pub(super) const ALL: HeaderValue = HeaderValue::from_static("rpc.ended, rpc.lost, rpc.closing, rpc.cancel");

/// What a peer takes of what this side sends.
pub(super) fn taken(headers: &HeaderMap) -> Takes {
    let takes = |notice: &str| head::has_token(headers, &NAME, notice);
    Takes {
        notices: takes(ENDED) && takes(LOST),
        closing: takes(CLOSING),
        cancel: takes(Cancellation::RPC.method()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_takes_what_it_names_and_notices_where_it_names_both() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (NAME, HeaderValue::from_static(value)));
            let Takes { notices, closing, cancel } = taken(&values.collect());
            (notices, closing, cancel)
        };
        let all = Takes { notices: true, closing: true, cancel: true };
        assert_eq!(taken(&HeaderMap::from_iter([(NAME, ALL)])), all);
        for values in [&["rpc.lost,rpc.ended , rpc.later"][..], &["rpc.ended", "rpc.lost"]] {
            assert_eq!(of(values), (true, false, false), "{values:?}");
        }
        assert_eq!(of(&["rpc.cancel"]), (false, false, true));
        assert_eq!(of(&["rpc.closing, rpc.ended"]), (false, true, false));
        for nothing in [&[][..], &["rpc.ended"], &["1"], &["rpc.ended rpc.lost"], &["rpc.cancelled"]] {
            assert_eq!(of(nothing), (false, false, false), "{nothing:?}");
        }
    }
}
