//! Subscriptions on the wire: how items, their end and their failure look as notifications.

mod key;
mod notices;
mod progress;
mod read;
mod report;
mod token;
mod write;

pub(crate) use key::{SubscriptionKey, positional};
pub use notices::Notices;
pub(crate) use notices::{CLOSING, ENDED, LOST, is_about_items, is_marked, mark};
pub use progress::Progress;
pub(crate) use progress::done;
pub(crate) use read::{About, PlainItem, SubscriptionEvent, judge_item, read, scan};
pub(crate) use report::read_report;
pub(crate) use token::Token;
pub(crate) use write::ItemWriter;

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
