//! Standard input and output of this process, as one stream of bytes.
//!
//! Each is read and written by a thread of its own that nobody waits for. The alternatives do not do: what tokio reads standard input
//! with keeps its runtime, and so the process, from ending until something comes; and a descriptor that does not block, for one, does not
//! block for all the processes that share it (a terminal, a log that both write), whose `print` then fails. Files and terminals need
//! threads in any case.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{input::Input, output::Output};

/// Whether it is in use. Once something was read it stays so: the thread that reads has what came after the end.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Both of them. There is one at most.
#[derive(Debug)]
pub(crate) struct Stdio {
    // Taken apart in this order: the place is given back when neither is in use.
    input: Input,
    output: Output,
    place: Place,
}

#[derive(Debug)]
struct Place {
    is_used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_used {
            TAKEN.store(false, Ordering::SeqCst);
        }
    }
}

impl Stdio {
    /// Takes them, for this process has only one of each.
    pub(crate) fn take() -> io::Result<Self> {
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "standard input and output are a connection already, or were one",
            ));
        }
        let place = Place { is_used: false };
        Ok(Self { input: Input::default(), output: Output::new(), place })
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.place.is_used = true;
        self.input.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.place.is_used = true;
        self.output.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }

    /// Waits until everything is written. The descriptor is the process's, and is closed when that ends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }
}
