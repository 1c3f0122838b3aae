//! The limits of a session under way: they may change, and are read all the time.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{Limits, Reached};

/// What fits into a word, so that it is read without a lock.
trait Word: Sized {
    fn to_word(self) -> u64;
    fn of_word(word: u64) -> Self;
}

impl Word for usize {
    fn to_word(self) -> u64 {
        self as u64
    }

    fn of_word(word: u64) -> Self {
        // It was one.
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

/// In nanoseconds. Those of more than 584 years are as good as that.
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
        /// [`Limits`], each of which can be read and changed at any time. Several that are changed together may be seen one by one.
        #[derive(Debug)]
        pub(crate) struct LiveLimits {
            $($name: AtomicU64,)*
            /// What the log has of them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_what_is_loaded() {
        let all = [Limits::server(), Limits::public(), Limits::client(), Limits::unlimited()];
        let live = LiveLimits::new(&all[0]);
        assert_eq!(live.load(), all[0]);
        for limits in all {
            live.store(&limits);
            assert_eq!(live.load(), limits);
        }
    }

    #[test]
    fn a_time_without_end_is_not_none() {
        let mut limits = Limits::server();
        limits.call_timeout = Some(Duration::MAX);
        assert!(LiveLimits::new(&limits).call_timeout() > Some(Duration::from_secs(500 * 365 * 86_400)));
    }
}
