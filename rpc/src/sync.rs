//! The primitives under the state that a session's handles and its loop share. The model checks of `tests/loom` compile the
//! modules that use them with loom's in their place.

pub(crate) use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence},
};

pub(crate) use futures::task::AtomicWaker;
