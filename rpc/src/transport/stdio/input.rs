//! Reading standard input, by a thread.

use std::{
    io::{self, Read as _},
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Buf as _, Bytes};
use tokio::{io::ReadBuf, sync::mpsc};

use super::blocking::until_readable;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// What comes. The thread is started when somebody reads for the first time, and is one chunk ahead.
#[derive(Debug, Default)]
pub(super) struct Input {
    chunks: Option<mpsc::Receiver<io::Result<Bytes>>>,
    /// What is left of the last chunk.
    rest: Bytes,
}

impl Input {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            let chunks = match &mut self.chunks {
                Some(chunks) => chunks,
                None => self.chunks.insert(start()?),
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
fn start() -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
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
