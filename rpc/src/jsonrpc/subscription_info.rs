//! How a subscription is declared: its style, its rule for slow subscribers, the items of work that
//! reports progress, and the notices that peers are sent.

use serde::{Deserialize, Serialize};

use super::Cancellation;

/// How a subscription looks on the wire.
///
/// [`guide::subscriptions`](crate::guide::subscriptions) shows each, message by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SubscriptionStyle {
    /// As Ethereum's nodes and jsonrpsee do it: the reply is an id, and items are `{"subscription": id, "result": item}`.
    #[default]
    PubSub,
    /// As Electrum's servers do it: the reply is the current value, and later ones come as notifications under the method's own
    /// name, whose parameters are those of the subscription and the value behind them.
    Electrum,
    /// As language servers report progress: the call ends with a result, and `$/progress` on the way carries a token that the request has
    /// brought.
    Progress,
    /// The same as the Model Context Protocol does it: `notifications/progress`.
    McpProgress,
}

impl SubscriptionStyle {
    /// Whether the stream ends with the reply, instead of beginning with it: its items are [`Progress`].
    pub const fn is_progress(self) -> bool {
        matches!(self, Self::Progress | Self::McpProgress)
    }

    /// The name that items come under, where the style says it.
    pub const fn item(self) -> Option<&'static str> {
        match self {
            Self::Progress => Some("$/progress"),
            Self::McpProgress => Some("notifications/progress"),
            Self::PubSub | Self::Electrum => None,
        }
    }

    /// Where the token stands in the parameters of the request, where there is one.
    const fn token(self) -> Option<&'static str> {
        match self {
            Self::Progress => Some("workDoneToken"),
            Self::McpProgress => Some("_meta.progressToken"),
            Self::PubSub | Self::Electrum => None,
        }
    }

    /// How the peer learns that nobody waits for the result any more.
    pub(crate) const fn cancellation(self) -> Option<Cancellation> {
        match self {
            Self::Progress => Some(Cancellation::LSP),
            Self::McpProgress => Some(Cancellation::MCP),
            Self::PubSub | Self::Electrum => None,
        }
    }
}

/// What a subscription is called, and how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionInfo {
    style: SubscriptionStyle,
    item: &'static str,
    token: Option<&'static str>,
    unsubscribe: Option<&'static str>,
    overflow: Overflow,
    notices: bool,
}

/// What is done when the items of a subscription are not taken as fast as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The stream waits. On the side that receives, the session stops reading: nothing else arrives on it either, unless a call of
    /// ours waits for its reply.
    Wait,
    /// The oldest item is dropped. The subscriber learns how many were lost, if it takes [`Notices`]:
    /// [`SubscriptionError::Lost`](crate::SubscriptionError::Lost).
    DropOldest,
    /// The subscription ends, with an error that says so to a subscriber that takes [`Notices`].
    End,
}

impl SubscriptionInfo {
    /// Items come under the name `item`.
    pub const fn new(style: SubscriptionStyle, item: &'static str) -> Self {
        Self {
            style,
            item,
            token: style.token(),
            unsubscribe: None,
            overflow: Overflow::Wait,
            notices: false,
        }
    }

    /// In the styles of progress: where the token stands in the parameters of the request, a name of a member, or two with a dot between
    /// them.
    pub const fn with_token(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Where the token stands in the parameters of the request, in the styles that have one.
    pub const fn token(&self) -> Option<&'static str> {
        self.token
    }

    /// Items come under the name that the style gives them, if it does.
    pub(crate) const fn of_style(style: SubscriptionStyle) -> Self {
        let item = match style.item() {
            Some(item) => item,
            None => "",
        };
        Self::new(style, item)
    }

    /// The method `unsubscribe` ends it.
    pub const fn with_unsubscribe(self, unsubscribe: &'static str) -> Self {
        Self { unsubscribe: Some(unsubscribe), ..self }
    }

    /// What a server does where the peer is slow to take items. Unless said otherwise, the stream waits.
    pub const fn with_overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// What a server does where the peer is slow to take items.
    pub const fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// A server tells its subscribers of the end and of lost items, whether they are known to take that or not: see [`Notices`].
    pub const fn with_notices(self) -> Self {
        Self { notices: true, ..self }
    }

    /// Whether a server tells its subscribers of the end and of lost items in any case.
    pub const fn notices(&self) -> bool {
        self.notices
    }

    /// How it looks.
    pub const fn style(&self) -> SubscriptionStyle {
        self.style
    }

    /// The name that items come under.
    pub const fn item(&self) -> &'static str {
        self.item
    }

    /// The method that ends it, if there is one.
    pub const fn unsubscribe(&self) -> Option<&'static str> {
        self.unsubscribe
    }
}

/// An item of a stream in the style of [`SubscriptionStyle::Progress`](super::SubscriptionStyle::Progress): how far the work is, or, as
/// the last one, what has become of it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::{Stream, StreamExt, stream};
/// use rpc::{Progress, rpc_service};
///
/// #[rpc_service]
/// trait Indexer {
///     /// Gives the number of files, and their names on the way.
///     #[rpc(subscription, style = "progress")]
///     async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, usize>>;
/// }
///
/// struct Files;
/// impl Indexer for Files {
///     async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, usize>> {
///         let steps = ["a.md", "b.md"].map(|file| Progress::Step(format!("{folder}/{file}")));
///         stream::iter(steps).chain(stream::iter([Progress::Done(2)]))
///     }
/// }
///
/// let (session, _peer) = rpc::testing::pair((), IndexerServer::new(Files));
/// let work = IndexerClient::from(session).index("notes").await?;
/// let items: Vec<_> = work.map(Result::unwrap).collect().await;
/// assert_eq!(
///     items,
///     [Progress::Step("notes/a.md".to_owned()), Progress::Step("notes/b.md".to_owned()), Progress::Done(2)]
/// );
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Progress<S, R> {
    /// How far it is.
    Step(S),
    /// What the call returns. It ends the stream.
    Done(R),
}

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
