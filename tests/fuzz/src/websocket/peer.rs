//! The peer of a session: writes bytes, reads frames when it likes to, and sees how the session ends.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard},
};

use rpc::CloseReason;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use super::{
    frame::{self, Head},
    opened::{Opened, Raw},
};

/// What has come from the session.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) frames: Vec<Frame>,
    /// The beginning of a frame.
    pub(crate) rest: Vec<u8>,
    /// Whether the stream has ended.
    pub(crate) has_ended: bool,
}

/// A frame that has come whole.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) at: Instant,
    pub(crate) head: Head,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Peer {
    to: WriteHalf<DuplexStream>,
    heard: Arc<Mutex<Heard>>,
    reads: watch::Sender<bool>,
    /// Since when it reads.
    reads_since: Option<Instant>,
    reading: JoinHandle<()>,
    end: Arc<Mutex<Option<(Instant, CloseReason)>>>,
}

/// Longer than a session takes to read, or to end. Nothing is waited for while something goes on.
const LONG: Duration = Duration::from_secs(100);

impl Peer {
    pub(crate) fn of(opened: Opened) -> (Self, Session) {
        let Opened { session, taken, holds, from, to } = opened;
        let (reads, may_read) = watch::channel(true);
        let heard = Arc::<Mutex<Heard>>::default();
        let reading = tokio::spawn(read(from, may_read, Arc::clone(&heard)));
        let end = Arc::<Mutex<Option<_>>>::default();
        tokio::spawn({
            let (session, end) = (session.clone(), Arc::clone(&end));
            async move {
                let reason = session.session().closed().await;
                *end.lock().expect("nothing panics") = Some((Instant::now(), reason));
            }
        });
        let reads_since = Some(Instant::now());
        (Self { to, heard, reads, reads_since, reading, end }, Session { session, taken, holds })
    }

    /// Sends what there is room for: nothing, where the session does not read, or has gone.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> usize {
        match timeout(LONG, self.to.write(piece)).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) | Err(_) => 0,
        }
    }

    /// Ends the stream of this side.
    pub(crate) async fn end(&mut self) {
        drop(self.to.shutdown().await);
    }

    /// Is gone.
    pub(crate) async fn vanish(&mut self) {
        self.reading.abort();
        drop((&mut self.reading).await);
        let (_, nothing) = tokio::io::split(tokio::io::duplex(1).0);
        drop(mem::replace(&mut self.to, nothing));
        self.heard().has_ended = true;
    }

    pub(crate) fn set_reads(&mut self, reads: bool) {
        self.reads.send_replace(reads);
        self.reads_since = reads.then(|| self.reads_since.unwrap_or_else(Instant::now));
    }

    /// Whether it reads, and has since then.
    pub(crate) fn reads_since(&self, since: Instant) -> bool {
        self.reads_since.is_some_and(|reads_since| reads_since <= since)
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("nothing panics")
    }

    /// When and why the session has ended.
    pub(crate) fn session_ended(&self) -> Option<(Instant, CloseReason)> {
        self.end.lock().expect("nothing panics").clone()
    }
}

/// The side that is tested.
pub(crate) struct Session {
    pub(crate) session: rpc::MessageSession<Raw>,
    pub(crate) taken: super::opened::Taken,
    pub(crate) holds: watch::Sender<bool>,
}

/// Reads to the end, whenever it may.
async fn read(
    mut from: ReadHalf<DuplexStream>,
    mut may_read: watch::Receiver<bool>,
    heard: Arc<Mutex<Heard>>,
) {
    let mut buffer = Vec::with_capacity(64 << 10);
    while may_read.wait_for(|may| *may).await.is_ok() {
        let read = tokio::select! {
            read = from.read_buf(&mut buffer) => read.unwrap_or(0),
            _ = may_read.wait_for(|may| !*may) => continue,
        };
        heard.lock().expect("nothing panics").take(&mut buffer);
        if read == 0 {
            break;
        }
    }
    heard.lock().expect("nothing panics").has_ended = true;
}

impl Heard {
    fn take(&mut self, bytes: &mut Vec<u8>) {
        self.rest.append(bytes);
        let mut at = 0;
        while let Some((head, payload, size)) = frame::read(&self.rest[at..]) {
            self.frames.push(Frame { at: Instant::now(), head, payload });
            at += size;
        }
        self.rest.drain(..at);
    }
}
