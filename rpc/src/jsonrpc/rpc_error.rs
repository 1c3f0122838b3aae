//! The bridge between an error type and the error object that travels.

use std::{convert::Infallible, error::Error};

use super::ErrorObject;

/// An error that a method returns and its caller gets back, as the same type with the same fields.
///
/// Derive it: [`#[derive(RpcError)]`](macro@crate::RpcError) gives every variant a code, sends the `Display` text as the message, and
/// sends the fields as `data`. Implement it by hand where a variant's shape on the wire is not yours to choose. Here the peer's
/// errors have a code and a message, and no `data` that fields could be read from:
///
/// ```
/// use rpc::{ErrorObject, RpcError};
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// enum NodeError {
///     #[error("{0}")]
///     BadRequest(String),
/// }
///
/// impl RpcError for NodeError {
///     fn to_error_object(&self) -> ErrorObject {
///         ErrorObject::new(1, self.to_string())
///     }
///
///     fn from_error_object(error: &ErrorObject) -> Option<Self> {
///         (error.code().value() == 1).then(|| Self::BadRequest(error.message().to_owned()))
///     }
/// }
///
/// let error = NodeError::BadRequest("no such block".to_owned());
/// assert_eq!(NodeError::from_error_object(&error.to_error_object()), Some(error));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that can travel",
    label = "this type has no code on the wire",
    note = "derive it for a type of yours: `#[derive(Debug, thiserror::Error, RpcError)]`, with a `#[rpc(code = ..)]` for each variant",
    note = "`ErrorObject` is an error for those who have no type of their own"
)]
pub trait RpcError: Error + Sized + 'static {
    /// What is sent.
    fn to_error_object(&self) -> ErrorObject;

    /// The error that `error` stands for, or `None` where it is none of this type's: the caller then sees
    /// [`CallError::Rpc`](crate::CallError::Rpc).
    fn from_error_object(error: &ErrorObject) -> Option<Self>;
}

/// Any error at all, untyped.
impl RpcError for ErrorObject {
    fn to_error_object(&self) -> ErrorObject {
        self.clone()
    }

    fn from_error_object(error: &ErrorObject) -> Option<Self> {
        Some(error.clone())
    }
}

/// Methods that cannot fail.
impl RpcError for Infallible {
    fn to_error_object(&self) -> ErrorObject {
        match *self {}
    }

    fn from_error_object(_: &ErrorObject) -> Option<Self> {
        None
    }
}
