//! A stream that is as bad as networks are: slow, cut in pieces, and broken at some byte. It never reorders, and never changes a byte.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::Random;

/// How a stream breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Reading fails.
    ReadError,
    /// The other side's bytes end; ours still arrive.
    ReadEnd,
    /// Nothing more comes, and nothing says so.
    ReadHang,
    /// Writing fails.
    WriteError,
    /// The other side sees the end of our bytes, and those that we still write are lost; theirs still arrive.
    WriteEnd,
    /// Nothing more is taken, and nothing says so.
    WriteHang,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::ReadError, Self::ReadEnd, Self::ReadHang, Self::WriteError, Self::WriteEnd, Self::WriteHang];

    /// One of them.
    pub fn any(random: &mut Random) -> Self {
        Self::ALL[random.below(Self::ALL.len() as u64) as usize]
    }

    fn is_of_reading(self) -> bool {
        matches!(self, Self::ReadError | Self::ReadEnd | Self::ReadHang)
    }

    /// Whether only a timeout can notice it.
    pub fn hangs(self) -> bool {
        matches!(self, Self::ReadHang | Self::WriteHang)
    }
}

/// A stream whose pieces, delays and end follow from a seed. On paused time the same seed gives the same run.
#[derive(Debug)]
pub struct Faulty<T> {
    io: T,
    reads: Direction,
    writes: Direction,
    has_broken: Arc<AtomicBool>,
}

impl<T> Faulty<T> {
    /// All delays of one stream together are less than this in each direction, so that what does not break is not late either.
    pub const LATE_AT_MOST: Duration = Duration::from_secs(5);

    /// Delays and cuts `io` as `random` says, and breaks it at the given byte of a direction, if at all.
    pub fn new(io: T, mut random: Random, fault: Option<(Fault, u64)>) -> Self {
        let (reading, writing) = match fault {
            Some((kind, _)) if kind.is_of_reading() => (fault, None),
            _ => (None, fault),
        };
        Self {
            io,
            reads: Direction::new(random.split(), reading),
            writes: Direction::new(random.split(), writing),
            has_broken: Arc::default(),
        }
    }

    /// Becomes true when the stream breaks; where less is sent than that, it never does.
    pub fn has_broken(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_broken)
    }
}

/// One direction of a stream.
#[derive(Debug)]
struct Direction {
    random: Random,
    fault: Option<(Fault, u64)>,
    /// What is left of the delays.
    patience: Duration,
    /// How much moves next. It is drawn once, however often the stream is polled until then.
    piece: Option<usize>,
    delay: Option<Pin<Box<Sleep>>>,
}

/// What a direction lets happen.
enum Turn {
    Move(usize),
    Break(Fault),
}

impl Direction {
    fn new(random: Random, fault: Option<(Fault, u64)>) -> Self {
        let patience = Faulty::<()>::LATE_AT_MOST;
        Self { random, fault, patience, piece: None, delay: None }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if self.piece.is_none() {
            self.piece = Some(self.next_piece());
            self.delay = self.next_delay().map(|delay| Box::pin(sleep(delay)));
        }
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(cx));
            self.delay = None;
        }
        let piece = self.piece.expect("drawn above");
        Poll::Ready(match self.fault {
            Some((fault, 0)) => Turn::Break(fault),
            Some((_, left)) => Turn::Move(piece.min(usize::try_from(left).unwrap_or(usize::MAX))),
            None => Turn::Move(piece),
        })
    }

    fn moved(&mut self, bytes: usize) {
        self.piece = None;
        if let Some((_, left)) = &mut self.fault {
            *left -= bytes as u64;
        }
    }

    fn next_piece(&mut self) -> usize {
        match self.random.below(8) {
            0 => 1,
            1 | 2 => 1 + self.random.below(40) as usize,
            _ => usize::MAX,
        }
    }

    /// Mostly none, often a short one, and rarely a stall of seconds.
    fn next_delay(&mut self) -> Option<Duration> {
        let longest = match self.random.below(64) {
            0 => 3_000,
            1..16 => 30,
            _ => return None,
        };
        let delay = Duration::from_millis(1 + self.random.below(longest));
        self.patience = self.patience.checked_sub(delay)?;
        Some(delay)
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "broken on purpose")
}

impl<T: AsyncRead + Unpin> AsyncRead for Faulty<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match ready!(this.reads.poll_turn(cx)) {
            Turn::Move(piece) => {
                let mut part = vec![0; piece.min(buf.remaining())];
                let mut read = ReadBuf::new(&mut part);
                ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
                this.reads.moved(read.filled().len());
                buf.put_slice(read.filled());
                Poll::Ready(Ok(()))
            }
            Turn::Break(fault) => {
                this.has_broken.store(true, Relaxed);
                match fault {
                    Fault::ReadEnd => Poll::Ready(Ok(())),
                    Fault::ReadHang => Poll::Pending,
                    _ => Poll::Ready(Err(broken())),
                }
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Faulty<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match ready!(this.writes.poll_turn(cx)) {
            Turn::Move(piece) => {
                let written =
                    ready!(Pin::new(&mut this.io).poll_write(cx, &bytes[..piece.min(bytes.len())]))?;
                this.writes.moved(written);
                Poll::Ready(Ok(written))
            }
            Turn::Break(fault) => {
                this.has_broken.store(true, Relaxed);
                match fault {
                    Fault::WriteEnd => {
                        ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                        Poll::Ready(Ok(bytes.len()))
                    }
                    Fault::WriteHang => Poll::Pending,
                    _ => Poll::Ready(Err(broken())),
                }
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
