//! Standard input is read and standard output is written by one detached thread each.
//!
//! The alternatives do not work. Tokio's standard input keeps its runtime, and so the process, from
//! ending until something arrives. Making a descriptor non-blocking affects all processes that
//! share it (a terminal, a common log), whose `print` then fails. Files and terminals need threads
//! in any case.

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

/// Bytes per read.
const CHUNK: usize = 64 << 10;

/// Standard input. The thread is started by the first read, and reads one chunk ahead.
#[derive(Debug, Default)]
pub(super) struct StdinReader {
    chunks: Option<mpsc::Receiver<io::Result<Bytes>>>,
    /// The unread part of the last chunk.
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

/// The thread is detached: the process may exit while it reads.
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

/// Bytes that may wait for the thread, in addition to as many that it is writing.
const CAPACITY: usize = 64 << 10;

/// Standard output. When it is dropped the thread writes the rest, unless the process exits first.
#[derive(Debug)]
pub(super) struct StdoutWriter(Arc<WriterShared>);

#[derive(Debug, Default)]
struct WriterShared {
    state: Mutex<WriterState>,
    /// Wakes the thread.
    work: Condvar,
    /// The task that waits for the thread.
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct WriterState {
    waiting: Vec<u8>,
    /// Whether the thread holds bytes that are not written yet.
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

    /// Ready when everything was passed to the system.
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
    /// Returns the error that ended the thread: in full the first time, then only its kind.
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

/// The thread is detached: the process may exit while it writes to a peer that does not read.
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

/// A descriptor of its own, where there are descriptors: `std`'s buffer would split messages at
/// line ends, and write each in pieces.
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

/// Other systems have no such descriptors.
#[cfg(not(unix))]
fn until_readable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(not(unix))]
fn until_writable<T>(_: &T) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}
