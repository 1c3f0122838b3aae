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
