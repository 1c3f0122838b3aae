//! What was understood: one value a service, a method, a parameter, an error. Spans are the user's. Nothing here knows
//! how it was written or what becomes of it.

mod error;
mod method;
mod name;
mod param;

pub(crate) use error::{ErrorCase, ErrorType, Shape};
pub(crate) use method::{
    Borrows, EmptyParams, Form, Items, Kind, Method, Order, Overflow, Reply, Sent, Style, Subscription,
    Unknown,
};
pub(crate) use name::WireName;
pub(crate) use param::{Extent, Param, Passing, Role, WireParam};

use syn::{Generics, Ident, Path, Visibility};

/// A trait that describes a service.
pub(crate) struct Service {
    /// The path of the runtime crate.
    pub(crate) runtime: Path,
    pub(crate) names: Names,
    pub(crate) vis: Visibility,
    /// Those of the trait, without the conditions on `Self`.
    pub(crate) generics: Generics,
    pub(crate) halves: Halves,
    /// Whether pointers to an implementation are implementations.
    pub(crate) auto_impl: bool,
    pub(crate) methods: Vec<Method>,
}

/// Which sides are generated.
#[derive(Clone, Copy)]
pub(crate) struct Halves {
    pub(crate) client: bool,
    pub(crate) server: bool,
}

/// The names of what is generated.
pub(crate) struct Names {
    /// The user's trait.
    pub(crate) service: Ident,
    pub(crate) client: Ident,
    pub(crate) server: Ident,
    /// The client's type parameter: what its calls go through.
    pub(crate) caller: Ident,
    /// The server's type parameter: what implements the trait.
    pub(crate) implementor: Ident,
}
