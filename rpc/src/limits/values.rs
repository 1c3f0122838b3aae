//! The limits of a session and of a server, and the presets that an application chooses from.

use std::time::Duration;

use super::deadline;

/// The limits of one session, and the number of sessions of a server. Every limit has a default, a
/// unit and a source.
///
/// | Preset | For | Memory and time | Unreadable input, errors | Bytes |
/// |---|---|---|---|---|
/// | [`Limits::server()`] | untrusted peers; the default of a server | bounded | a price that only floods reach | free |
/// | [`Limits::public()`] | a server on the internet | bounded | the prices of aiorpcX | priced |
/// | [`Limits::client()`] | a server that the application chose; the default of a client | bounded | counted, without effect | free |
/// | [`Limits::unlimited()`] | measuring, and a fully trusted peer | unbounded, except for subscriptions | free | free |
///
/// Take a preset and change the fields that have to differ. Every field has a setter, `with_` and
/// its name. Setters chain, and take a duration or `None` where a field is an `Option`. The fields
/// are public too, to read them or to change one in place:
///
/// ```
/// use std::time::Duration;
///
/// use rpc::Limits;
///
/// let mut limits = Limits::server()
///     .with_frame_size(16 * 1024 * 1024)
///     .with_call_timeout(Duration::from_secs(5))
///     .with_request_timeout(None);
/// limits.connections = 5_000;
/// assert_eq!(limits.call_timeout, Some(Duration::from_secs(5)));
/// ```
///
/// For a number of things or bytes, `usize::MAX` means no limit; for a duration, `None` does, and
/// so does more than a century (`Duration::MAX`). For [`frame_size`](Self::frame_size) and
/// [`cost_hard`](Self::cost_hard), where 0 would leave nothing to serve, 0 means no limit, too, as
/// in aiorpcX.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The number of open sessions of a server up to which a further peer is accepted. A peer
    /// beyond it is sent the error -102 with the id null, and its connection is closed. Over HTTP
    /// and WebSocket its first request is answered with 503, after the TLS handshake if there is
    /// one. At each place that is listened at, 64 peers at a time are told; further ones are
    /// disconnected at once. It has no effect on a client.
    ///
    /// Default: 1,000 (ElectrumX's `MAX_SESSIONS`): each session takes a file descriptor, and many
    /// systems give a process 1,024 by default. To go higher, raise that limit of the system, too.
    pub connections: usize,

    /// The size of an incoming frame in bytes. A larger frame is dropped and counted as an error,
    /// and the session goes on. If it was the reply to a call of this side, the call ends with
    /// [`ProtocolError::ReplyTooLarge`](crate::ProtocolError::ReplyTooLarge); if it was a request,
    /// it is answered with -32600. A frame of more than sixteen times the limit ends the session.
    /// Over WebSocket any larger frame ends it, with the code 1009.
    /// [`guide::limits`](crate::guide::limits#frames-over-the-limit) has the rules.
    ///
    /// Default: 1,000,000 on a server (aiorpcX), 10,485,760 on a client (jsonrpsee's
    /// `max_response_body_size`): replies that servers send by default must fit.
    pub frame_size: usize,

    /// The size of an outgoing result, or error, in bytes. A larger one is replaced by a short
    /// error reply. The replies to the members of one batch may have as many bytes together; those
    /// beyond it are replaced by errors.
    ///
    /// Default: 10,000,000: the size that a client accepts by default, less some room for the
    /// envelope.
    pub reply_size: usize,

    /// The most members of a batch of the peer. A longer batch is answered with a single error.
    /// Each member counts as a request of its own.
    ///
    /// Default: 1,000, the largest batch of viem and of go-ethereum.
    pub batch_length: usize,

    /// The most subscriptions that the peer may have on this side at once. A further one is refused
    /// with -32006.
    ///
    /// Default: 1,024 (jsonrpsee).
    pub subscriptions: usize,

    /// The most items that are queued for one subscription while its subscriber is slow: for a peer
    /// that subscribed here, and for subscriptions of this side. [`Overflow`](crate::Overflow)
    /// decides what happens beyond it.
    ///
    /// Default: 1,024 (jsonrpsee).
    pub subscription_items: usize,

    /// The same in bytes. One item is always queued, whatever its size. The queued items of all
    /// subscriptions of one peer may have [`outgoing_bytes`](Self::outgoing_bytes) together,
    /// besides one item of each subscription.
    ///
    /// Default: 1,000,000.
    pub subscription_bytes: usize,

    /// The most requests of the peer that are in flight at once: the number of permits of a
    /// session. Further requests wait for a permit, in order, as many as fit into
    /// [`request_bytes`](Self::request_bytes) together with those in flight; nothing behind them is
    /// read. A message that cancels requests is found behind requests that wait for a permit
    /// ([`Cancellation`](crate::Cancellation)). The first time that a request of a session has to
    /// wait, a `tracing` event at the level `INFO` says so, and [`Statistics`](crate::Statistics)
    /// count such requests.
    ///
    /// While a call of this side waits for its reply on the same session, further requests are
    /// answered with -102 instead, because the reply may stand behind them. Notifications, which
    /// cannot be answered, are queued all the same; those that do not fit are dropped, with a
    /// warning in the log.
    ///
    /// Requests whose handler finishes without waiting never take a permit. 0 counts as 1. Over
    /// HTTP/2 a connection has as many streams, and at most 128.
    ///
    /// Default: 256. 20 with [`public()`](Self::public) (aiorpcX).
    pub requests_in_flight: usize,

    /// The most bytes of requests in flight, together with those that wait for a permit. One
    /// request is always admitted. Over HTTP/2 the requests of a connection count from when their
    /// bodies arrive.
    ///
    /// Default: 4,000,000: four frames of the largest size.
    pub request_bytes: usize,

    /// The most bytes of HTTP request bodies that are arriving, on all connections of a server
    /// together. A connection has no more of them than are left for the others, besides 16 KiB of
    /// its own, so that neither one body nor many can use up all. A body that gets no bytes is
    /// answered with 503. A value below twice [`frame_size`](Self::frame_size) counts as that, so
    /// that the largest body fits. It has no effect on sessions.
    ///
    /// Default: 100,000,000 (ours): a tenth of the bytes of [`connections`](Self::connections)
    /// bodies of [`frame_size`](Self::frame_size).
    pub body_bytes: usize,

    /// The capacity for bytes that wait to be sent. Beyond it calls and notifications wait for
    /// capacity, and no more requests are read (back-pressure); the same holds when as many bytes
    /// of replies wait for the rest of their batches. One message is always accepted, whatever its
    /// size, so the worst case is one of [`reply_size`](Self::reply_size) more: 14,000,000 bytes
    /// with the defaults, and up to three times that while it is written and buffers grow. A
    /// handler's reply is written when there is capacity; until then the session keeps the value
    /// that the handler returned, for as many handlers as there are
    /// [`requests_in_flight`](Self::requests_in_flight).
    ///
    /// While a call of this side is in flight, requests are read and refused, and the refusals wait
    /// to be sent, too. If they come to as many bytes themselves (the peer keeps asking and does
    /// not read), the session is aborted. 0 counts as 1.
    ///
    /// Default: 4,000,000.
    pub outgoing_bytes: usize,

    /// The most calls of this side that are in flight at once, at the start of a session. Further
    /// calls wait for a permit before they are sent, in order, and their timeouts run meanwhile. A
    /// batch takes one permit, whatever its length; notifications, pings and calls that report
    /// progress take none. 0 counts as 1.
    ///
    /// If each side calls the other back from its handlers, every call of such a chain takes a
    /// permit: a chain that is longer than the number of permits ends with a timeout.
    ///
    /// [`target_response_time`](Self::target_response_time) adjusts the number during the session.
    ///
    /// Default: no limit. aiorpcX starts with 50 and never has more than 250 in flight, to be kind
    /// to servers that cannot limit their load. Today's servers can: they stop reading, as ours do
    /// by [`requests_in_flight`](Self::requests_in_flight). And where some calls are long by
    /// nature, because they wait for an event or for a person, slow replies do not mean a busy
    /// peer.
    pub calls_in_flight: usize,

    /// The average response time to aim for, where [`calls_in_flight`](Self::calls_in_flight) is
    /// bounded: after every 30 calls their number is adjusted toward the one that would meet it, by
    /// at most 10 % (at least 3) up and 20 % down, between 1 and 250. `None` leaves the number as
    /// it is.
    ///
    /// In a batch each call counts as its share of the time. A call that is given up counts with
    /// the time until then.
    ///
    /// Default: 3 s (aiorpcX).
    pub target_response_time: Option<Duration>,

    /// How long a call of this side waits for its reply, unless the call sets its own timeout.
    ///
    /// Default: 30 s (aiorpcX).
    pub call_timeout: Option<Duration>,

    /// How long a handler may take. Then it is dropped, and the request is answered with -102.
    ///
    /// Default: 30 s (aiorpcX).
    pub request_timeout: Option<Duration>,

    /// How long bytes may wait to be sent while none of them leaves. Then the session is aborted.
    ///
    /// Default: 20 s (aiorpcX).
    pub send_timeout: Option<Duration>,

    /// How long a graceful close waits for handlers to finish and for bytes to leave. Then the
    /// session is aborted.
    ///
    /// Default: 30 s (aiorpcX).
    pub close_timeout: Option<Duration>,

    /// How long it may take to set up a session: on a client all of connecting, with a proxy and
    /// the TLS and WebSocket handshakes; on a server these handshakes, from accepting the peer on,
    /// and the head of an HTTP request. Then the connection is closed: on a client with
    /// [`ConnectError::Timeout`](crate::ConnectError::Timeout). A plain byte stream has no
    /// handshake on a server.
    ///
    /// Default: 10 s on a server (`TLSHandshakeTimeout` of Go's `net/http`): a few round trips of
    /// an untrusted peer. 30 s on a client, as for a call: a proxy such as Tor takes its time to
    /// build a circuit.
    pub handshake_timeout: Option<Duration>,

    /// How long a session may be idle, at least a millisecond: no bytes arrive or leave, no call or
    /// request is in flight, and there is no subscription in either direction. Then it is closed,
    /// with [`CloseReason::Idle`](crate::CloseReason::Idle). Blank lines count as bytes that
    /// arrive.
    ///
    /// If the last thing in flight ends without a message, the session may be closed later by up to
    /// the same duration.
    ///
    /// A connection that never sends anything is idle, too: a plain byte stream has no handshake
    /// that could have a shorter limit, and many honest peers connect and wait to be called. Their
    /// number is bounded by [`connections`](Self::connections). Pings of a
    /// [`KeepAlive`](crate::KeepAlive) and their replies do not count.
    ///
    /// Default: 600 s on a server (ElectrumX's `SESSION_TIMEOUT`), so that dead peers do not pile
    /// up; none on a client, which knows itself when it is done.
    pub idle_timeout: Option<Duration>,

    /// How long a message may take to arrive, from its first bytes on, at least a millisecond. Then
    /// the session ends with [`CloseReason::FrameTimeout`](crate::CloseReason::FrameTimeout): a
    /// peer that sends a byte now and then could keep it open for ever. Time in which this side
    /// does not read, because the peer does not take its bytes, does not count.
    ///
    /// Default: 30 s on a server, so that the largest frame needs 33 kB/s; none on a client, whose
    /// calls have timeouts, and whose replies may be large and come over slow lines.
    pub frame_timeout: Option<Duration>,

    /// The cost above which the peer is slowed down. Between this and
    /// [`cost_hard`](Self::cost_hard) the peer has fewer requests in flight, and each is delayed
    /// before its handler starts, in proportion: half way, half of
    /// [`requests_in_flight`](Self::requests_in_flight) and half of
    /// [`cost_delay`](Self::cost_delay). The first time in a session, a `tracing` event at the
    /// level `WARN` says how the cost came about, and which field to change.
    ///
    /// Default: 2,000 on a server (aiorpcX), no limit on a client.
    pub cost_soft: f64,

    /// The cost at which the peer is sent the error -101 and the session ends; `f64::INFINITY` or 0
    /// means no limit, and then no peer is slowed down either. A client of this crate that receives
    /// the error ends with [`CloseReason::Refused`](crate::CloseReason::Refused).
    ///
    /// The peer's messages add to its [cost](crate::Session::cost), by the prices below, and the
    /// application may [add](crate::Session::add_cost) its own. Errors that handlers return cost
    /// nothing.
    ///
    /// Default: 10,000 on a server (aiorpcX), no limit on a client.
    pub cost_hard: f64,

    /// The cost of a byte, in either direction. Bytes are added up, and charged when they come to a
    /// cost of 1.
    ///
    /// Default: 0: a peer that keeps to the protocol costs nothing. 1 / 100,000 with
    /// [`public()`](Self::public) (aiorpcX), where a peer may use 278 kB a second for ever.
    pub cost_per_byte: f64,

    /// The cost of a protocol error: a malformed message, an unknown method, invalid parameters, a
    /// reply to no call.
    ///
    /// Default: 0.1: a peer that is slowed down has made 20,000 of them, or 28 each second for
    /// hours. 100 with [`public()`](Self::public) (aiorpcX).
    pub cost_of_error: f64,

    /// The cost of input that cannot be read, or is too large; also of a failed handshake, charged
    /// to the [group](crate::Groups) of the peer.
    ///
    /// Default: 1: a session ends after 10,000 of them, or tolerates 2.8 each second for ever.
    /// 1,000 with [`public()`](Self::public) (aiorpcX).
    pub cost_of_unreadable: f64,

    /// How much of the cost decays per second.
    ///
    /// Default: 10,000 / 3,600: the hard limit in an hour (aiorpcX).
    pub cost_forgiven_per_second: f64,

    /// The delay of each request at the hard limit: see [`cost_soft`](Self::cost_soft).
    ///
    /// Default: 2 s (aiorpcX).
    pub cost_delay: Duration,
}

impl Limits {
    /// The same limits, with one value for "no limit" each, and the least value that works in place
    /// of 0.
    pub(crate) fn in_force(self) -> Self {
        let finite = |duration: Option<Duration>| duration.and_then(deadline::finite);
        // Timers are re-armed by these: with a duration of 0 they would fire all the time.
        let some = |duration: Option<Duration>| Some(finite(duration)?.max(Duration::from_millis(1)));
        Self {
            frame_size: if self.frame_size == 0 { usize::MAX } else { self.frame_size },
            requests_in_flight: self.requests_in_flight.max(1),
            outgoing_bytes: self.outgoing_bytes.max(1),
            target_response_time: finite(self.target_response_time),
            call_timeout: finite(self.call_timeout),
            request_timeout: finite(self.request_timeout),
            send_timeout: finite(self.send_timeout),
            close_timeout: finite(self.close_timeout),
            handshake_timeout: finite(self.handshake_timeout),
            idle_timeout: some(self.idle_timeout),
            frame_timeout: some(self.frame_timeout),
            cost_hard: if self.cost_hard == 0.0 { f64::INFINITY } else { self.cost_hard },
            cost_delay: self.cost_delay.min(deadline::LONGEST),
            ..self
        }
    }
}

impl Limits {
    /// For sessions that a server accepts, from untrusted peers. Memory and time are bounded.
    ///
    /// A peer that keeps to the protocol is not slowed down, however much it asks for. Unreadable
    /// input and errors have a price that only floods of them reach: see
    /// [`cost_of_error`](Self::cost_of_error) and [`cost_of_unreadable`](Self::cost_of_unreadable)
    /// for the numbers. Only the application knows the cost of its methods
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

    /// For a server on the internet, where each peer is to have its share and no more: the prices
    /// of aiorpcX, under which Electrum's servers have run for years.
    ///
    /// Bytes have a price: a peer that moves more than 278 kB a second for hours is slowed down,
    /// though it breaks no rule. So do single errors: a peer is slowed down after 20 of them, and
    /// disconnected after 100. And it has no more than 20 requests in flight. All else is as in
    /// [`server()`](Self::server). Add [`Groups`](crate::Groups), so that a peer does not get a new
    /// share with each connection.
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
    /// larger, connecting may take longer, and neither silence nor the cost of the peer slows it
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

    /// No limits, except for queued items of subscriptions.
    ///
    /// A peer can use up all memory: by sending, and by not reading the replies that it asked for.
    /// Queued items keep the bounds of [`server()`](Self::server),
    /// [`subscription_items`](Self::subscription_items) and
    /// [`subscription_bytes`](Self::subscription_bytes): without them the queue of a slow
    /// subscriber would grow for as long as a [`Broadcast`](crate::Broadcast) has items, and an
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

    /// The name of the preset with these values, for the log: `custom` if a field was changed.
    pub(crate) fn preset(&self) -> &'static str {
        let presets = [
            ("server", Self::server()),
            ("public", Self::public()),
            ("client", Self::client()),
            ("unlimited", Self::unlimited()),
        ];
        // Compared in force: a limit of 0 may stand for another number.
        let named = presets.into_iter().find(|(_, preset)| preset.clone().in_force() == *self);
        named.map_or("custom", |(name, _)| name)
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
