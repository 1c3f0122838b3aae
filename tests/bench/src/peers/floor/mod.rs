//! JSON-RPC 2.0, a message a line, by hand: tokio, serde_json, and nothing in between.
//!
//! It is meant to be as fast as we know how, and does what was found to matter: writes coalesce on both sides, handlers are polled
//! where their request was read, envelopes are scanned and never built, callers write into a shared buffer under a short lock, and
//! calls in flight live in a slab. It leaves out what a framework has to do besides: limits, timeouts, cancellation, tracing, calls
//! the other way, and most of what JSON-RPC allows.

mod client;
mod lines;
mod server;
mod wire;

pub use client::Client;
pub use server::serve;
