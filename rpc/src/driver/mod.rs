//! The loop of a session: reads, admits, dispatches, writes, closes. The only place where I/O,
//! shared state and services meet.
//!
//! One task per session, and one hand-written future. Reads and writes proceed independently,
//! because the reader must never wait for a write (promise 2 in the crate documentation).
//!
//! `inbox` and `timers` hold state, and know nothing of the loop. `session_loop` has the loop
//! itself. Each further module is one of its concerns:
//!
//! | Module | Concern |
//! |---|---|
//! | `read` | bytes to frames, back-pressure, oversized frames, the end of the stream |
//! | `opening` | the first bytes of a stream, and peers that speak another protocol |
//! | `messages` | frames to replies, items of subscriptions, cancellations and requests |
//! | `requests` | permits, the queue of requests, the dispatcher, refusals |
//! | `write` | the write buffer to the transport, coalescing, the wire log |
//! | `limits` | deadlines, the idle timeout, keep-alive, cost |
//! | `close` | draining, the close handshake, the reason for the end |
//! | `start` | settings, and the start of the loop |

mod close;
mod inbox;
mod limits;
mod messages;
mod opening;
mod read;
mod requests;
mod session_loop;
mod start;
mod timers;
mod write;

pub(crate) use session_loop::Owner;
pub(crate) use start::{Settings, Start, start};
