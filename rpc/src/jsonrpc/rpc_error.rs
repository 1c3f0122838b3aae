//! The bridge between an error type and the error object that travels.

use std::{convert::Infallible, error::Error};

use super::ErrorObject;

/// An error that a method returns and its caller gets back, as the same type with the same fields.
///
/// Derive it: [`#[derive(RpcError)]`](macro@crate::RpcError) gives every variant a code, sends the `Display` text as the message, and
/// sends the fields as `data`. Implement it by hand where a variant's shape on the wire is not yours to choose.
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
