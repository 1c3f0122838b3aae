//! The bytes of a talk with a proxy: what is sent, what is waited for, and at which step it failed.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{SocksError, SocksStep};

/// A talk with a proxy. It never reads further than it was asked to: what follows the last answer is the host's.
pub(super) struct Talk<'a, S> {
    io: &'a mut S,
    /// What was last said to it.
    step: SocksStep,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    pub(super) const fn new(io: &'a mut S, first: SocksStep) -> Self {
        Self { io, step: first }
    }

    pub(super) const fn step(&self) -> SocksStep {
        self.step
    }

    pub(super) async fn say(&mut self, step: SocksStep, bytes: &[u8]) -> Result<(), SocksError> {
        self.step = step;
        self.io.write_all(bytes).await.map_err(|error| self.failed(error))
    }

    pub(super) async fn hear<const N: usize>(&mut self) -> Result<[u8; N], SocksError> {
        let mut bytes = [0; N];
        self.io.read_exact(&mut bytes).await.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// Like [`hear`](Self::hear), where how much there is was said before: at most 255 bytes.
    pub(super) async fn hear_some(&mut self, length: u8) -> Result<Vec<u8>, SocksError> {
        let mut bytes = vec![0; usize::from(length)];
        self.io.read_exact(&mut bytes).await.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    /// A proxy that hangs up with something unread resets the connection.
    fn failed(&self, source: io::Error) -> SocksError {
        use io::ErrorKind as Kind;
        let step = self.step;
        match source.kind() {
            Kind::UnexpectedEof | Kind::BrokenPipe | Kind::ConnectionReset | Kind::ConnectionAborted => {
                SocksError::Closed { step, source }
            }
            _ => SocksError::Io { step, source },
        }
    }
}
