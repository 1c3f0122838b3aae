//! Reading standard input and writing standard output, each by a thread of its own that nobody waits for.
//!
//! The alternatives do not do: what tokio reads standard input
//! with keeps its runtime, and so the process, from ending until something comes; and a descriptor that does not block, for one, does not
//! block for all the processes that share it (a terminal, a log that both write), whose `print` then fails. Files and terminals need
//! threads in any case.

#[cfg(unix)]
use std::os::fd::AsFd;
use std::{
    io::{self, Read as _, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Buf as _, Bytes};
use futures::task::AtomicWaker;
#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};
use tokio::{io::ReadBuf, sync::mpsc};

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// What comes. The thread is started when somebody reads for the first time, and is one chunk ahead.
#[derive(Debug, Default)]
pub(super) struct StdinReader {
    chunks: Option<mpsc::Receiver<io::Result<Bytes>>>,
    /// What is left of the last chunk.
    rest: Bytes,
}

impl StdinReader {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            let chunks = match &mut self.chunks {
                Some(chunks) => chunks,
                None => self.chunks.insert(start_reading()?),
            };
            match ready!(chunks.poll_recv(cx)) {
                Some(chunk) => self.rest = chunk?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// Nobody waits for the thread: the process may end while it reads.
fn start_reading() -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (sender, chunks) = mpsc::channel(1);
    thread::Builder::new().name("rpc-stdin".to_owned()).spawn(move || read_all(&sender))?;
    Ok(chunks)
}

fn read_all(sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let chunk = match io::stdin().read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match until_readable(&io::stdin()) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let is_last = chunk.is_err();
        if sender.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

/// How many bytes wait for the thread at most, besides as many that it is writing.
const CAPACITY: usize = 64 << 10;

/// Where bytes are left to be written. When this is dropped the thread writes the rest, unless the process ends first.
#[derive(Debug)]
pub(super) struct StdoutWriter(Arc<WriterShared>);

#[derive(Debug, Default)]
struct WriterShared {
    state: Mutex<WriterState>,
    /// There is something for the thread to do.
    work: Condvar,
    /// Whoever waits for the thread.
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct WriterState {
    waiting: Vec<u8>,
    /// Whether the thread has bytes that are not written yet.
    is_writing: bool,
    has_thread: bool,
    is_over: bool,
    failed: Option<io::Error>,
}

impl WriterShared {
    fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StdoutWriter {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.waker.register(cx.waker());
        let mut state = self.0.lock();
        state.check()?;
        if !state.has_thread {
            start_writing(Arc::clone(&self.0))?;
            state.has_thread = true;
        }
        let count = bytes.len().min(CAPACITY - state.waiting.len());
        if count == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        state.waiting.extend_from_slice(&bytes[..count]);
        self.0.work.notify_one();
        Poll::Ready(Ok(count))
    }

    /// Ready when everything was given to the system.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.waker.register(cx.waker());
        let mut state = self.0.lock();
        state.check()?;
        match state.waiting.is_empty() && !state.is_writing {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl WriterState {
    /// Why the thread has given up: as the system said it for the first time, and shortly after that.
    fn check(&mut self) -> io::Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(error) => {
                let again = error.kind().into();
                Err(self.failed.replace(again).unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
            }
        }
    }
}

impl Drop for StdoutWriter {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.work.notify_one();
    }
}

/// Nobody waits for the thread: the process may end while it writes to somebody who does not read.
fn start_writing(shared: Arc<WriterShared>) -> io::Result<()> {
    let output = standard_output()?;
    thread::Builder::new().name("rpc-stdout".to_owned()).spawn(move || write_all(&shared, output))?;
    Ok(())
}

fn write_all(shared: &WriterShared, mut output: StandardOutput) {
    let mut bytes = Vec::new();
    let mut state = shared.lock();
    loop {
        if !state.waiting.is_empty() {
            mem::swap(&mut state.waiting, &mut bytes);
            state.is_writing = true;
            drop(state);
            let written = write(&mut output, &bytes);
            bytes.clear();
            state = shared.lock();
            state.is_writing = false;
            let failed = written.is_err();
            state.failed = written.err();
            shared.waker.wake();
            if failed {
                return;
            }
        } else if state.is_over {
            return;
        } else {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn write(output: &mut StandardOutput, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => until_writable(output)?,
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

/// Where there are descriptors, one of its own: what `std` has would cut messages at the ends of lines, and write each in pieces.
#[cfg(unix)]
type StandardOutput = std::fs::File;
#[cfg(not(unix))]
type StandardOutput = io::Stdout;

#[cfg(unix)]
fn standard_output() -> io::Result<StandardOutput> {
    use std::os::fd::AsFd as _;

    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
fn standard_output() -> io::Result<StandardOutput> {
    Ok(io::stdout())
}

#[cfg(unix)]
fn until_readable(descriptor: &impl AsFd) -> io::Result<()> {
    wait(descriptor, PollFlags::IN)
}

#[cfg(unix)]
fn until_writable(descriptor: &impl AsFd) -> io::Result<()> {
    wait(descriptor, PollFlags::OUT)
}

#[cfg(unix)]
fn wait(descriptor: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, what)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere there is no such thing.
#[cfg(not(unix))]
fn until_readable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(not(unix))]
fn until_writable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
