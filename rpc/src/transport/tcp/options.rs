//! Options of a TCP connection.

use std::{io, net::IpAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Options of a TCP connection. Every number has a default and a reason.
///
/// ```
/// use std::time::Duration;
/// use rpc::transport::tcp::TcpOptions;
///
/// let mut options = TcpOptions::default();
/// options.connect_timeout = Some(Duration::from_secs(3));
/// options.keep_alive = None;
/// ```
///
/// For [`Connector::tcp`](crate::Connector::tcp), and [`Listen::tcp`](crate::Listen::tcp) for
/// accepted connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Disables Nagle's algorithm (`TCP_NODELAY`).
    ///
    /// Default: true. A session coalesces messages itself before it writes, so delaying them again
    /// gains nothing.
    pub nodelay: bool,

    /// TCP keep-alive: detects a dead machine while neither side sends anything.
    ///
    /// Default: [`TcpKeepAlive::default()`]. A side that only waits, for subscription items or
    /// requests, would otherwise never learn that the other machine lost its power or its network.
    /// `None` leaves it to the system, where it is usually off.
    pub keep_alive: Option<TcpKeepAlive>,

    /// The local address to connect from. Addresses of the other family, IPv4 or IPv6, are then not
    /// tried. Ignored for accepted connections.
    ///
    /// Default: chosen by the system.
    pub local_address: Option<IpAddr>,

    /// Time limit for each address of a host. Ignored for accepted connections.
    ///
    /// Default: 10 s, enough for four attempts of the system (after 0, 1, 3 and 7 s, by RFC 6298).
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout) also bounds connecting as a
    /// whole.
    pub connect_timeout: Option<Duration>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keep_alive: Some(TcpKeepAlive::default()),
            local_address: None,
            connect_timeout: Some(Duration::from_secs(10)),
        }
    }
}

/// Intervals of TCP keep-alive (`SO_KEEPALIVE`). The system answers even for a program that hangs:
/// to detect that, see [`KeepAlive`](crate::KeepAlive), which needs an answer of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpKeepAlive {
    /// Idle time before the first probe. Systems count in whole seconds. More than 32,767 s, the
    /// maximum of Linux, is reduced to that; with `Duration::MAX` no probes are sent.
    ///
    /// Default: 60 s. Routers and load balancers drop idle connections, the earliest in common use
    /// after 4 minutes (Azure; AWS after 350 s).
    pub time: Duration,

    /// Interval between unanswered probes. Systems count in whole seconds; on one without this
    /// option (OpenBSD) it is ignored. The number of probes is the system's: 9 on Linux, 10 on
    /// Windows, 8 on macOS.
    ///
    /// Default: 15 s (Go's `net`). A dead machine is thus detected after little more than three
    /// minutes.
    pub interval: Duration,
}

impl Default for TcpKeepAlive {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), interval: Duration::from_secs(15) }
    }
}

/// Applies the options to an established connection.
pub(super) fn prepare(stream: &TcpStream, options: &TcpOptions) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    if let Some(keep_alive) = options.keep_alive.filter(|keep_alive| keep_alive.time != Duration::MAX) {
        SockRef::from(stream).set_tcp_keepalive(&keep_alive.clamped())?;
    }
    Ok(())
}

impl TcpKeepAlive {
    /// Clamps to what systems accept: they refuse 0, to which less than a second is rounded, and
    /// Linux refuses more than 32,767 s.
    fn clamped(self) -> TcpKeepalive {
        let within = |time: Duration| time.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
        let (time, interval) = (within(self.time), within(self.interval));
        let settings = TcpKeepalive::new().with_time(time);
        #[cfg(not(target_os = "openbsd"))]
        let settings = settings.with_interval(interval);
        #[cfg(target_os = "openbsd")]
        let _ = interval;
        settings
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn prepared(options: &TcpOptions) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream, options).unwrap();
        stream
    }

    #[tokio::test]
    async fn what_is_chosen_reaches_the_socket() {
        let mut options = TcpOptions::default();
        let stream = prepared(&options).await;
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));

        options.nodelay = false;
        options.keep_alive = None;
        let stream = prepared(&options).await;
        assert!(!stream.nodelay().unwrap());
        assert!(!SockRef::from(&stream).keepalive().unwrap());

        // Values that the system would refuse.
        let short = TcpKeepAlive { time: Duration::ZERO, interval: Duration::from_millis(1) };
        let long = TcpKeepAlive { time: Duration::from_secs(1 << 40), interval: Duration::MAX };
        for (asked, seconds) in [(short, 1), (long, 32_767)] {
            options.keep_alive = Some(asked);
            let stream = prepared(&options).await;
            let socket = SockRef::from(&stream);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(seconds));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(seconds));
        }
        options.keep_alive = Some(TcpKeepAlive { time: Duration::MAX, ..short });
        let stream = prepared(&options).await;
        assert!(!SockRef::from(&stream).keepalive().unwrap(), "no limit: it is never asked");
    }
}
