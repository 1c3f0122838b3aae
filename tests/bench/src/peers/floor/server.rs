//! The server: one task a connection.

use std::{
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::{lines::Lines, wire};
use crate::{
    peers::announce,
    service::{self, User},
};

/// A buffer that is larger is not kept.
const KEPT: usize = 4 << 20;

pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    let followers = Followers::default();
    tokio::spawn(publish(Arc::clone(&followers)));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, Arc::clone(&followers)));
    }
}

/// Replies of handlers that had to wait, and items.
#[derive(Default)]
struct Late {
    replies: Mutex<Vec<u8>>,
    some: Notify,
    taken: Notify,
}

/// More than this waits for nobody: the source does.
const HIGH_WATER: usize = 64 << 10;

/// Each with the id of its subscription.
type Followers = Arc<Mutex<Vec<(u64, Arc<Late>)>>>;

/// Writes each item once, and gives it to every follower.
async fn publish(followers: Followers) {
    let all = || followers.lock().expect("nobody panics with it").clone();
    while all().len() < service::SUBSCRIBERS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let followers = all();
    let mut item = Vec::new();
    for number in 0.. {
        item.clear();
        wire::put(&mut item, &service::quote(number));
        for (id, late) in &followers {
            late.room().await;
            let mut replies = late.replies.lock().expect("nobody panics with it");
            let is_first = replies.is_empty();
            wire::put_item(&mut replies, *id, &item);
            drop(replies);
            if is_first {
                late.some.notify_one();
            }
        }
    }
}

impl Late {
    /// Waits until there is room for an item.
    async fn room(&self) {
        while self.replies.lock().expect("nobody panics with it").len() >= HIGH_WATER {
            self.taken.notified().await;
        }
    }
}

async fn connection(mut stream: TcpStream, followers: Followers) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let (mut lines, mut out, late) = (Lines::new(), Vec::new(), Arc::new(Late::default()));
    loop {
        tokio::select! {
            biased;
            read = lines.read(&mut reader) => {
                if !read? {
                    return Ok(());
                }
                lines.each(|line| answer(line, &mut out, &late, &followers));
            }
            () = late.some.notified() => {
                // Whoever was woken together with that one gets to answer first.
                tokio::task::yield_now().await;
                out.append(&mut late.replies.lock().expect("nobody panics with it"));
                late.taken.notify_one();
            }
        }
        if !out.is_empty() {
            writer.write_all(&out).await?;
            match out.capacity() {
                0..=KEPT => out.clear(),
                _ => out = Vec::new(),
            }
        }
    }
}

fn answer(line: &[u8], out: &mut Vec<u8>, late: &Arc<Late>, followers: &Followers) {
    if wire::scan_request(line).is_some_and(|request| call(&request, out, late, followers).is_some()) {
        return;
    }
    match wire::Request::read(line) {
        Ok(request) if call(&request, out, late, followers).is_none() => {
            wire::put_error(out, Some(request.id), -32602, "invalid params");
        }
        Ok(_) => {}
        Err(_) => wire::put_error(out, None, -32700, "parse error"),
    }
}

/// `None` where the parameters are none of the method's, and then nothing was done.
fn call(
    request: &wire::Request<'_>,
    out: &mut Vec<u8>,
    late: &Arc<Late>,
    followers: &Followers,
) -> Option<()> {
    macro_rules! run {
        ($handler:expr) => {{
            let params = serde_json::from_slice(request.params).ok()?;
            run($handler(params), request.id, out, late)
        }};
    }
    match &*request.method {
        "add" => run!(add),
        "echo" => run!(echo),
        "get_user" => run!(get_user),
        "wait" => run!(wait),
        "compute" => run!(compute),
        "follow" => {
            followers.lock().expect("nobody panics with it").push((request.id, Arc::clone(late)));
            wire::put_result(out, request.id, &request.id);
        }
        _ => wire::put_error(out, Some(request.id), -32601, "method not found"),
    }
    Some(())
}

async fn add((a, b): (i64, i64)) -> i64 {
    service::add(a, b)
}

async fn echo((text,): (String,)) -> String {
    text
}

async fn get_user((id,): (u64,)) -> User {
    service::user(id)
}

async fn wait((millis,): (u64,)) -> u64 {
    service::wait(millis).await
}

async fn compute((millis,): (u64,)) -> u64 {
    service::compute(millis)
}

/// Polls the handler once where it stands: only one that has to wait gets a task.
fn run<F>(handler: F, id: u64, out: &mut Vec<u8>, late: &Arc<Late>)
where
    F: Future<Output: Serialize> + Send + 'static,
{
    let mut handler = Box::pin(handler);
    if let Poll::Ready(result) = pin!(&mut handler).poll(&mut Context::from_waker(Waker::noop())) {
        return wire::put_result(out, id, &result);
    }
    let late = Arc::clone(late);
    tokio::spawn(async move {
        let result = handler.await;
        wire::put_result(&mut late.replies.lock().expect("nobody panics with it"), id, &result);
        late.some.notify_one();
    });
}
