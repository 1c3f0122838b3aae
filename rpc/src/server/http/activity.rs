//! What a connection is doing, seen from outside of hyper: how long it may go on doing so.

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

/// How long an idle peer of HTTP/2 may take to hear that the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a peer may take to stop sending a body that nobody reads, so that it sees why.
const LINGER: Duration = Duration::from_secs(2);

/// What a peer of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection. Its bytes, its requests and its end tell it what they do; the task of the connection asks how long that may last.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<ActivityState>,
}

#[derive(Debug)]
struct ActivityState {
    /// What the peer has sent first.
    start: Start,
    /// When bytes last moved, either way.
    moved: Instant,
    /// When the first byte came after the last answer, or the connection began.
    head: Option<Instant>,
    /// Since when the peer takes nothing.
    stuck: Option<Instant>,
    /// Requests that are worked on, and answers whose body is not given to hyper as a whole.
    handled: usize,
    sending: usize,
    protocol: PeerProtocol,
    /// Whether several requests may come at once: then bytes need not be the head of one.
    is_multiplexed: bool,
    stopping: Option<Instant>,
    lingering: Option<Instant>,
    /// Whether the last answer left bytes of the request unread.
    has_unread: bool,
}

/// What the peer speaks. Hyper goes by the same bytes.
#[derive(Debug)]
enum PeerProtocol {
    /// So many bytes of the preface have come, and nothing else.
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

/// Why a connection was given up.
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
            // Who connects is to say something.
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

    pub(super) fn read(&self, bytes: &[u8]) {
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

    /// The first `written` bytes of `slices` were taken.
    pub(super) fn wrote<'a>(&self, slices: impl IntoIterator<Item = &'a [u8]>, mut written: usize) {
        let (now, mut state) = (Instant::now(), self.lock());
        state.moved = now;
        let Some(flow) = state.protocol.flow() else { return };
        for slice in slices {
            let bytes = &slice[..slice.len().min(written)];
            flow.sent(bytes, now);
            written -= bytes.len();
        }
    }

    /// All that was written has left.
    pub(super) fn flushed(&self) {
        self.lock().stuck = None;
    }

    /// Something that was written waits; and whether anything has left since it last did.
    pub(super) fn cannot_write(&self, has_left: bool) {
        let mut state = self.lock();
        if has_left || state.stuck.is_none() {
            state.stuck = Some(Instant::now());
        }
    }

    /// The server stops, or the peer is sent away: what is under way may be finished.
    pub(super) fn stop(&self) {
        self.lock().stopping.get_or_insert_with(Instant::now);
    }

    pub(super) fn leaves_unread(&self) {
        self.lock().has_unread = true;
    }

    /// The last byte was written. Whether the peer is to be given time to read it.
    pub(super) fn lingers(&self) -> bool {
        let mut state = self.lock();
        if state.has_unread {
            state.lingering.get_or_insert_with(Instant::now);
        }
        state.has_unread
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> RequestGuard {
        let mut state = self.lock();
        state.handled += 1;
        state.head = None;
        state.is_multiplexed = version == Version::HTTP_2;
        RequestGuard(Arc::clone(self))
    }

    /// Whether the connection, which has ended, was within what begins a request: the head of one was
    /// no HTTP, or did not come to its end. Where nothing had come at all, it was not.
    pub(super) fn is_within_head(&self) -> bool {
        let state = &mut *self.lock();
        match &state.protocol {
            PeerProtocol::Preface(0) => false,
            PeerProtocol::Preface(_) | PeerProtocol::Http1 => state.head.is_some(),
            PeerProtocol::Http2(flow) => flow.headers().is_some(),
        }
    }

    /// What the peer speaks, where it has begun with another protocol than HTTP.
    pub(super) fn foreign(&self) -> Option<Foreign> {
        let state = self.lock();
        let is_first_head = matches!(state.protocol, PeerProtocol::Http1) && state.head.is_some();
        let foreign = is_first_head.then(|| state.start.seen());
        foreign.filter(|foreign| foreign.protocol != "HTTP")
    }

    /// Until when things may stay as they are, and what is said if they do.
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

/// A request that is worked on, until this is dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Activity>);

impl RequestGuard {
    /// It is answered, and the answer not sent.
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

/// An answer that is being sent, until this is dropped.
#[derive(Debug)]
pub(super) struct ResponseGuard(Arc<Activity>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        let (now, mut state) = (Instant::now(), self.0.lock());
        state.sending -= 1;
        state.moved = now;
    }
}

/// The stream below, which hyper has, and which the task of the connection may ask about its peer. One
/// task does both: the lock is never waited for.
struct SharedIo {
    io: Mutex<Box<dyn Io>>,
    /// Whether hyper waits for something to read: then it is told what happens.
    is_awaited: AtomicBool,
}

impl SharedIo {
    fn io(&self) -> MutexGuard<'_, Box<dyn Io>> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the peer of a connection is gone.
pub(super) struct HangUp(Arc<SharedIo>);

impl HangUp {
    /// Comes before hyper's turn.
    pub(super) fn begin(&self) {
        self.0.is_awaited.store(false, Relaxed);
    }

    /// Ready when nothing reaches the peer any more, where hyper has had its turn and does not wait for
    /// bytes: it reads nothing while it has a request at hand and bytes of the next one.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.is_awaited.load(Relaxed) {
            true => Poll::Pending,
            false => self.0.io().poll_hang_up(cx),
        }
    }
}

/// A stream of bytes.
pub(super) struct TrackedIo {
    shared: Arc<SharedIo>,
    activity: Arc<Activity>,
    /// What the stream said of the bytes that have [left](Io::left) when it was last asked.
    left: u64,
    /// The watch was told that bytes wait, and not that they have left.
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

    /// The stream itself, for what comes after HTTP.
    #[cfg(feature = "ws")]
    pub(super) fn into_inner(self) -> Box<dyn Io> {
        let nothing = Box::new(Plain::new(tokio::io::empty()));
        std::mem::replace(&mut *self.shared.io(), nothing)
    }

    /// Bytes wait, and the stream does not pass them on.
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

    /// Closing a socket with unread bytes would have TCP throw away what the peer was told: where a request was refused unread, what still
    /// comes is read and forgotten.
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
