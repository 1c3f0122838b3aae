//! The declaration of a subscription: its style, its overflow rule, the items of a call with
//! progress, and the notices that subscribers are sent.

use serde::{Deserialize, Serialize};

use super::Cancellation;

/// The form of a subscription on the wire.
///
/// [`guide::subscriptions`](crate::guide::subscriptions) shows each style, message by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SubscriptionStyle {
    /// The style of Ethereum nodes and jsonrpsee: the reply is an id, and items are
    /// `{"subscription": id, "result": item}`.
    #[default]
    PubSub,
    /// The style of Electrum servers: the reply is the current value, and later values come as
    /// notifications under the name of the method, whose parameters are those of the subscription
    /// followed by the value.
    Electrum,
    /// The progress of language servers: the call ends with a result, and until then `$/progress`
    /// carries a token from the request.
    Progress,
    /// The progress of the Model Context Protocol: the same, with `notifications/progress`.
    McpProgress,
}

impl SubscriptionStyle {
    /// Whether the stream ends with the reply, instead of beginning with it: its items are
    /// [`Progress`].
    pub const fn is_progress(self) -> bool {
        matches!(self, Self::Progress | Self::McpProgress)
    }

    /// The name of the item notifications, if the style sets it.
    pub const fn item(self) -> Option<&'static str> {
        match self {
            Self::Progress => Some("$/progress"),
            Self::McpProgress => Some("notifications/progress"),
            Self::PubSub | Self::Electrum => None,
        }
    }

    /// The default path of the token in the parameters of the request, in the styles that have one.
    const fn token(self) -> Option<&'static str> {
        match self {
            Self::Progress => Some("workDoneToken"),
            Self::McpProgress => Some("_meta.progressToken"),
            Self::PubSub | Self::Electrum => None,
        }
    }

    /// How the peer learns that the caller has abandoned the call.
    pub(crate) const fn cancellation(self) -> Option<Cancellation> {
        match self {
            Self::Progress => Some(Cancellation::LSP),
            Self::McpProgress => Some(Cancellation::MCP),
            Self::PubSub | Self::Electrum => None,
        }
    }
}

/// The names and the style of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionInfo {
    style: SubscriptionStyle,
    item: &'static str,
    token: Option<&'static str>,
    unsubscribe: Option<&'static str>,
    overflow: Overflow,
    notices: bool,
}

impl SubscriptionInfo {
    /// A subscription of this style, whose item notifications have the name `item`.
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

    /// In the styles of progress: the path of the token in the parameters of the request, which is
    /// a member name, or two separated by a dot.
    pub const fn with_token(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The path of the token in the parameters of the request, in the styles that have one.
    pub const fn token(&self) -> Option<&'static str> {
        self.token
    }

    /// A subscription whose item notifications have the name that the style sets, if it does.
    pub(crate) const fn of_style(style: SubscriptionStyle) -> Self {
        let item = match style.item() {
            Some(item) => item,
            None => "",
        };
        Self::new(style, item)
    }

    /// The same subscription, ended by the method `unsubscribe`.
    pub const fn with_unsubscribe(self, unsubscribe: &'static str) -> Self {
        Self { unsubscribe: Some(unsubscribe), ..self }
    }

    /// The same subscription, with this rule for a slow subscriber. Default: [`Overflow::Wait`].
    pub const fn with_overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// The server's rule for a slow subscriber.
    pub const fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// The same subscription, whose subscribers are always told of the end and of lost items, even
    /// if they are not known to take notices: see [`Notices`].
    pub const fn with_notices(self) -> Self {
        Self { notices: true, ..self }
    }

    /// Whether subscribers are always told of the end and of lost items.
    pub const fn notices(&self) -> bool {
        self.notices
    }

    /// The style.
    pub const fn style(&self) -> SubscriptionStyle {
        self.style
    }

    /// The name of the item notifications.
    pub const fn item(&self) -> &'static str {
        self.item
    }

    /// The method that ends the subscription; `None` if there is none.
    pub const fn unsubscribe(&self) -> Option<&'static str> {
        self.unsubscribe
    }
}

/// The rule for a subscriber that takes its items more slowly than they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// Back-pressure: the stream waits. On the receiving side the session stops reading, so nothing
    /// else arrives on it either, unless a call of this side waits for its reply.
    Wait,
    /// The oldest item is dropped. A subscriber that takes [`Notices`] learns how many were lost:
    /// [`SubscriptionError::Lost`](crate::SubscriptionError::Lost).
    DropOldest,
    /// The subscription ends. A subscriber that takes [`Notices`] is sent an error that says so.
    End,
}

/// An item of a stream in the style of
/// [`SubscriptionStyle::Progress`](super::SubscriptionStyle::Progress): a step, or, as the last
/// item, the result.
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
    /// A report on the way.
    Step(S),
    /// The result of the call. It ends the stream.
    Done(R),
}

/// The notification that a subscription has ended, and why.
pub(crate) const ENDED: &str = "rpc.ended";
/// The notification that items of a subscription were lost.
pub(crate) const LOST: &str = "rpc.lost";

/// The notification that this side is a server that shuts down.
pub(crate) const CLOSING: &str = "rpc.closing";

/// Marks a request: white space before its last brace. No JSON writer is known to produce it, and
/// JSON readers ignore it.
const MARK: &[u8] = b" \t}";

/// Which peers are sent notices: the notifications `rpc.ended` (a subscription has ended),
/// `rpc.lost` (items of it were lost) and `rpc.closing` (the server shuts down).
///
/// A peer that does not know notices may count them as items, refuse their names or charge for
/// them. So by default they are sent only to peers that are known to take them:
///
/// - those that say so in the handshake of a WebSocket, by the header
///   `Rpc-Notices: rpc.ended, rpc.lost, rpc.closing`. The response has the same header, and both
///   may contain [`rpc.cancel`](crate::Cancellation::RPC) too;
/// - those that begin a subscription by a request that ends in a blank and a tab before its last
///   brace, as clients of this crate do on every transport: ` \t}`;
/// - `rpc.closing` also those that have sent [`rpc.cancel`](crate::Cancellation::RPC), or have
///   accepted it.
///
/// A session of this crate that receives `rpc.closing` sends nothing more: further calls end with
/// [`CloseReason::Shutdown`](crate::CloseReason::Shutdown), and are not executed. Calls in flight
/// are still answered. The session ends with the same reason.
///
/// A service may ask for notices itself: see
/// [`SubscriptionInfo::with_notices`](crate::SubscriptionInfo::with_notices). A session always
/// accepts notices. [`guide::subscriptions`](crate::guide::subscriptions#how-it-ends) describes a
/// subscription without them, and how other clients treat them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Notices {
    /// Peers that are known to take notices, and all peers if the service asks for it.
    #[default]
    Negotiated,
    /// All peers.
    Always,
    /// No peer, even if the peer or the service asks for them.
    Never,
}

impl Notices {
    /// Whether a peer is sent notices: `takes` if it is known to take them, `asks` if the service
    /// asks for it.
    pub(crate) const fn are_sent(self, takes: bool, asks: bool) -> bool {
        match self {
            Self::Negotiated => takes || asks,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Whether a notification of this name is a notice about a subscription, and no item.
pub(crate) fn is_about_items(method: &str) -> bool {
    method == ENDED || method == LOST
}

/// Marks the request at the end of `out` as one of a peer that takes notices.
pub(crate) fn mark(out: &mut Vec<u8>) {
    if out.last() == Some(&b'}') {
        out.pop();
        out.extend_from_slice(MARK);
    }
}

/// Whether a request is marked as one of a peer that takes notices.
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
