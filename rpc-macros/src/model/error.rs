//! A type that derives `RpcError`.

use syn::{Ident, Path, Type};

use super::WireName;

pub(crate) struct ErrorType {
    /// The path of the runtime crate.
    pub(crate) runtime: Path,
    pub(crate) ident: Ident,
    pub(crate) cases: Vec<ErrorCase>,
}

/// One variant of an enum, or the whole of a struct.
pub(crate) struct ErrorCase {
    /// The variant's name; none for a struct.
    pub(crate) variant: Option<Ident>,
    pub(crate) code: i64,
    pub(crate) shape: Shape,
}

/// The fields of a case, and by that the form of the error object's `data`.
pub(crate) enum Shape {
    /// No fields: no `data`.
    Unit,
    /// Named fields: an object.
    Named(Vec<(Ident, WireName, Type)>),
    /// One unnamed field: its value.
    Value(Box<Type>),
    /// Several unnamed fields: an array.
    Tuple(Vec<Type>),
}
