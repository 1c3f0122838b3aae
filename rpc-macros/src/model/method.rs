//! A method of a service.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::{Attribute, Ident, LitStr, Type};

use super::{Extent, Param, WireName};

#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) wire: WireName,
    /// Further names, whole.
    pub(crate) aliases: Vec<WireName>,
    pub(crate) form: Form,
    pub(crate) kind: Kind,
    pub(crate) sent: Sent,
    /// What the client sends where there are no parameters, if that is said.
    pub(crate) empty_params: Option<EmptyParams>,
    /// The members of the parameters that pass though they are none of the method's, if any.
    pub(crate) unknown: Option<Unknown>,
    /// How long the client waits, where the method says so.
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
    pub(crate) order: Order,
    /// In the order of the signature, the receiver left out.
    pub(crate) params: Vec<Param>,
    pub(crate) docs: Option<String>,
    /// What the client's method takes over.
    pub(crate) attrs: Vec<Attribute>,
    /// The conditions under which the method exists; none for most.
    pub(crate) conditions: Vec<TokenStream>,
}

/// How the service's method is written, and where it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `async fn`
    Async,
    /// `fn`: its value is there when it returns.
    Plain,
    /// `fn`, on a thread where it may wait.
    Blocking,
}

/// Whether anything comes back.
#[derive(Clone)]
pub(crate) enum Kind {
    Request(Box<Reply>),
    Notification,
    Subscription(Box<Subscription>),
}

/// A method that begins a stream of items.
#[derive(Clone)]
pub(crate) struct Subscription {
    /// What it returns, with a type that stands for the stream in its place.
    pub(crate) reply: Reply,
    pub(crate) items: Items,
    pub(crate) style: Style,
    /// The name that items come under.
    pub(crate) item: WireName,
    /// The name of the method that ends it, if there is one.
    pub(crate) unsubscribe: Option<WireName>,
    /// Where the token stands in the parameters, if it is said.
    pub(crate) token: Option<String>,
    pub(crate) overflow: Overflow,
    /// Whether its subscribers are told of the end and of lost items in any case.
    pub(crate) notices: bool,
}

/// The items of a stream.
#[derive(Clone)]
pub(crate) struct Items {
    pub(crate) ty: Type,
    /// The type to ask the compiler about, whether it is a `Result`.
    pub(crate) probe: Option<Type>,
}

/// How a subscription looks on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    PubSub,
    Electrum,
    Progress,
    McpProgress,
}

impl Style {
    /// Whether items are `Progress`, of which the last one is the reply.
    pub(crate) fn is_progress(self) -> bool {
        self.item().is_some()
    }

    /// The name that items come under, where the style says it.
    pub(crate) fn item(self) -> Option<&'static str> {
        match self {
            Self::Progress => Some("$/progress"),
            Self::McpProgress => Some("notifications/progress"),
            Self::PubSub | Self::Electrum => None,
        }
    }
}

/// What is done with items that are not taken.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    #[default]
    Wait,
    DropOldest,
    End,
}

/// Beside which others a method is worked on.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Concurrent,
    Ordered,
    Exclusive,
}

/// What a request is answered with.
#[derive(Clone)]
pub(crate) struct Reply {
    /// As the trait has it; where it holds a stream, with a type in place of that.
    pub(crate) ty: Type,
    /// The type to ask the compiler about, whether it is a `Result`: names may be aliases. None where it can be seen to be
    /// none.
    pub(crate) probe: Option<Type>,
    pub(crate) borrows: Borrows,
}

/// What a reply borrows from. On its way it is owned in any case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Borrows {
    /// Nothing that ends.
    Nothing,
    /// The service: `fn name(&self) -> &str`.
    Service,
    /// A parameter: `fn first<'a>(&self, words: &'a str) -> &'a str`.
    Params,
}

/// How the client sends parameters. A server takes both.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sent {
    #[default]
    ByPosition,
    ByName,
}

/// What is sent where there are no parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyParams {
    Absent,
    Array,
    Object,
}

/// Members of the parameters that are none of the method's.
#[derive(Clone)]
pub(crate) enum Unknown {
    Any,
    /// Those of these names.
    Named(Vec<LitStr>),
}

impl Method {
    /// Whether it can be called without any parameters being sent.
    pub(crate) fn may_send_none(&self) -> bool {
        let has_token = match &self.kind {
            Kind::Subscription(of) => of.style.is_progress(),
            Kind::Request(_) | Kind::Notification => false,
        };
        !has_token && self.wire_params().all(|(_, wire)| wire.extent != Extent::Single)
    }

    /// Whether anything that it sends is kept out of the log.
    pub(crate) fn has_secrets(&self) -> bool {
        self.wire_params().any(|(_, wire)| wire.secret)
    }

    /// The parameters that travel.
    pub(crate) fn wire_params(&self) -> impl Iterator<Item = (&Param, &super::WireParam)> {
        self.params.iter().filter_map(|param| Some((param, param.wire()?)))
    }
}
