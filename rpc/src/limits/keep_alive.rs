//! When a peer that says nothing is asked whether it is still there.

use std::{borrow::Cow, time::Duration};

/// Asks a peer that has said nothing for a while whether it is still there, by calling a method of its or by a ping of the transport; where it goes on
/// saying nothing, the session ends with [`CloseReason::Silent`](crate::CloseReason::Silent).
///
/// For connections that only look alive, because a machine or a line is gone without a word, and for peers or routers that drop
/// connections on which nothing happens. See [`Connector::keep_alive`](crate::Connector::keep_alive) and
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
/// Whatever the peer sends is life, be it a part of a message or an error: the method need not exist there, though a peer may count calls of
/// unknown methods against us. While the peer talks nothing is sent, and time in which we do not read does not count.
///
/// A [`call`](Self::call) is a call like others, without parameters: it has an id and is among the
/// [calls in flight](crate::Session::calls_in_flight). What becomes of it nobody learns. A [`ping`](Self::ping) is no message at all, and costs
/// the peer's application nothing; only WebSocket has them.
///
/// A [`MessageSession`](crate::MessageSession) has no methods, and is not asked.
///
/// It keeps the session from being idle for the peer, and not for us: neither a ping nor its reply puts off our own
/// [`Limits::idle_timeout`](crate::Limits::idle_timeout). So a server may ping, and still close sessions that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive {
    /// Whether the transport's own pings are used where it has them.
    pings: bool,
    method: Option<Cow<'static, str>>,
    interval: Duration,
    limit: Duration,
}

impl KeepAlive {
    /// Pings by calling `method`, best one that is cheap and does nothing.
    pub fn call(method: impl Into<Cow<'static, str>>) -> Self {
        Self { pings: false, method: Some(method.into()), ..Self::ping() }
    }

    /// Asks by a ping of the transport: WebSocket has them, and every peer answers. Over other transports nothing is asked, unless
    /// [`or_call`](Self::or_call) says how.
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

    /// Where the transport has no pings, calls `method`.
    #[must_use]
    pub fn or_call(self, method: impl Into<Cow<'static, str>>) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// How long the peer has to have said nothing before a ping is sent; at least a millisecond.
    /// `Duration::MAX` never sends one.
    ///
    /// Default: 30 s (jsonrpsee's `ping_interval`): less than routers and balancers commonly keep quiet connections.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_millis(1)), ..self }
    }

    /// How long the peer may go on saying nothing after a ping. Then the session ends.
    /// `Duration::MAX` is no limit.
    ///
    /// Default: 40 s (jsonrpsee's `inactive_limit`): more than a call may take by default, so that a busy peer is not given up.
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
