//! The client: a task that reads, a task that writes, and callers who share a buffer with it.

use std::{
    cell::Cell,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use anyhow::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use slab::Slab;
use tokio::{
    net::{TcpStream, tcp},
    sync::{Notify, oneshot},
};

use super::{lines::Lines, wire};
use crate::{
    peers::Peer,
    service::{Quote, User},
};

/// The text of a result, or that of an error.
type Reply = Result<Box<[u8]>, String>;

/// A buffer that is larger is not kept.
const KEPT: usize = 4 << 20;

thread_local! {
    /// Parameters are written here first: before the lock is taken.
    static PARAMS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Clone)]
pub struct Client(Arc<Link>);

struct Link {
    state: Mutex<State>,
    /// Tells the writing task that there is something.
    some: Notify,
    writer: tcp::OwnedWriteHalf,
}

#[derive(Default)]
struct State {
    out: Vec<u8>,
    /// The calls in flight; the index is the id.
    calls: Slab<oneshot::Sender<Reply>>,
    /// Takes what comes of the subscription.
    follower: Option<Box<dyn FnMut(Quote) + Send>>,
    /// Whether the writing task was told and has not looked yet, or is at work: it will see what is added.
    writing: bool,
    /// How many replies the last read brought.
    last_read: usize,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn send(&self, method: &str, params: &impl Serialize) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        let mut text = PARAMS.take();
        text.clear();
        wire::put(&mut text, params);

        let mut state = self.state();
        let id = state.calls.insert(sender) as u64;
        wire::put_request(&mut state.out, id, method, &text);
        if !state.writing {
            // With nobody to wait for, the system call may as well be made here: no task has to be woken.
            let alone = state.calls.len() == 1 && state.last_read <= 1;
            if alone && let Ok(written) = self.writer.try_write(&state.out) {
                state.out.drain(..written);
            }
            if !state.out.is_empty() {
                state.writing = true;
                self.some.notify_one();
            }
        }
        drop(state);
        if text.capacity() <= KEPT {
            PARAMS.set(text);
        }
        receiver
    }

    async fn write(self: Arc<Self>) -> io::Result<()> {
        let mut out = Vec::new();
        loop {
            self.some.notified().await;
            loop {
                // Everybody whom a read woke gets to add a call first.
                tokio::task::yield_now().await;
                {
                    let mut state = self.state();
                    std::mem::swap(&mut state.out, &mut out);
                    state.writing = !out.is_empty();
                }
                if out.is_empty() {
                    break;
                }
                self.write_all(&out).await?;
                match out.capacity() {
                    0..=KEPT => out.clear(),
                    _ => out = Vec::new(),
                }
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.writer.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writer.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn read(self: Arc<Self>, mut reader: tcp::OwnedReadHalf) -> io::Result<()> {
        let (mut lines, mut answered) = (Lines::new(), Vec::new());
        while lines.read(&mut reader).await? {
            // One lock for all that was read; callers are woken when it is free again.
            let mut state = self.state();
            lines.each(|line| {
                if let (Some(item), Some(take)) = (wire::scan_item(line), &mut state.follower) {
                    take(serde_json::from_slice(item).expect("our server writes quotes"));
                    return;
                }
                let response = wire::scan_response(line).map_or_else(|| wire::Response::read(line), Ok);
                let response = response.expect("our server writes JSON-RPC");
                let call = state.calls.try_remove(response.id as usize).expect("our server answers once");
                answered.push((call, response.outcome.map(Box::from)));
            });
            state.last_read = answered.len();
            drop(state);
            for (call, reply) in answered.drain(..) {
                // Whoever has stopped waiting does not mind.
                let _ = call.send(reply);
            }
        }
        Ok(())
    }
}

impl Client {
    async fn call<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T> {
        let reply = self.0.send(method, &params).await?;
        Ok(serde_json::from_slice(&reply.map_err(Error::msg)?)?)
    }
}

impl crate::peers::Client for Client {
    async fn connect(_: Peer, server: &str) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let link = Arc::new(Link { state: Mutex::default(), some: Notify::new(), writer });
        tokio::spawn(Arc::clone(&link).read(reader));
        tokio::spawn(Arc::clone(&link).write());
        Ok(Self(link))
    }

    async fn add(&self, a: i64, b: i64) -> Result<i64> {
        self.call("add", (a, b)).await
    }

    async fn echo(&self, text: String) -> Result<String> {
        self.call("echo", (text,)).await
    }

    async fn get_user(&self, id: u64) -> Result<User> {
        self.call("get_user", (id,)).await
    }

    async fn wait(&self, millis: u64) -> Result<u64> {
        self.call("wait", (millis,)).await
    }

    async fn compute(&self, millis: u64) -> Result<u64> {
        self.call("compute", (millis,)).await
    }

    async fn follow(&self, take: impl FnMut(Quote) + Send + 'static) -> Result<()> {
        self.0.state().follower = Some(Box::new(take));
        let _: u64 = self.call("follow", ()).await?;
        std::future::pending().await
    }
}
