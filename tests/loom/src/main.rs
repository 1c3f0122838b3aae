//! Model checks of the session's concurrency: every interleaving of a few steps is run, by loom.
//!
//! The modules are those of the crate `rpc`, compiled with loom's primitives: see `crate::sync` there. A lost wake-up shows as a
//! deadlock, a broken promise as a panic; either ends this program with an error.
//!
//! ```text
//! cargo run --manifest-path tests/loom/Cargo.toml
//! ```

#![allow(dead_code, reason = "the modules have methods that no model needs")]

#[path = "../../../rpc/src/session/shared/guarded.rs"]
mod guarded;
mod models;
#[path = "../../../rpc/src/session/reply_slot.rs"]
mod reply_slot;

/// What `rpc::sync` is there.
mod sync {
    use std::task::Waker;

    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence},
    };

    /// With the interface of the one that `rpc` uses.
    #[derive(Debug)]
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(crate) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }
}

/// Stands for what a call may be answered with.
mod jsonrpc {
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Reply(pub(crate) u32);
}

/// Stands for the errors of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallError {}

fn main() {
    for (name, model) in models::ALL {
        let runs = models::check(*model);
        println!("{name}: {runs} interleavings");
    }
}
