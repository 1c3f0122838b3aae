//! A parameter of a method.

use proc_macro2::TokenStream;
use syn::{Ident, Type};

use super::WireName;

#[derive(Clone)]
pub(crate) struct Param {
    pub(crate) ident: Ident,
    pub(crate) role: Role,
    /// The conditions under which it exists; none for most.
    pub(crate) conditions: Vec<TokenStream>,
}

/// Where a parameter's value comes from.
#[derive(Clone)]
pub(crate) enum Role {
    /// From the message.
    Wire(Box<WireParam>),
    /// From the request's surroundings: it does not travel. The type is kept for its span.
    Context(Box<Type>),
}

/// A parameter that travels.
#[derive(Clone)]
pub(crate) struct WireParam {
    pub(crate) name: WireName,
    /// What is passed, without the `&` that it is passed by.
    pub(crate) ty: Type,
    pub(crate) passing: Passing,
    pub(crate) extent: Extent,
    /// What is missing is made by `Default`.
    pub(crate) default: bool,
    /// Its type is seen to be an `Option`.
    pub(crate) optional: bool,
    /// It is kept out of the log.
    pub(crate) secret: bool,
    pub(crate) docs: Option<String>,
}

/// How much of what is sent belongs to a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One value.
    Single,
    /// All values that are left.
    Rest,
    /// The whole array or object.
    Whole,
}

/// Who owns a parameter's value during the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// `T`
    Owned,
    /// `&T`: decoded as the owned form of `T`, and lent.
    Lent,
    /// `Option<&T>`: likewise, where there is one.
    LentOption,
    /// `&[&T]`: decoded as a list of owned forms, and each is lent.
    LentAll,
    /// `Option<&[&T]>`: likewise, where there is one.
    LentAllOption,
}

impl Param {
    pub(crate) fn wire(&self) -> Option<&WireParam> {
        match &self.role {
            Role::Wire(wire) => Some(wire),
            Role::Context(_) => None,
        }
    }
}
