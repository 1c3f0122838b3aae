//! The sets of limits that an application chooses from, and what each is called.

use std::time::Duration;

use super::Limits;

impl Limits {
    /// For sessions that a server accepts, from peers that it does not know. Memory and time are bounded.
    ///
    /// A peer that keeps to the protocol is not slowed down, however much it asks for. What cannot be
    /// read, and errors, have a price that only floods of them come to:
    /// [`cost_of_error`](Self::cost_of_error) and [`cost_of_unreadable`](Self::cost_of_unreadable) say
    /// how many those are. What else a peer costs only the application knows
    /// ([`Session::add_cost`](crate::Session::add_cost)).
    pub const fn server() -> Self {
        Self {
            connections: 1_000,
            frame_size: 1_000_000,
            reply_size: 10_000_000,
            batch_length: 1_000,
            subscriptions: 1_024,
            subscription_items: 1_024,
            subscription_bytes: 1_000_000,
            requests_in_flight: 256,
            request_bytes: 4_000_000,
            body_bytes: 100_000_000,
            outgoing_bytes: 4_000_000,
            calls_in_flight: usize::MAX,
            target_response_time: Some(Duration::from_secs(3)),
            call_timeout: Some(Duration::from_secs(30)),
            request_timeout: Some(Duration::from_secs(30)),
            send_timeout: Some(Duration::from_secs(20)),
            close_timeout: Some(Duration::from_secs(30)),
            handshake_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(600)),
            frame_timeout: Some(Duration::from_secs(30)),
            cost_soft: 2_000.0,
            cost_hard: 10_000.0,
            cost_per_byte: 0.0,
            cost_of_error: 0.1,
            cost_of_unreadable: 1.0,
            cost_forgiven_per_second: 10_000.0 / 3_600.0,
            cost_delay: Duration::from_secs(2),
        }
    }

    /// For a server that faces the internet, where each peer is to have its share and no more: the
    /// prices of aiorpcX, under which Electrum's servers have run for years.
    ///
    /// Bytes have a price: a peer that moves more than 278 kB a second for hours is slowed down, though it
    /// breaks no rule. So do single errors: a peer is slowed down by 20 of them, and disconnected by 100.
    /// And no more than 20 of its requests are worked on at once. All else is as in
    /// [`server()`](Self::server). Add [`Groups`](crate::Groups), so that a peer does not get a new share
    /// with each connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Groups, Limits, Server};
    ///
    /// let server = Server::builder()
    ///     .service(())
    ///     .limits(Limits::public().with_connections(5_000))
    ///     .groups(Groups::by_subnet())
    ///     .bind("tcp://127.0.0.1:0")
    ///     .await?;
    /// # drop(server); Ok(()) }
    /// ```
    pub const fn public() -> Self {
        Self {
            requests_in_flight: 20,
            cost_per_byte: 1.0 / 100_000.0,
            cost_of_error: 100.0,
            cost_of_unreadable: 1_000.0,
            ..Self::server()
        }
    }

    /// For sessions that the application opens: as [`server()`](Self::server), but replies may be
    /// larger, connecting may take longer, and neither silence nor what the other side costs slows it
    /// down or ends the session.
    pub const fn client() -> Self {
        Self {
            frame_size: 10 << 20,
            handshake_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
            frame_timeout: None,
            cost_soft: f64::INFINITY,
            cost_hard: f64::INFINITY,
            ..Self::server()
        }
    }

    /// Nothing is bounded but what waits in a subscription.
    ///
    /// A peer can use up all memory: by what it sends, and by not reading what it asked for. The items
    /// that wait for a subscriber keep the bounds of [`server()`](Self::server),
    /// [`subscription_items`](Self::subscription_items) and
    /// [`subscription_bytes`](Self::subscription_bytes): without them the queue of a subscriber that is
    /// slow would grow for as long as a [`Broadcast`](crate::Broadcast) has news, and an
    /// [`Overflow`](crate::Overflow) policy would never apply.
    pub const fn unlimited() -> Self {
        Self {
            connections: usize::MAX,
            frame_size: usize::MAX,
            reply_size: usize::MAX,
            batch_length: usize::MAX,
            subscriptions: usize::MAX,
            subscription_items: Self::server().subscription_items,
            subscription_bytes: Self::server().subscription_bytes,
            requests_in_flight: usize::MAX,
            request_bytes: usize::MAX,
            body_bytes: usize::MAX,
            outgoing_bytes: usize::MAX,
            calls_in_flight: usize::MAX,
            target_response_time: None,
            call_timeout: None,
            request_timeout: None,
            send_timeout: None,
            close_timeout: None,
            handshake_timeout: None,
            idle_timeout: None,
            frame_timeout: None,
            cost_soft: f64::INFINITY,
            cost_hard: f64::INFINITY,
            cost_per_byte: 0.0,
            cost_of_error: 0.0,
            cost_of_unreadable: 0.0,
            cost_forgiven_per_second: 0.0,
            cost_delay: Duration::ZERO,
        }
    }

    /// The preset that these are, for the log: `custom` where a field was changed.
    pub(crate) fn preset(&self) -> &'static str {
        let presets = [
            ("server", Self::server()),
            ("public", Self::public()),
            ("client", Self::client()),
            ("unlimited", Self::unlimited()),
        ];
        // In force: a limit of 0 may mean another number.
        let named = presets.into_iter().find(|(_, preset)| preset.clone().in_force() == *self);
        named.map_or("custom", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
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
}
