//! Setters that chain, one for each field.

use std::time::Duration;

use super::Limits;

macro_rules! setters {
    ($($field:ident: $type:ty, $setter:ident;)*) => {
        /// Setters. Each is one field, and takes what the field says.
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
        /// Setters of times, which take a duration, or `None` for no limit.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_sets_its_field_and_no_other() {
        let seconds = Duration::from_secs;
        let all = Limits::server()
            .with_connections(1)
            .with_frame_size(2)
            .with_reply_size(3)
            .with_batch_length(4)
            .with_subscriptions(5)
            .with_subscription_items(6)
            .with_subscription_bytes(7)
            .with_requests_in_flight(8)
            .with_request_bytes(9)
            .with_body_bytes(10)
            .with_outgoing_bytes(11)
            .with_calls_in_flight(12)
            .with_target_response_time(seconds(13))
            .with_call_timeout(seconds(14))
            .with_request_timeout(seconds(15))
            .with_send_timeout(seconds(16))
            .with_close_timeout(seconds(17))
            .with_handshake_timeout(seconds(18))
            .with_idle_timeout(seconds(19))
            .with_frame_timeout(seconds(20))
            .with_cost_soft(21.0)
            .with_cost_hard(22.0)
            .with_cost_per_byte(23.0)
            .with_cost_of_error(24.0)
            .with_cost_of_unreadable(25.0)
            .with_cost_forgiven_per_second(26.0)
            .with_cost_delay(seconds(27));
        let expected = Limits {
            connections: 1,
            frame_size: 2,
            reply_size: 3,
            batch_length: 4,
            subscriptions: 5,
            subscription_items: 6,
            subscription_bytes: 7,
            requests_in_flight: 8,
            request_bytes: 9,
            body_bytes: 10,
            outgoing_bytes: 11,
            calls_in_flight: 12,
            target_response_time: Some(seconds(13)),
            call_timeout: Some(seconds(14)),
            request_timeout: Some(seconds(15)),
            send_timeout: Some(seconds(16)),
            close_timeout: Some(seconds(17)),
            handshake_timeout: Some(seconds(18)),
            idle_timeout: Some(seconds(19)),
            frame_timeout: Some(seconds(20)),
            cost_soft: 21.0,
            cost_hard: 22.0,
            cost_per_byte: 23.0,
            cost_of_error: 24.0,
            cost_of_unreadable: 25.0,
            cost_forgiven_per_second: 26.0,
            cost_delay: seconds(27),
        };
        assert_eq!(all, expected);
        assert_eq!(all.with_idle_timeout(None).with_call_timeout(Some(seconds(5))).idle_timeout, None);
    }
}
