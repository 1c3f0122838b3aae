//! Who the other process is, as the kernel says it.

use tokio::net::UnixStream;

/// Who is at the other end of a Unix socket. The kernel says so: a peer cannot claim to be somebody else.
///
/// It is among the [`extensions`](crate::Context::extensions) of a session over a Unix socket, on both sides:
///
/// ```
/// use rpc::{Context, ErrorObject, Params, Router, transport::unix::PeerCredentials};
///
/// let router = Router::new().method("stop", async |_: Params, cx: Context| {
///     match cx.extensions().get::<PeerCredentials>() {
///         Some(peer) if peer.uid == 0 => Ok("stopping"),
///         _ => Err(ErrorObject::new(403, "only root may do that")),
///     }
/// });
/// # let _ = router;
/// ```
///
/// It is what was true of the process that connected (or that listens) at that moment: it may have handed the socket over to another one
/// since. Where the system cannot tell (macOS of a peer that has gone already), there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The user that it acts for: the effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// Its process id, on systems that tell: not all BSDs do. A number that another process may have by now, so nothing to decide by.
    pub pid: Option<i32>,
}

impl PeerCredentials {
    /// `None` where the system does not say.
    pub(crate) fn of(stream: &UnixStream) -> Option<Self> {
        match stream.peer_cred() {
            Ok(peer) => Some(Self { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() }),
            Err(error) => {
                tracing::debug!(rpc.system.name = "jsonrpc", %error, "the system does not say who the peer is");
                None
            }
        }
    }
}
