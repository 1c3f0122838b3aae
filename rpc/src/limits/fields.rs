//! Code that repeats for each field of [`Limits`]: its setter, and the atomic that a running
//! session reads it from. With it, the log events for limits that were reached.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::Limits;
use crate::transport::Endpoint;

macro_rules! setters {
    ($($field:ident: $type:ty, $setter:ident;)*) => {
        /// Setters, one for each field. Units and meanings are those of the field.
        impl Limits {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub const fn $setter(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

macro_rules! setters_of_times {
    ($($field:ident, $setter:ident;)*) => {
        /// Setters of durations: a `Duration`, or `None` for no limit.
        impl Limits {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $setter(mut self, $field: impl Into<Option<Duration>>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

setters! {
    connections: usize, with_connections;
    frame_size: usize, with_frame_size;
    reply_size: usize, with_reply_size;
    batch_length: usize, with_batch_length;
    subscriptions: usize, with_subscriptions;
    subscription_items: usize, with_subscription_items;
    subscription_bytes: usize, with_subscription_bytes;
    requests_in_flight: usize, with_requests_in_flight;
    request_bytes: usize, with_request_bytes;
    body_bytes: usize, with_body_bytes;
    outgoing_bytes: usize, with_outgoing_bytes;
    calls_in_flight: usize, with_calls_in_flight;
    cost_soft: f64, with_cost_soft;
    cost_hard: f64, with_cost_hard;
    cost_per_byte: f64, with_cost_per_byte;
    cost_of_error: f64, with_cost_of_error;
    cost_of_unreadable: f64, with_cost_of_unreadable;
    cost_forgiven_per_second: f64, with_cost_forgiven_per_second;
    cost_delay: Duration, with_cost_delay;
}

setters_of_times! {
    target_response_time, with_target_response_time;
    call_timeout, with_call_timeout;
    request_timeout, with_request_timeout;
    send_timeout, with_send_timeout;
    close_timeout, with_close_timeout;
    handshake_timeout, with_handshake_timeout;
    idle_timeout, with_idle_timeout;
    frame_timeout, with_frame_timeout;
}

/// Fits into 64 bits, so that it is read without a lock.
trait Word: Sized {
    fn to_word(self) -> u64;
    fn of_word(word: u64) -> Self;
}

impl Word for usize {
    fn to_word(self) -> u64 {
        self as u64
    }

    fn of_word(word: u64) -> Self {
        // The word was made from a `usize`.
        word as Self
    }
}

impl Word for f64 {
    fn to_word(self) -> u64 {
        self.to_bits()
    }

    fn of_word(word: u64) -> Self {
        Self::from_bits(word)
    }
}

/// In nanoseconds. A duration of more than 584 years is stored as 584 years.
impl Word for Duration {
    fn to_word(self) -> u64 {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1)
    }

    fn of_word(word: u64) -> Self {
        Self::from_nanos(word)
    }
}

impl Word for Option<Duration> {
    fn to_word(self) -> u64 {
        self.map_or(u64::MAX, Duration::to_word)
    }

    fn of_word(word: u64) -> Self {
        (word != u64::MAX).then(|| Duration::of_word(word))
    }
}

macro_rules! live {
    ($($name:ident: $type:ty,)*) => {
        /// The [`Limits`] of a running session: each is read and changed at any time, without a
        /// lock. A reader may see a change of several limits half done.
        #[derive(Debug)]
        pub(crate) struct LiveLimits {
            $($name: AtomicU64,)*
            /// The log events for limits that this session has reached.
            pub(crate) reached: Reached,
        }

        #[allow(dead_code, reason = "some are only read all together")]
        impl LiveLimits {
            pub(crate) fn new(limits: &Limits) -> Self {
                Self { $($name: AtomicU64::new(limits.$name.to_word()),)* reached: Reached::default() }
            }

            pub(crate) fn load(&self) -> Limits {
                Limits { $($name: self.$name(),)* }
            }

            pub(crate) fn store(&self, limits: &Limits) {
                $(self.$name.store(limits.$name.to_word(), Relaxed);)*
            }

            $(
                pub(crate) fn $name(&self) -> $type {
                    Word::of_word(self.$name.load(Relaxed))
                }
            )*
        }
    };
}

live! {
    connections: usize,
    frame_size: usize,
    reply_size: usize,
    batch_length: usize,
    subscriptions: usize,
    subscription_items: usize,
    subscription_bytes: usize,
    requests_in_flight: usize,
    request_bytes: usize,
    body_bytes: usize,
    outgoing_bytes: usize,
    calls_in_flight: usize,
    target_response_time: Option<Duration>,
    call_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    send_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    handshake_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    frame_timeout: Option<Duration>,
    cost_soft: f64,
    cost_hard: f64,
    cost_per_byte: f64,
    cost_of_error: f64,
    cost_of_unreadable: f64,
    cost_forgiven_per_second: f64,
    cost_delay: Duration,
}

/// True until the log has a certain event.
#[derive(Debug, Default)]
struct LogOnce(AtomicBool);

impl LogOnce {
    fn is_first(&self) -> bool {
        !self.0.swap(true, Relaxed)
    }
}

/// The limits that one session, or one dispatcher, has reached and logged: once each, with the
/// field to change.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    request_timeout: LogOnce,
    subscriptions: LogOnce,
}

impl Reached {
    /// Logs that a handler was dropped. `session` is `None` for a request without a session.
    #[cold]
    pub(crate) fn request_timeout(&self, peer: &Endpoint, session: Option<u64>, limit: Option<Duration>) {
        if let Some(limit) = limit
            && self.request_timeout.is_first()
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, session, ?limit,
                "a handler took longer than it may, and was dropped. Where handlers take that long, raise `Limits::request_timeout`"
            );
        }
    }

    /// Logs that a subscription was refused.
    #[cold]
    pub(crate) fn subscriptions(&self, peer: &Endpoint, session: u64, limit: usize) {
        if self.subscriptions.is_first() {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, session, limit,
                "a peer has as many subscriptions as it may have: further ones are refused. Where it does what it should, raise \
                 `Limits::subscriptions`"
            );
        }
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
