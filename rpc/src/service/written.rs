//! Values that are written down before they are gone: what a handler borrows from something that it holds.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    jsonrpc::{ErrorObject, RpcError, shown::brief},
    session::Returns,
};

/// The reply that `value` makes, owned.
pub fn written<const FALLIBLE: bool, R>(value: R) -> Result<Box<RawValue>, ErrorObject>
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    match value.into_result() {
        Ok(value) => to_raw_value(&value).map_err(|error| unwritable(&error)),
        Err(error) => Err(error.to_error_object()),
    }
}

/// Why a value of the handler's cannot be written is its author's affair, not the peer's.
#[cold]
fn unwritable(error: &serde_json::Error) -> ErrorObject {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a result cannot be written as JSON");
    ErrorObject::internal()
}
