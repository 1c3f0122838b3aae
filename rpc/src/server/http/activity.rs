//! The activity of an HTTP connection, observed at its bytes and requests, and the timeouts that
//! follow from it. Hyper's own timeouts do not tell an idle connection from a slow peer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::flow::FlowControl;
#[cfg(feature = "ws")]
use crate::transport::Plain;
use crate::{
    limits::Limits,
    transport::{Foreign, Io, Start},
};

/// How long an idle HTTP/2 peer may take to learn of the shutdown (GOAWAY).
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a peer whose request was refused unread may go on sending, so that it can read the
/// refusal.
const LINGER: Duration = Duration::from_secs(2);

/// The connection preface of an HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The activity of one connection. Its stream and its requests report here; its task asks for the
/// next deadline.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<ActivityState>,
}

#[derive(Debug)]
struct ActivityState {
    /// The first bytes of the peer.
    start: Start,
    /// When bytes last moved, in either direction.
    moved: Instant,
    /// When the head of the next request began to arrive, or the connection began.
    head: Option<Instant>,
    /// Since when written bytes have not left.
    stuck: Option<Instant>,
    /// The number of requests in flight.
    handled: usize,
    /// The number of responses whose body hyper does not have as a whole yet.
    sending: usize,
    protocol: PeerProtocol,
    /// True for HTTP/2: bytes between requests need not be the head of one.
    is_multiplexed: bool,
    stopping: Option<Instant>,
    lingering: Option<Instant>,
    /// True if the last response left bytes of the request unread.
    has_unread: bool,
}

/// The version of HTTP that the peer speaks, told by the same bytes as in hyper.
#[derive(Debug)]
enum PeerProtocol {
    /// So many bytes of the HTTP/2 preface have arrived, and nothing else.
    Preface(usize),
    Http1,
    Http2(Box<FlowControl>),
}

impl PeerProtocol {
    fn received(&mut self, mut bytes: &[u8], now: Instant) {
        if let Self::Preface(known) = self {
            let (preface, rest) = bytes.split_at(bytes.len().min(PREFACE.len() - *known));
            if !PREFACE[*known..].starts_with(preface) {
                *self = Self::Http1;
                return;
            }
            *known += preface.len();
            if *known < PREFACE.len() {
                return;
            }
            *self = Self::Http2(Box::new(FlowControl::new(now)));
            bytes = rest;
        }
        if let Self::Http2(flow) = self {
            flow.received(bytes, now);
        }
    }

    fn flow(&mut self) -> Option<&mut FlowControl> {
        match self {
            Self::Http2(flow) => Some(flow),
            Self::Preface(_) | Self::Http1 => None,
        }
    }
}

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Late {
    #[error("the head of a request did not arrive within `handshake_timeout`")]
    Head,
    #[error("it was idle for `idle_timeout`")]
    Idle,
    #[error("the peer took nothing for `send_timeout`")]
    Stuck,
    #[error("the server has stopped, and `close_timeout` is over")]
    Stopped,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        let state = ActivityState {
            start: Start::new(),
            moved: now,
            // The peer has to send the first bytes.
            head: Some(now),
            stuck: None,
            handled: 0,
            sending: 0,
            protocol: PeerProtocol::Preface(0),
            is_multiplexed: false,
            stopping: None,
            lingering: None,
            has_unread: false,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, bytes: &[u8]) {
        let (now, mut state) = (Instant::now(), self.lock());
        if !state.start.is_full() {
            state.start.add(bytes);
        }
        state.protocol.received(bytes, now);
        state.moved = now;
        if state.handled == 0 && state.head.is_none() {
            state.head = Some(now);
        }
    }

    /// The first `written` bytes of `slices` were taken by the stream.
    fn wrote<'a>(&self, slices: impl IntoIterator<Item = &'a [u8]>, mut written: usize) {
        let (now, mut state) = (Instant::now(), self.lock());
        state.moved = now;
        let Some(flow) = state.protocol.flow() else { return };
        for slice in slices {
            let bytes = &slice[..slice.len().min(written)];
            flow.sent(bytes, now);
            written -= bytes.len();
        }
    }

    /// All written bytes have left.
    fn flushed(&self) {
        self.lock().stuck = None;
    }

    /// Written bytes wait. `has_left`: some bytes have left since the last report.
    fn cannot_write(&self, has_left: bool) {
        let mut state = self.lock();
        if has_left || state.stuck.is_none() {
            state.stuck = Some(Instant::now());
        }
    }

    /// The server stops, or the peer has cost too much: requests in flight may finish.
    pub(super) fn stop(&self) {
        self.lock().stopping.get_or_insert_with(Instant::now);
    }

    pub(super) fn leaves_unread(&self) {
        self.lock().has_unread = true;
    }

    /// The last byte was written. Returns true if the peer needs time to read the refusal of a
    /// request that it is still sending.
    fn lingers(&self) -> bool {
        let mut state = self.lock();
        if state.has_unread {
            state.lingering.get_or_insert_with(Instant::now);
        }
        state.has_unread
    }

    /// A request has arrived.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> RequestGuard {
        let mut state = self.lock();
        state.handled += 1;
        state.head = None;
        state.is_multiplexed = version == Version::HTTP_2;
        RequestGuard(Arc::clone(self))
    }

    /// Returns true if the connection ended within the head of a request: it was invalid, or was
    /// cut off. False if no byte had arrived.
    pub(super) fn is_within_head(&self) -> bool {
        let state = &mut *self.lock();
        match &state.protocol {
            PeerProtocol::Preface(0) => false,
            PeerProtocol::Preface(_) | PeerProtocol::Http1 => state.head.is_some(),
            PeerProtocol::Http2(flow) => flow.headers().is_some(),
        }
    }

    /// The protocol of a peer that began with another one than HTTP.
    pub(super) fn foreign(&self) -> Option<Foreign> {
        let state = self.lock();
        let is_first_head = matches!(state.protocol, PeerProtocol::Http1) && state.head.is_some();
        let foreign = is_first_head.then(|| state.start.seen());
        foreign.filter(|foreign| foreign.protocol != "HTTP")
    }

    /// The next deadline, and its cause.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<(Instant, Late)> {
        let state = &mut *self.lock();
        let after = |since: Instant, limit: Option<_>, late| Some((since + limit?, late));
        if let Some(since) = state.lingering {
            return Some((since + LINGER, Late::Stuck));
        }
        let stuck = state.stuck.and_then(|since| after(since, limits.send_timeout, Late::Stuck));
        let flow = state.protocol.flow();
        let is_answering = flow.as_ref().is_some_and(|flow| flow.is_answering()) || state.stuck.is_some();
        let head =
            flow.as_ref().and_then(|flow| after(flow.headers()?, limits.handshake_timeout, Late::Head));
        let held =
            flow.zip(limits.send_timeout).and_then(|(flow, limit)| flow.deadline(limit, Instant::now()));
        let held = held.map(|at| (at, Late::Stuck));
        let is_busy = state.handled + state.sending > 0 || is_answering;
        let going_on = match state.stopping {
            Some(since) if is_busy => after(since, limits.close_timeout, Late::Stopped),
            Some(since) if state.is_multiplexed => Some((state.moved.max(since) + FAREWELL, Late::Stopped)),
            Some(since) => Some((since, Late::Stopped)),
            None if state.handled > 0 || is_answering => None,
            None if state.sending > 0 => after(state.moved, limits.send_timeout, Late::Stuck),
            None => match state.head {
                Some(since) if !state.is_multiplexed => after(since, limits.handshake_timeout, Late::Head),
                _ => after(state.moved, limits.idle_timeout, Late::Idle),
            },
        };
        [stuck, held, head, going_on].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

/// A request in flight, until dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Activity>);

impl RequestGuard {
    /// The response is known, and not yet sent.
    pub(super) fn answered(self) -> ResponseGuard {
        self.0.lock().sending += 1;
        ResponseGuard(Arc::clone(&self.0))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.lock().handled -= 1;
    }
}

/// A response that is being sent, until dropped.
#[derive(Debug)]
pub(super) struct ResponseGuard(Arc<Activity>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        let (now, mut state) = (Instant::now(), self.0.lock());
        state.sending -= 1;
        state.moved = now;
    }
}

/// The stream, shared by hyper and the task of the connection, which asks whether the peer is gone.
/// Both run in one task: the lock is never contended.
struct SharedIo {
    io: Mutex<Box<dyn Io>>,
    /// True while hyper waits for bytes: then it sees the peer's end itself.
    is_awaited: AtomicBool,
}

impl SharedIo {
    fn io(&self) -> MutexGuard<'_, Box<dyn Io>> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Detects that the peer is gone while hyper does not read.
pub(super) struct HangUp(Arc<SharedIo>);

impl HangUp {
    /// To be called before hyper is polled.
    pub(super) fn begin(&self) {
        self.0.is_awaited.store(false, Relaxed);
    }

    /// To be called after hyper was polled. Ready when the peer is gone and hyper, with a request
    /// in flight and bytes of the next one buffered, is not reading and cannot notice.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.is_awaited.load(Relaxed) {
            true => Poll::Pending,
            false => self.0.io().poll_hang_up(cx),
        }
    }
}

/// A byte stream that reports to an [`Activity`].
pub(super) struct TrackedIo {
    shared: Arc<SharedIo>,
    activity: Arc<Activity>,
    /// The stream's count of bytes that have [left](Io::left), at the last look.
    left: u64,
    /// True while the activity has an open report of waiting bytes.
    is_keeping: bool,
    is_shut: bool,
}

impl TrackedIo {
    pub(super) fn new(io: Box<dyn Io>, activity: Arc<Activity>) -> Self {
        let shared = SharedIo { io: Mutex::new(io), is_awaited: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), activity, left: 0, is_keeping: false, is_shut: false }
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp(Arc::clone(&self.shared))
    }

    /// The stream itself, for the protocol behind an upgrade.
    #[cfg(feature = "ws")]
    pub(super) fn into_inner(self) -> Box<dyn Io> {
        let nothing = Box::new(Plain::new(tokio::io::empty()));
        std::mem::replace(&mut *self.shared.io(), nothing)
    }

    /// Reports that bytes wait because the stream does not take them.
    fn keeps(&mut self) {
        let left = self.shared.io().left();
        self.activity.cannot_write(left != self.left);
        (self.left, self.is_keeping) = (left, true);
    }

    fn tell<'a>(
        &mut self,
        slices: impl IntoIterator<Item = &'a [u8]>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes > 0 => self.activity.wrote(slices, bytes),
            Poll::Ready(_) => {}
            Poll::Pending => self.keeps(),
        }
        written
    }
}

impl AsyncRead for TrackedIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut *self.shared.io()).poll_read(cx, buf);
        self.shared.is_awaited.store(read.is_pending(), Relaxed);
        if buf.filled().len() > before {
            self.activity.read(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for TrackedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.shared.io()).poll_write(cx, bytes);
        self.tell([bytes], written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.shared.io()).poll_write_vectored(cx, bytes);
        self.tell(bytes.iter().map(|slice| &**slice), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.io().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.shared.io()).poll_flush(cx);
        match &flushed {
            Poll::Pending => self.keeps(),
            Poll::Ready(_) if self.is_keeping => {
                self.is_keeping = false;
                self.activity.flushed();
            }
            Poll::Ready(_) => {}
        }
        flushed
    }

    /// Closing a socket with unread bytes would make TCP discard the response: after a request that
    /// was refused unread, further bytes are read and dropped.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut *self.shared.io()).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if !self.activity.lingers() {
            return Poll::Ready(Ok(()));
        }
        let mut forgotten = [0; 4 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut forgotten);
            let read = Pin::new(&mut *self.shared.io()).poll_read(cx, &mut buf);
            self.shared.is_awaited.store(read.is_pending(), Relaxed);
            ready!(read)?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
