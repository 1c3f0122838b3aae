//! From what a method returned to the reply that is sent.

use serde::Serialize;

use super::{ErrorCode, ErrorObject, Id, RpcError, one_line, shown::brief, version::Version};

/// Appends the reply to the request `id`. What cannot be sent, or is larger than `limit` bytes, becomes an error: the request is
/// answered in any case. Gives the code of the error, where the reply is one.
pub(crate) fn put_result<T: Serialize, E: RpcError>(
    out: &mut Vec<u8>,
    version: Version,
    id: Id<'_>,
    result: Result<&T, &E>,
    limit: usize,
) -> Option<ErrorCode> {
    let message = out.len();
    let (size, failed, code) = match result {
        Ok(value) => {
            version.begin_result(out, id);
            let start = out.len();
            let written = one_line::write(out, value);
            let size = out.len() - start;
            version.end_result(out, id);
            (size, written.err(), None)
        }
        Err(error) => {
            let error = error.to_error_object();
            version.put_error(out, id, &error);
            (out.len() - message, None, Some(error.code()))
        }
    };
    if failed.is_some() || size > limit {
        out.truncate(message);
        let error = unsendable(failed, size, limit);
        version.put_error(out, id, &error);
        return Some(error.code());
    }
    code
}

#[cold]
fn unsendable(failed: Option<serde_json::Error>, size: usize, limit: usize) -> ErrorObject {
    match failed {
        // Why a value of the handler's cannot be written is its author's affair, not the peer's.
        Some(error) => {
            tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a result cannot be written as JSON");
            ErrorObject::internal()
        }
        None => ErrorObject::new(
            ErrorCode::INTERNAL_ERROR,
            format!("the result is too large: it has {size} bytes, and the limit is {limit}"),
        ),
    }
}
