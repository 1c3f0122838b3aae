//! A WebSocket that is open: whole messages in and out, pings, and its end.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{Sink, Stream};
use tokio::time::Sleep;
use tungstenite::{
    Message, WebSocket,
    protocol::{
        CloseFrame, Role, WebSocketConfig,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{adapter::Adapter, ending};
use crate::transport::{Control, Io, MessageLimit, Said};

/// How much the library reads at once. It keeps a buffer of that size for each connection, and clears it before each read, also before one that gives
/// nothing.
const READ_BUFFER: usize = 4 << 10;

/// How many bytes come together before they are written without a flush.
const WRITE_BUFFER: usize = 64 << 10;

/// A longer message leaves in fragments of this size: the library keeps a buffer that the largest of them fits into.
const FRAGMENT: usize = 64 << 10;

/// How many pings and pongs are looked at before others get their turn.
const CONTROL_FRAMES: usize = 32;

/// How long the peer may take to answer a close. It only has to say that it has heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// Messages over a WebSocket.
pub(super) struct Socket {
    inner: WebSocket<Adapter>,
    control: Arc<Control>,
    limit: MessageLimit,
    /// The limit that the library was told.
    limited_to: usize,
    kind: Data,
    /// How many bytes a ping of the peer's has besides its own.
    control_header: u64,
    state: State,
    /// What is still to leave of a message in fragments.
    rest: Bytes,
    /// A frame for which the library had no room: it holds pongs that the peer does not read.
    held: Option<Frame>,
    /// The library has bytes that the stream below did not take.
    blocked: bool,
    /// Whether a piece of a message has come, and not its end.
    is_under_way: bool,
    /// Runs from the moment at which we have said that we close.
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum State {
    Open,
    /// One side has closed: nothing is sent any more.
    Closed,
    /// The peer broke the rules: it is told, and then the error is.
    Failed(Option<io::Error>),
}

impl Socket {
    /// `read` is what the peer has sent already behind its handshake.
    pub(super) fn new(
        io: Box<dyn Io>,
        role: Role,
        read: Vec<u8>,
        binary: bool,
        limit: MessageLimit,
        control: Arc<Control>,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + 2 * FRAGMENT)
            .max_message_size(None)
            .max_frame_size(None);
        Self {
            inner: WebSocket::from_raw_socket(Adapter::new(io, read), role, Some(config)),
            control,
            limit,
            limited_to: usize::MAX,
            kind: if binary { Data::Binary } else { Data::Text },
            control_header: if role == Role::Server { 6 } else { 2 },
            state: State::Open,
            rest: Bytes::new(),
            held: None,
            blocked: false,
            is_under_way: false,
            patience: None,
        }
    }

    /// The stream below.
    pub(super) fn io(&self) -> &dyn Io {
        self.inner.get_ref().io()
    }

    pub(super) fn io_mut(&mut self) -> &mut dyn Io {
        self.inner.get_mut().io_mut()
    }

    /// What the session may take can change at any time.
    fn set_limit(&mut self) {
        let limit = self.limit.bytes();
        if limit != self.limited_to {
            self.limited_to = limit;
            self.inner.get_mut().set_limit(limit);
            self.inner.set_config(|config| {
                config.max_message_size = Some(limit);
                config.max_frame_size = Some(limit);
            });
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut control = 0;
        for _ in 0..CONTROL_FRAMES {
            let message = match self.inner.read() {
                Ok(Message::Text(text)) => Bytes::from(text),
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Ping(bytes) | Message::Pong(bytes)) => {
                    control += bytes.len() as u64 + self.control_header;
                    continue;
                }
                Ok(Message::Frame(_)) => continue,
                Ok(Message::Close(frame)) => {
                    self.closed_by_peer(frame);
                    return Poll::Ready(None);
                }
                Err(error) if ending::would_block(&error) => {
                    self.nothing_whole(control);
                    return Poll::Pending;
                }
                Err(error) if ending::is_end(&error) => {
                    self.state = State::Closed;
                    return Poll::Ready(None);
                }
                Err(error) => return self.failed(error, cx),
            };
            if std::mem::take(&mut self.is_under_way) {
                self.control.message_ended();
            }
            self.inner.get_mut().take_received();
            if control > 0 {
                self.control.came(control, 0);
            }
            return Poll::Ready(Some(Ok(message)));
        }
        self.inner.get_mut().take_received();
        self.control.came(control, 0);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Everything that came was read, and there is no message in it.
    fn nothing_whole(&mut self, control: u64) {
        let received = self.inner.get_mut().take_received();
        if received > 0 {
            let piece = received.saturating_sub(control);
            self.is_under_way |= piece > 0;
            self.control.came(control, piece);
        }
    }

    fn closed_by_peer(&mut self, frame: Option<CloseFrame>) {
        self.state = State::Closed;
        self.rest.clear();
        if let Some(CloseFrame { code, reason }) = frame {
            self.control.peer_said(Said { code: code.into(), reason: reason.as_str().to_owned() });
        }
        // The library answers it now; what cannot leave does so when the connection is shut down.
        drop(self.inner.flush());
    }

    #[cold]
    fn failed(&mut self, error: tungstenite::Error, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let (error, told) = ending::broken(error);
        let Some(told) = told else {
            self.state = State::Closed;
            return Poll::Ready(Some(Err(error)));
        };
        self.rest.clear();
        drop(self.inner.close(Some(told)));
        self.state = State::Failed(Some(error));
        self.poll_failed(cx)
    }

    /// Gives the peer the time to read what it was told: closing a socket with unread bytes has TCP throw away what was sent last.
    #[cold]
    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        if patience.as_mut().poll(cx).is_pending() {
            match self.inner.flush() {
                Err(error) if ending::would_block(&error) => return Poll::Pending,
                _ => drop(self.inner.get_mut().poll_shutdown(cx)),
            }
            ready!(self.inner.get_mut().poll_discard(cx));
        }
        match &mut self.state {
            State::Failed(error) => Poll::Ready(error.take().map(Err)),
            _ => Poll::Ready(None),
        }
    }

    /// Hands what there is to the library, as long as the stream below takes it. Ready when nothing is left here.
    fn poll_send_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.get_mut().wakes(cx.waker());
        loop {
            if self.blocked {
                ready!(self.poll_write_out())?;
            }
            if let Some(frame) = self.held.take() {
                self.write(frame)?;
                continue;
            }
            if self.rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let part = self.rest.split_to(self.rest.len().min(FRAGMENT));
            let is_last = self.rest.is_empty();
            self.write(Frame::message(part, OpCode::Data(Data::Continue), is_last))?;
        }
    }

    fn write(&mut self, frame: Frame) -> io::Result<()> {
        match self.inner.write(Message::Frame(frame)) {
            Ok(()) => Ok(()),
            // It was taken, and waits.
            Err(error) if ending::would_block(&error) => {
                self.blocked = true;
                Ok(())
            }
            Err(tungstenite::Error::WriteBufferFull(message)) => {
                if let Message::Frame(frame) = *message {
                    self.held = Some(frame);
                }
                self.blocked = true;
                Ok(())
            }
            Err(error) => Err(ending::io_error(error)),
        }
    }

    fn poll_write_out(&mut self) -> Poll<io::Result<()>> {
        match self.inner.flush() {
            Ok(()) => {
                self.blocked = false;
                Poll::Ready(Ok(()))
            }
            Err(error) if ending::would_block(&error) => {
                self.blocked = true;
                Poll::Pending
            }
            Err(error) if ending::is_end(&error) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(ending::io_error(error))),
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

impl Stream for Socket {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.get_mut().wakes(cx.waker());
        match self.state {
            State::Open => {
                self.set_limit();
                self.poll_message(cx)
            }
            State::Closed => Poll::Ready(None),
            State::Failed(_) => self.poll_failed(cx),
        }
    }
}

/// What is sent after the end is thrown away: nobody would read it.
impl Sink<Bytes> for Socket {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.is_open() {
            true => self.poll_send_rest(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, mut message: Bytes) -> io::Result<()> {
        if !self.is_open() {
            return Ok(());
        }
        let first = message.split_to(message.len().min(FRAGMENT));
        self.rest = message;
        let frame = Frame::message(first, OpCode::Data(self.kind), self.rest.is_empty());
        self.write(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_open() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send_rest(cx))?;
        if self.control.take_ping() {
            self.write(Frame::ping(Bytes::new()))?;
            ready!(self.poll_send_rest(cx))?;
        }
        self.poll_write_out()
    }

    /// Says that we close, and waits a little for the peer to have heard.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.inner.get_mut().wakes(cx.waker());
        if this.is_open() {
            ready!(this.poll_send_rest(cx))?;
            let closing = CloseFrame { code: ending::code(this.control.closing()), reason: "".into() };
            // What does not leave now does with the flush below.
            drop(this.inner.close(Some(closing)));
            this.state = State::Closed;
            this.patience = Some(Box::pin(tokio::time::sleep(PATIENCE)));
        }
        if let Some(patience) = &mut this.patience
            && patience.as_mut().poll(cx).is_pending()
        {
            match this.inner.flush() {
                Err(error) if ending::would_block(&error) => return Poll::Pending,
                _ => {}
            }
            // Messages that cross with our close come too late.
            loop {
                match this.inner.read() {
                    Ok(Message::Close(_)) => break,
                    Ok(_) => {}
                    Err(error) if ending::would_block(&error) => return Poll::Pending,
                    Err(_) => break,
                }
            }
            this.patience = None;
        }
        drop(this.inner.flush());
        this.inner.get_mut().poll_shutdown(cx)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("state", &self.state).finish_non_exhaustive()
    }
}
