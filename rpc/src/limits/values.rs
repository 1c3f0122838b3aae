//! The limits of a session and of a server, and the sets of them that an application chooses from.

use std::time::Duration;

use super::deadline;

/// What one session may use, and how many a server may have. Every number has a default, a unit and a source.
///
/// | Preset | For | Memory and time | What cannot be read, errors | Bytes |
/// |---|---|---|---|---|
/// | [`Limits::server()`] | peers that the server does not know; the default of a server | bounded | priced where they come in floods | free |
/// | [`Limits::public()`] | a server that faces the internet | bounded | priced as aiorpcX does | priced |
/// | [`Limits::client()`] | a server that the application chose; the default of a client | bounded | counted, and nothing follows | free |
/// | [`Limits::unlimited()`] | measuring, and a peer that is trusted as one's own code | not bounded, but for subscriptions | free | free |
///
/// Take one and change what has to be different. Every field has a setter, its name behind `with_`.
/// Setters chain, and take a duration or `None` where a field is an `Option`. The fields are public
/// too, for reading and for changing one in place:
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
/// In a number of things or bytes, `usize::MAX` means no limit; in a duration, `None`, and so does
/// more than a century (`Duration::MAX`). For [`frame_size`](Self::frame_size) and
/// [`cost_hard`](Self::cost_hard), of which nothing would be left, so does 0, as in aiorpcX.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How many sessions a server may have at once for one more peer to be accepted. A peer that is one too many is sent an error, -102
    /// with the id null, and its connection is closed. Over HTTP and WebSocket its first request is answered with 503, behind the handshake
    /// of TLS where there is one. 64 at a time are told so for each place that is listened at; more are cut off. It means nothing on a client.
    ///
    /// Default: 1,000 (ElectrumX's `MAX_SESSIONS`): each takes a file descriptor, of which many systems give a process 1,024 unless
    /// they are asked for more. With a higher limit, ask for more.
    pub connections: usize,

    /// The size of an incoming frame in bytes. A larger one is dropped and counted as an error, and the session goes on. Where it was
    /// the reply to a call of ours, that ends with [`ProtocolError::ReplyTooLarge`](crate::ProtocolError::ReplyTooLarge); a request is
    /// answered with -32600. One of more than sixteen times the limit ends the session, and so does, over WebSocket, any larger one,
    /// with the code 1009. [`guide::limits`](crate::guide::limits#frames-over-the-limit) has the rules.
    ///
    /// Default: 1,000,000 on a server (aiorpcX), 10,485,760 on a client (jsonrpsee's `max_response_body_size`): what servers send by
    /// default must fit.
    pub frame_size: usize,

    /// The size of an outgoing result, or error, in bytes. A handler's larger one becomes a short error of its request. The replies to
    /// the members of a batch may have as many bytes together; those that are too much become errors.
    ///
    /// Default: 10,000,000: what a client accepts by default, less some room for the envelope.
    pub reply_size: usize,

    /// How many members a batch of the peer's may have. A longer one is answered with one error. Each
    /// member counts as a request of its own.
    ///
    /// Default: 1,000, as many as viem and go-ethereum put into one.
    pub batch_length: usize,

    /// How many subscriptions the peer may have here at once. One more is refused with -32006.
    ///
    /// Default: 1,024 (jsonrpsee).
    pub subscriptions: usize,

    /// How many items of a subscription are kept for a side that is slow to take them: here for a peer that subscribed, and for our own
    /// subscriptions. What is done beyond it is said by [`Overflow`](crate::Overflow).
    ///
    /// Default: 1,024 (jsonrpsee).
    pub subscription_items: usize,

    /// The same in bytes. One item is always kept, whatever its size. All items for one peer together may have
    /// [`outgoing_bytes`](Self::outgoing_bytes), besides one of each subscription.
    ///
    /// Default: 1,000,000.
    pub subscription_bytes: usize,

    /// How many requests of the peer are worked on at once: how many permits a session has. Further ones
    /// wait for a permit, in order, as many as fit into [`request_bytes`](Self::request_bytes) with those
    /// that are worked on; what comes behind them is not read. So what takes requests back is found behind
    /// those that wait for them ([`Cancellation`](crate::Cancellation)). The first time that a session
    /// has a request wait, an event of `tracing` at the level `INFO` says so, and
    /// [`Statistics`](crate::Statistics) count them.
    ///
    /// While a call of ours waits for its reply on the same session, further requests are answered with
    /// -102 instead, because the reply may stand behind them. Notifications, which cannot be answered, are
    /// kept all the same; those for which there is no room are dropped, with a warning in the log.
    ///
    /// Requests whose handler finishes without waiting never count. 0 is taken as 1. Over HTTP/2 a
    /// connection has as many streams, and no more than 128.
    ///
    /// Default: 256. 20 of [`public()`](Self::public) (aiorpcX).
    pub requests_in_flight: usize,

    /// How many bytes the requests being worked on may have together, with those that wait for a permit.
    /// One request is always admitted.
    /// Over HTTP/2 the requests of a connection count from when their bodies arrive.
    ///
    /// Default: 4,000,000: four frames of the largest size.
    pub request_bytes: usize,

    /// How many bytes the bodies of HTTP requests may have together while they arrive, on all
    /// connections of a server. A connection has no more of them than are left for the others, besides
    /// 16 KiB of its own: one body or many can never use up all. A body for which there is no room is
    /// answered with 503. Less than twice [`frame_size`](Self::frame_size) is taken for that much, so
    /// that the largest body fits. It means nothing to sessions.
    ///
    /// Default: 100,000,000 (ours): a tenth of what [`connections`](Self::connections) bodies of
    /// [`frame_size`](Self::frame_size) would have.
    pub body_bytes: usize,

    /// How many bytes may wait to be sent. Beyond it calls and notifications wait for room, and no more requests are read; so it is
    /// where as many bytes of replies wait for the end of the batches that they belong to. One message is always accepted, whatever
    /// its size: so the worst case is one of [`reply_size`](Self::reply_size) more, 14,000,000 bytes with
    /// the defaults, and while it is written and buffers grow up to three times that. The reply of a
    /// handler that has finished is written when there is room; until then the session has the value that
    /// the handler has returned, of as many handlers as there are
    /// [`requests_in_flight`](Self::requests_in_flight).
    ///
    /// While a call of ours waits, requests are read and refused, and the refusals wait too: where
    /// they come to as many bytes themselves (the peer keeps asking and does not read), the session is
    /// aborted. 0 is taken as 1.
    ///
    /// Default: 4,000,000.
    pub outgoing_bytes: usize,

    /// How many calls of ours may wait for their replies at once, to begin with. Further ones wait for their turn before they are sent,
    /// in order, and their timeouts run meanwhile. A batch counts as one, and has its turn whatever its length; notifications, pings and
    /// calls that report progress do not count. 0 is taken as 1.
    ///
    /// Where each side calls the other back from within its handlers, a chain of such calls has a place for each of its own in flight: one
    /// that is longer than there are places ends with a timeout.
    ///
    /// [`target_response_time`](Self::target_response_time) moves the number from there on.
    ///
    /// Default: no limit. aiorpcX begins with 50, and never has more than 250 in flight, to be kind to servers that cannot say how much they
    /// take. Servers of today do: they stop reading, as ours do by [`requests_in_flight`](Self::requests_in_flight). And where some
    /// calls are long by nature, because they wait for an event or for a person to answer, slow replies do not mean a busy peer.
    pub calls_in_flight: usize,

    /// How long a reply should take, where [`calls_in_flight`](Self::calls_in_flight) is bounded: after every 30 calls their number is
    /// moved toward where their average would be this, by at most 10 % (at least 3) up and 20 % down, between 1 and 250. `None`
    /// leaves the number as it is.
    ///
    /// Of a batch each call counts as its share of the time. A call that is given up counts with the time until then.
    ///
    /// Default: 3 s (aiorpcX).
    pub target_response_time: Option<Duration>,

    /// How long a call of ours waits for its reply, unless the call says otherwise.
    ///
    /// Default: 30 s (aiorpcX).
    pub call_timeout: Option<Duration>,

    /// How long a handler may take. Then it is dropped, and its caller gets -102.
    ///
    /// Default: 30 s (aiorpcX).
    pub request_timeout: Option<Duration>,

    /// How long bytes may wait to be sent without any of them leaving. Then the session is aborted.
    ///
    /// Default: 20 s (aiorpcX).
    pub send_timeout: Option<Duration>,

    /// How long a graceful close waits for handlers to finish and for bytes to leave. Then it is forced.
    ///
    /// Default: 30 s (aiorpcX).
    pub close_timeout: Option<Duration>,

    /// How long it may take until a connection is a session: on a client all of connecting, with what a proxy needs, and the handshakes of TLS
    /// and WebSocket; on a server those handshakes, from accepting the peer on, and the head of a request of HTTP. Then the connection is given
    /// up: on a client with [`ConnectError::Timeout`](crate::ConnectError::Timeout). A bare stream of bytes has no handshake on a server.
    ///
    /// Default: 10 s on a server (`TLSHandshakeTimeout` of Go's `net/http`): a few round trips, of a peer that nobody knows yet. 30 s on
    /// a client, as for a call: a proxy such as Tor takes its time to find a way.
    pub handshake_timeout: Option<Duration>,

    /// How long a session may be idle, at least a millisecond: nothing comes or goes, no call or request is in flight, and there is no subscription, in either
    /// direction. Then it is closed, with [`CloseReason::Idle`](crate::CloseReason::Idle). Blank lines count as something that comes.
    ///
    /// Where the last thing under way ends without a message, the time may begin up to once more as late.
    ///
    /// A connection that never says anything is idle too: a bare stream of bytes has no handshake that could have a shorter limit, and many honest
    /// peers connect and wait to be called. How many there may be is bounded by [`connections`](Self::connections). Pings of a
    /// [`KeepAlive`](crate::KeepAlive) and their replies do not count.
    ///
    /// Default: 600 s on a server (ElectrumX's `SESSION_TIMEOUT`), so that peers that have gone without a word do not pile up; none on
    /// a client, which knows itself when it is done.
    pub idle_timeout: Option<Duration>,

    /// How long a message may take to arrive, from its first bytes on, at least a millisecond. Then the session is ended, with
    /// [`CloseReason::FrameTimeout`](crate::CloseReason::FrameTimeout): who sends a byte now and then would keep it for ever. Time in which nothing is
    /// read, because the peer does not take what we send, does not count.
    ///
    /// Default: 30 s on a server, where the largest frame then needs 33 kB/s; none on a client, whose calls have timeouts, and
    /// whose replies may be large and come over slow lines.
    pub frame_timeout: Option<Duration>,

    /// The cost from which on the peer is slowed down. Between this and [`cost_hard`](Self::cost_hard)
    /// fewer of its requests are worked on at once, and each is delayed before its handler starts, in
    /// proportion: half way it is half of [`requests_in_flight`](Self::requests_in_flight) and half of
    /// [`cost_delay`](Self::cost_delay). The first time in a session an event of `tracing` at the level
    /// `WARN` says what the cost is made of, and which field to change.
    ///
    /// Default: 2,000 on a server (aiorpcX), no limit on a client.
    pub cost_soft: f64,

    /// The cost at which the peer is told -101 and the session ends; `f64::INFINITY` or 0 means no
    /// limit, and slows no peer down either. A client of this crate that is told so ends with
    /// [`CloseReason::Refused`](crate::CloseReason::Refused).
    ///
    /// What the peer does adds to its [cost](crate::Session::cost), by the numbers below, and the
    /// application may [add](crate::Session::add_cost) what it likes. Errors that handlers return are
    /// the application's own affair and cost nothing.
    ///
    /// Default: 10,000 on a server (aiorpcX), no limit on a client.
    pub cost_hard: f64,

    /// The cost of a byte, either way. They are added up, and charged when they come to 1.
    ///
    /// Default: 0: what a peer asks for by the rules costs it nothing. 1 / 100,000 of
    /// [`public()`](Self::public) (aiorpcX), where a peer may use 278 kB a second for ever.
    pub cost_per_byte: f64,

    /// The cost of a broken rule: a malformed message, an unknown method, parameters that do not fit, a
    /// reply to nothing.
    ///
    /// Default: 0.1: a peer that is slowed down has made 20,000 of them, or 28 each second for hours.
    /// 100 of [`public()`](Self::public) (aiorpcX).
    pub cost_of_error: f64,

    /// The cost of input that cannot be read at all, or is too large to be; of a handshake that fails,
    /// too, to the [group](crate::Groups) of the peer.
    ///
    /// Default: 1: a session ends after 10,000 of them, or 2.8 each second for ever go by. 1,000 of
    /// [`public()`](Self::public) (aiorpcX).
    pub cost_of_unreadable: f64,

    /// How much cost is forgiven per second.
    ///
    /// Default: 10,000 / 3,600: the hard limit in an hour (aiorpcX).
    pub cost_forgiven_per_second: f64,

    /// How long each request is delayed at the hard limit: see [`cost_soft`](Self::cost_soft).
    ///
    /// Default: 2 s (aiorpcX).
    pub cost_delay: Duration,
}

impl Limits {
    /// With what means no limit in one way, and the least that works in the place of nothing.
    pub(crate) fn in_force(self) -> Self {
        let finite = |duration: Option<Duration>| duration.and_then(deadline::finite);
        // These are looked at again when they have passed: with none at all, all the time.
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
#[path = "values_tests.rs"]
mod tests;
