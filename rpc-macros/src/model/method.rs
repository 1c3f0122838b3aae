//! A method of a service.

use proc_macro2::TokenStream;
use syn::{Attribute, Ident, Type};

use super::WireName;

pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) wire: WireName,
    pub(crate) form: Form,
    pub(crate) kind: Kind,
    pub(crate) sent: Sent,
    /// In the order of the signature, the receiver left out.
    pub(crate) params: Vec<Param>,
    pub(crate) docs: Option<String>,
    /// What the client's method takes over.
    pub(crate) attrs: Vec<Attribute>,
    /// The conditions under which the method exists; none for most.
    pub(crate) conditions: Vec<TokenStream>,
}

/// How the service's method is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `async fn`
    Async,
    /// `fn`: its value is there when it returns.
    Plain,
}

/// Whether anything comes back.
pub(crate) enum Kind {
    Request(Box<Reply>),
    Notification,
}

/// What a request is answered with.
pub(crate) struct Reply {
    pub(crate) ty: Type,
    /// The type can be seen to be no `Result`. When it cannot, the compiler decides: names may be aliases.
    pub(crate) plain: bool,
}

/// How the client sends parameters. A server takes both.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sent {
    #[default]
    ByPosition,
    ByName,
}

pub(crate) struct Param {
    pub(crate) ident: Ident,
    pub(crate) role: Role,
}

/// Where a parameter's value comes from.
pub(crate) enum Role {
    /// From the message.
    Wire { name: WireName, passing: Passing },
    /// From the request's surroundings: it does not travel. The type is kept for its span.
    Context(Type),
}

/// Who owns a parameter's value during the call.
pub(crate) enum Passing {
    /// `T`
    Owned(Type),
    /// `&T`, of which this is the `T`: decoded as its owned form, and lent.
    Lent(Type),
}

impl Method {
    /// The parameters that travel, with their names and how they are passed.
    pub(crate) fn wire_params(&self) -> impl Iterator<Item = (&Ident, &WireName, &Passing)> {
        self.params.iter().filter_map(|param| match &param.role {
            Role::Wire { name, passing } => Some((&param.ident, name, passing)),
            Role::Context(_) => None,
        })
    }
}
