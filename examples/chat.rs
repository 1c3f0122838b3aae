//! A small chat: both sides serve a trait, call each other, and stream to each other, on one connection each.
//!
//! `cargo run --example chat`

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use futures::{Stream, StreamExt, stream};
use rpc::{Broadcast, Connector, Context, RpcError, Server, ServerHandle, SharedJson, rpc_service};
use serde::{Deserialize, Serialize};

/// What the room serves to those who come.
#[rpc_service(namespace = "room", separator = ".")]
trait Room {
    /// Everything that is said from now on.
    #[rpc(subscription)]
    async fn join(
        &self,
        #[rpc(context)] cx: &Context,
        name: &str,
    ) -> Result<impl Stream<Item = SharedJson<Line>>, RoomError>;

    /// Says something to everybody.
    async fn say(&self, #[rpc(context)] cx: &Context, text: &str) -> Result<(), RoomError>;
}

/// What a guest serves to the room. Whoever connects is not thereby the client.
#[rpc_service(namespace = "guest", separator = ".")]
trait Guest {
    /// The room asks; the answer decides.
    async fn may_enter(&self, name: &str) -> bool;

    /// The room listens to a guest that is typing.
    #[rpc(subscription)]
    async fn keystrokes(&self) -> impl Stream<Item = char>;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    from: String,
    text: String,
}

#[derive(Debug, thiserror::Error, RpcError)]
enum RoomError {
    #[error("`{name}` is not welcome: {by} has said so")]
    #[rpc(code = 1)]
    Refused { name: String, by: String },
    #[error("join first")]
    #[rpc(code = 2)]
    Stranger,
}

/// Kept with the session of a guest.
struct Name(String);

struct MyRoom {
    /// One source for all: a line is written as JSON once, however many are listening.
    lines: Broadcast<Line>,
    guests: Mutex<Vec<(String, GuestClient)>>,
}

impl Room for MyRoom {
    async fn join(
        &self,
        cx: &Context,
        name: &str,
    ) -> Result<impl Stream<Item = SharedJson<Line>>, RoomError> {
        // Those who are there are asked first, while the one who wants to come waits.
        let guests = self.guests.lock().expect("nobody panics while holding it").clone();
        for (by, guest) in guests {
            if !guest.may_enter(name).await.unwrap_or(true) {
                return Err(RoomError::Refused { name: name.to_owned(), by });
            }
        }
        let guest = GuestClient::from(cx.session().clone());
        cx.extensions().insert(Name(name.to_owned()));
        self.guests.lock().expect("nobody panics while holding it").push((name.to_owned(), guest));
        Ok(self.lines.subscribe())
    }

    async fn say(&self, cx: &Context, text: &str) -> Result<(), RoomError> {
        let name = cx.extensions().get::<Name>().ok_or(RoomError::Stranger)?;
        self.lines.publish(Line { from: name.0.clone(), text: text.to_owned() });
        Ok(())
    }
}

struct Visitor {
    dislikes: &'static str,
    asked: Arc<AtomicU32>,
}

impl Guest for Visitor {
    async fn may_enter(&self, name: &str) -> bool {
        self.asked.fetch_add(1, Relaxed);
        name != self.dislikes
    }

    async fn keystrokes(&self) -> impl Stream<Item = char> {
        stream::iter("hmm…".chars())
    }
}

async fn visit(room: &ServerHandle, visitor: Visitor) -> Result<RoomClient, Box<dyn Error>> {
    let connector = Connector::new(&room.endpoint().to_string())?.service(GuestServer::new(visitor));
    Ok(RoomClient::from(connector.connect().await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let room = Arc::new(MyRoom { lines: Broadcast::new(100), guests: Mutex::default() });
    let server = Server::builder().service(RoomServer::from(Arc::clone(&room)));
    let running = server.bind("tcp://127.0.0.1:0").await?.start();

    let asked = Arc::new(AtomicU32::new(0));
    let visitor = |dislikes| Visitor { dislikes, asked: Arc::clone(&asked) };
    let (ann, bob, eve) = (
        visit(&running, visitor("Eve")).await?,
        visit(&running, visitor("")).await?,
        visit(&running, visitor("")).await?,
    );
    let mut ann_hears = ann.join("Ann").await?;
    let mut bob_hears = bob.join("Bob").await?;
    match eve.join("Eve").await {
        Err(error) => println!("Eve: {}", rpc::chain(&error)),
        Ok(_) => println!("Eve is in"),
    }
    println!("guests were asked {} times", asked.load(Relaxed));

    ann.say("hello").await?;
    bob.say("hello yourself").await?;
    for hears in [&mut ann_hears, &mut bob_hears] {
        let two: Vec<String> = hears
            .take(2)
            .map(|line| line.map(|line| format!("{}: {}", line.from, line.text)))
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        println!("heard: {two:?}");
    }

    // The room subscribes to its guests as they do to it.
    let guests = room.guests.lock().expect("nobody panics while holding it").clone();
    for (name, guest) in guests {
        let keys: String =
            guest.keystrokes().await?.filter_map(|key| async move { key.ok() }).collect().await;
        println!("{name} types {keys}");
    }

    // Whoever leaves is not sent anything any more.
    drop(bob_hears);
    running.shutdown().await;
    // The stream says why it ended.
    match ann_hears.next().await {
        Some(Err(error)) => println!("Ann: {}", rpc::chain(&error)),
        other => println!("Ann: {other:?}"),
    }
    Ok(())
}
