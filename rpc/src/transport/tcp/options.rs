//! What may be chosen about a connection.

use std::{io, net::IpAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// What may be chosen about a TCP connection. Every number has a default and a reason.
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
/// See [`Connector::tcp`](crate::Connector::tcp), and [`Listen::tcp`](crate::Listen::tcp) for the connections that a server accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Sends what is written at once (`TCP_NODELAY`), where the system would wait for more.
    ///
    /// Default: true. A session gathers its messages itself before it writes them; nothing is gained by waiting once more.
    pub nodelay: bool,

    /// How the system finds out that the other machine is gone, without either side sending anything.
    ///
    /// Default: [`TcpKeepAlive::default()`]. A side that only waits, for items of a subscription or for requests, would never learn that
    /// the other machine lost its power or its network. `None` leaves it to the system, where it is off, commonly.
    pub keep_alive: Option<TcpKeepAlive>,

    /// The address of this machine to connect from. Addresses of the other family, IPv4 or IPv6, are not tried then. It means nothing for
    /// connections that are accepted.
    ///
    /// Default: the system chooses.
    pub local_address: Option<IpAddr>,

    /// How long each address of a host has to answer. It means nothing for connections that are accepted.
    ///
    /// Default: 10 s, which lets the system ask four times (after 0, 1, 3 and 7 s, by RFC 6298). All of connecting is bounded by
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout) as well.
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

/// When the system asks the other machine whether it is still there (`SO_KEEPALIVE`). It answers for a program that hangs as well: where that
/// matters, see [`KeepAlive`](crate::KeepAlive), which asks the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpKeepAlive {
    /// How long nothing has to have come before it asks. Systems count in whole seconds. More than
    /// 32,767 s, the most that Linux takes, is taken as that; with `Duration::MAX` it never asks.
    ///
    /// Default: 60 s. Routers and balancers forget quiet connections, the hastiest in common use after 4 minutes (Azure's; AWS's after
    /// 350 s).
    pub time: Duration,

    /// How long it waits for an answer before it asks again. Systems count in whole seconds; where one has no such option (OpenBSD), it is left
    /// as it is there. How often it asks is the system's affair: 9 times on Linux, 10 on Windows, 8 on macOS.
    ///
    /// Default: 15 s (Go's `net`). So a machine that is gone is noticed after little more than three minutes.
    pub interval: Duration,
}

impl Default for TcpKeepAlive {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), interval: Duration::from_secs(15) }
    }
}

/// Sets what concerns a connection that is there.
pub(super) fn prepare(stream: &TcpStream, options: &TcpOptions) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    if let Some(keep_alive) = options.keep_alive.filter(|keep_alive| keep_alive.time != Duration::MAX) {
        SockRef::from(stream).set_tcp_keepalive(&keep_alive.for_the_system())?;
    }
    Ok(())
}

impl TcpKeepAlive {
    /// Within what systems take: they refuse 0, which is what less than a second would become, and
    /// Linux refuses more than 32,767 s.
    fn for_the_system(self) -> TcpKeepalive {
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

        // What the system would refuse.
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
