use super::*;

#[test]
fn a_preset_has_its_name_until_a_field_is_changed() {
    for (name, limits) in [
        ("server", Limits::server()),
        ("public", Limits::public()),
        ("client", Limits::client()),
        ("unlimited", Limits::unlimited()),
        ("server", Limits::server().with_connections(1_000)),
        ("custom", Limits::server().with_connections(1_001)),
        ("custom", Limits::public().with_cost_per_byte(0.0)),
    ] {
        assert_eq!(limits.clone().in_force().preset(), name, "{limits:?}");
    }
}

/// The numbers of aiorpcX 0.25, from its `session.py`.
#[test]
fn public_prices_as_aiorpcx_does() {
    let public = Limits::public();
    assert_eq!((public.cost_soft, public.cost_hard), (2_000.0, 10_000.0));
    assert_eq!((public.cost_of_error, public.cost_of_unreadable), (100.0, 1_000.0));
    assert_eq!(
        (public.cost_per_byte * 100_000.0, public.cost_forgiven_per_second * 3_600.0),
        (1.0, 10_000.0)
    );
    assert_eq!((public.requests_in_flight, public.cost_delay), (20, Duration::from_secs(2)));
}

#[test]
fn what_waits_in_a_subscription_is_bounded_in_every_preset() {
    for limits in [Limits::server(), Limits::public(), Limits::client(), Limits::unlimited()] {
        assert_eq!((limits.subscription_items, limits.subscription_bytes), (1_024, 1_000_000));
    }
}
