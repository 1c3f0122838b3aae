//! Panics of the service's code: the log is told, and the peer nothing.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    jsonrpc::{ErrorObject, shown::brief},
    session::panic_message,
};

/// The value that a panic was given.
pub(super) type Panic = Box<dyn Any + Send>;

/// Tells the log what happened, and gives the answer to the peer.
#[cold]
pub(super) fn panicked(method: &str, panic: Panic) -> ErrorObject {
    log_panic(method, &*panic);
    discard(method, panic);
    ErrorObject::internal()
}

pub(super) fn log_panic(method: &str, panic: &(dyn Any + Send)) {
    let message = panic_message(panic);
    tracing::error!(rpc.system.name = "jsonrpc", rpc.method = method, panic = %brief(message), "a handler panicked");
}

/// Drops a value of the user's: that, too, may panic, and the loop must not.
pub(super) fn discard<T>(method: &str, value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        drop_panicked(method, panic);
    }
}

/// A value of the user's has panicked while it was dropped. An answer that was written stands.
#[cold]
pub(super) fn drop_panicked(method: &str, panic: Panic) {
    tracing::error!(
        rpc.system.name = "jsonrpc",
        rpc.method = method,
        "dropping what a handler left panicked"
    );
    // A panic whose value panics when it is dropped is leaked.
    std::mem::forget(panic);
}
