//! Writing standard output, by a thread.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
};

use futures::task::AtomicWaker;

use super::blocking::until_writable;

/// How many bytes wait for the thread at most, besides as many that it is writing.
const CAPACITY: usize = 64 << 10;

/// Where bytes are left to be written. When this is dropped the thread writes the rest, unless the process ends first.
#[derive(Debug)]
pub(super) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something for the thread to do.
    work: Condvar,
    /// Whoever waits for the thread.
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread has bytes that are not written yet.
    is_writing: bool,
    has_thread: bool,
    is_over: bool,
    failed: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.waker.register(cx.waker());
        let mut state = self.0.lock();
        state.check()?;
        if !state.has_thread {
            start(Arc::clone(&self.0))?;
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

impl State {
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

impl Drop for Output {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.work.notify_one();
    }
}

/// Nobody waits for the thread: the process may end while it writes to somebody who does not read.
fn start(shared: Arc<Shared>) -> io::Result<()> {
    let output = standard_output()?;
    thread::Builder::new().name("rpc-stdout".to_owned()).spawn(move || write_all(&shared, output))?;
    Ok(())
}

fn write_all(shared: &Shared, mut output: StandardOutput) {
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
