//! Notices: what is said of a subscription besides its items, and of a session, and to which peers.

/// The name under which a peer learns that a subscription has ended, and why.
pub(crate) const ENDED: &str = "rpc.ended";
/// The name under which a peer learns that items were lost.
pub(crate) const LOST: &str = "rpc.lost";

/// The name under which a peer learns that this side is a server that shuts down.
pub(crate) const CLOSING: &str = "rpc.closing";

/// White space at the end of a message, in front of its last brace. No writer of JSON is known to write
/// it so, and to all that read JSON it means nothing.
const MARK: &[u8] = b" \t}";

/// Which peers are sent notices: the notifications `rpc.ended` and `rpc.lost`, which say that a
/// subscription has ended, and that items of it were lost, and `rpc.closing`, by which a server that
/// shuts down says so.
///
/// A peer that does not know them may count them as items, refuse their names or charge for them. So
/// unless said otherwise they go only to peers that are known to take them:
///
/// - those that say so in the handshake of a WebSocket, by the header
///   `Rpc-Notices: rpc.ended, rpc.lost, rpc.closing`. The answer has the same header, and in both
///   [`rpc.cancel`](crate::Cancellation::RPC) may stand too;
/// - those that begin a subscription by a request that ends in a blank and a tab in front of its last
///   brace, as clients of this crate do on every transport: ` \t}`;
/// - `rpc.closing` also to those that have taken a call back by
///   [`rpc.cancel`](crate::Cancellation::RPC), or have let themselves be told so.
///
/// A session of this crate that is told `rpc.closing` sends nothing more: further calls end with
/// [`CloseReason::Shutdown`](crate::CloseReason::Shutdown), and were not carried out. Those under way
/// are still answered. It ends with the same reason.
///
/// A service may ask for them itself: see
/// [`SubscriptionInfo::with_notices`](crate::SubscriptionInfo::with_notices). A session takes notices
/// in any case. [`guide::subscriptions`](crate::guide::subscriptions#how-it-ends) says what becomes of
/// a subscription without them, and what other clients make of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Notices {
    /// Peers that are known to take them, and all peers where the service asks for it.
    #[default]
    Negotiated,
    /// All peers.
    Always,
    /// No peer, whatever it and the service say.
    Never,
}

impl Notices {
    /// Whether a peer is sent them, which `takes` them or is not known to, of a service that `asks` for
    /// it or does not.
    pub(crate) const fn are_sent(self, takes: bool, asks: bool) -> bool {
        match self {
            Self::Negotiated => takes || asks,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Whether a notification of this name is about a subscription, and no item.
pub(crate) fn is_about_items(method: &str) -> bool {
    method == ENDED || method == LOST
}

/// Marks a request, which `out` ends with, as one of a peer that takes notices.
pub(crate) fn mark(out: &mut Vec<u8>) {
    if out.last() == Some(&b'}') {
        out.pop();
        out.extend_from_slice(MARK);
    }
}

/// Whether a request is one of a peer that takes notices.
pub(crate) fn is_marked(request: &[u8]) -> bool {
    request.ends_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_request_is_the_same_request_to_all_that_read_json() {
        for request in [
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
            r#"{"method":"m","params":[],"id":1}"#,
        ] {
            assert!(!is_marked(request.as_bytes()), "{request}");
            let mut marked = request.as_bytes().to_vec();
            mark(&mut marked);
            assert!(is_marked(&marked));
            let read = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
            assert_eq!(read(&marked), read(request.as_bytes()));
        }
    }

    #[test]
    fn the_setting_comes_before_the_service_and_the_peer() {
        for (notices, takes, asks, sent) in [
            (Notices::Negotiated, false, false, false),
            (Notices::Negotiated, true, false, true),
            (Notices::Negotiated, false, true, true),
            (Notices::Always, false, false, true),
            (Notices::Never, true, true, false),
        ] {
            assert_eq!(notices.are_sent(takes, asks), sent, "{notices:?}, {takes}, {asks}");
        }
    }
}
