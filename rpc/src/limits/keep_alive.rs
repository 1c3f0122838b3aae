//! The settings of keep-alive: how a silent peer is asked whether it is still there.

use std::{borrow::Cow, time::Duration};

/// Detects a peer that is gone: when it has been silent for an interval, it is pinged, by a call or
/// by a ping of the transport. If it stays silent, the session ends with
/// [`CloseReason::Silent`](crate::CloseReason::Silent).
///
/// Use it to find connections that are dead without a sign (a machine or a line went down), and to
/// keep routers from dropping idle ones. See
/// [`Connector::keep_alive`](crate::Connector::keep_alive) and
/// [`ServerBuilder::keep_alive`](crate::ServerBuilder::keep_alive).
///
/// ```
/// use std::time::Duration;
/// use rpc::{Connector, KeepAlive};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let often = KeepAlive::call("server.ping").interval(Duration::from_secs(10));
/// let wallet = Connector::new("tcp://127.0.0.1:50001")?.keep_alive(often);
/// # let _ = wallet;
/// # Ok(()) }
/// ```
///
/// Any bytes from the peer show that it is there, be it a part of a message or an error reply: the
/// method need not exist, though the peer may charge us for calls of unknown methods. No ping is
/// sent while the peer sends, and time in which this side does not read (back-pressure) does not
/// count.
///
/// A [`call`](Self::call) is an ordinary call without parameters: it has an id and is among the
/// [calls in flight](crate::Session::calls_in_flight). Its outcome is ignored. A
/// [`ping`](Self::ping) is not a message, and never reaches the peer's application; only WebSocket
/// has them.
///
/// A [`MessageSession`](crate::MessageSession) has no methods, and is not pinged.
///
/// A ping keeps the session from being idle for the peer, and not for this side: neither a ping nor
/// its reply extends our own [`Limits::idle_timeout`](crate::Limits::idle_timeout). So a server may
/// ping, and still close sessions that are not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive {
    /// True if the transport's own pings are used where it has them.
    pings: bool,
    method: Option<Cow<'static, str>>,
    interval: Duration,
    limit: Duration,
}

impl KeepAlive {
    /// Pings by calling `method`, ideally one that is cheap and has no effect.
    pub fn call(method: impl Into<Cow<'static, str>>) -> Self {
        Self { pings: false, method: Some(method.into()), ..Self::ping() }
    }

    /// Pings by the transport: WebSocket has pings, which every peer answers. Over other transports
    /// nothing is sent, unless [`or_call`](Self::or_call) names a method.
    ///
    /// ```
    /// use rpc::{KeepAlive, Server};
    ///
    /// let server = Server::builder().keep_alive(KeepAlive::ping().or_call("server.ping"));
    /// # let _ = server;
    /// ```
    pub fn ping() -> Self {
        Self { pings: true, method: None, interval: Duration::from_secs(30), limit: Duration::from_secs(40) }
    }

    /// Calls `method` where the transport has no pings.
    #[must_use]
    pub fn or_call(self, method: impl Into<Cow<'static, str>>) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// How long the peer has to be silent before it is pinged; at least a millisecond.
    /// `Duration::MAX` never sends a ping.
    ///
    /// Default: 30 s (jsonrpsee's `ping_interval`): shorter than routers and load balancers
    /// commonly keep idle connections.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_millis(1)), ..self }
    }

    /// How long the peer may stay silent after a ping before the session ends. `Duration::MAX` is
    /// no limit.
    ///
    /// Default: 40 s (jsonrpsee's `inactive_limit`): longer than a call may take by default, so
    /// that a busy peer is not given up.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    pub(crate) const fn pings(&self) -> bool {
        self.pings
    }

    pub(crate) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    pub(crate) const fn pings_after(&self) -> Duration {
        self.interval
    }

    pub(crate) const fn ends_after(&self) -> Duration {
        self.limit
    }
}
