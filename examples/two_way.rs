//! Both sides serve a trait and call each other on one connection: a foreman hands out work to those who have
//! connected, and they report back while they work.
//!
//! `cargo run --example two_way`

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use rpc::{Connector, Context, Server, ServerHandle, Session, rpc_service};

/// What the side that listens serves.
#[rpc_service(namespace = "foreman", separator = ".")]
trait Foreman {
    /// A worker says what it is called.
    async fn enlist(&self, #[rpc(context)] cx: &Context, name: &str) -> usize;

    /// How far a worker has come. A call and not a notification: the worker learns whether to go on.
    async fn progress(&self, #[rpc(context)] cx: &Context, done: u32, of: u32) -> bool;
}

/// What the side that connects serves. Whoever connects is not thereby the client.
#[rpc_service(namespace = "worker", separator = ".")]
trait Worker {
    async fn dig(&self, #[rpc(context)] cx: &Context, metres: u32) -> u32;
}

/// Kept with the session: what the foreman knows about who is at the other end.
struct Name(String);

#[derive(Clone, Default)]
struct Yard {
    workers: Arc<Mutex<Vec<WorkerClient>>>,
}

impl Foreman for Yard {
    async fn enlist(&self, cx: &Context, name: &str) -> usize {
        cx.extensions().insert(Name(name.to_owned()));
        // A session can be kept: it is how the foreman reaches the worker when there is something to do.
        let mut workers = self.workers.lock().expect("nobody panics while holding it");
        workers.push(WorkerClient::from(cx.session().clone()));
        workers.len()
    }

    async fn progress(&self, cx: &Context, done: u32, of: u32) -> bool {
        let name = cx.extensions().get::<Name>();
        let name = name.as_ref().map_or("somebody", |name| &name.0);
        println!("{name} has dug {done} of {of} metres");
        // Mole is told to stop early.
        !(name == "Mole" && done >= 2)
    }
}

struct Digger;

impl Worker for Digger {
    async fn dig(&self, cx: &Context, metres: u32) -> u32 {
        // The foreman waits for us while we call it. Replies are read whatever the load, so neither side can lock the
        // other up, however deep the calls are nested.
        let foreman = ForemanClient::from(cx.session().clone());
        for done in 1..=metres {
            match foreman.progress(done, metres).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return done,
            }
        }
        metres
    }
}

async fn hire(yard: &ServerHandle, name: &str) -> Result<Session, Box<dyn Error>> {
    let worker = Connector::new(&yard.endpoint().to_string())?.service(WorkerServer::new(Digger));
    let session = worker.connect().await?;
    let number = ForemanClient::from(session.clone()).enlist(name).await?;
    println!("{name} is worker number {number}");
    Ok(session)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let yard = Yard::default();
    let server = Server::builder().service(ForemanServer::new(yard.clone()));
    let running = server.bind("tcp://127.0.0.1:0").await?.start();

    let badger = hire(&running, "Badger").await?;
    let mole = hire(&running, "Mole").await?;

    // The side that listens calls those that have connected, all at once.
    let workers = yard.workers.lock().expect("nobody panics while holding it").clone();
    let dug = futures::future::try_join_all(workers.iter().map(|worker| worker.dig(3))).await?;
    println!("dug {dug:?} metres");

    running.shutdown().await;
    println!("Badger: {}. Mole: {}.", badger.closed().await, mole.closed().await);
    Ok(())
}
