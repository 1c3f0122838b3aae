//! The integration tests: promises of the design, each named after what it guards.

mod answers;
mod batches;
mod broadcast;
mod callbacks;
mod calls;
mod events;
mod handlers;
mod hostile;
mod ids;
mod limits;
mod lost;
mod macros;
mod order;
mod room;
mod services;
mod sessions;
mod shutdown;
mod slow;
mod soak;
mod sources;
mod specification;
mod subscriptions;
mod turns;
mod versions;
mod wrong_calls;
