//! This crate, as a user writes it.

use std::time::Duration;

use anyhow::Result;
use futures::{Stream, StreamExt};
use rpc::{
    Broadcast, Caller, Connector, HttpClient, Limits, Overflow, Server, Session, SharedJson, Subscriber,
    framing::{ContentLengthFramer, LengthPrefixedFramer},
    rpc_service,
};

use super::{Peer, announce};
use crate::service::{self, Quote, User};

#[rpc_service]
pub trait Api {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn echo(&self, text: String) -> String;
    async fn get_user(&self, id: u64) -> User;
    async fn wait(&self, millis: u64) -> u64;
    async fn compute(&self, millis: u64) -> u64;
    #[rpc(subscription, item = "quote", unsubscribe = "unfollow")]
    async fn follow(&self) -> impl Stream<Item = SharedJson<Quote>>;
}

struct Service(Broadcast<Quote>);

impl Api for Service {
    async fn add(&self, a: i64, b: i64) -> i64 {
        service::add(a, b)
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn get_user(&self, id: u64) -> User {
        service::user(id)
    }

    async fn wait(&self, millis: u64) -> u64 {
        service::wait(millis).await
    }

    async fn compute(&self, millis: u64) -> u64 {
        service::compute(millis)
    }

    async fn follow(&self) -> impl Stream<Item = SharedJson<Quote>> {
        self.0.subscribe()
    }
}

async fn publish(quotes: Broadcast<Quote>) {
    while quotes.subscribers() < service::SUBSCRIBERS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 0.. {
        quotes.send(service::quote(number)).await;
    }
}

/// Only a frame may be larger than by default: the largest text that is echoed takes a little over 1 MiB.
fn limits(peer: Peer, default: Limits) -> Limits {
    if peer != Peer::OursLimited {
        return Limits::unlimited();
    }
    // Ten thousand connections are measured.
    default.with_connections(20_000).with_frame_size(2 << 20)
}

/// Where to listen.
fn url(peer: Peer) -> String {
    match peer {
        Peer::OursWs => "ws://127.0.0.1:0".to_owned(),
        Peer::OursHttp => "http://127.0.0.1:0".to_owned(),
        Peer::OursUnix => {
            let name = format!("rpc-bench-{}.sock", std::process::id());
            format!("unix:{}", std::env::temp_dir().join(name).display())
        }
        _ => "tcp://127.0.0.1:0".to_owned(),
    }
}

pub async fn serve(peer: Peer) -> Result<()> {
    let source = Broadcast::new(1_024);
    tokio::spawn(publish(source.clone()));
    let builder =
        Server::builder().service(ApiServer::new(Service(source))).limits(limits(peer, Limits::server()));
    let builder = match peer {
        Peer::OursHeaders => builder.framer(ContentLengthFramer::new()),
        Peer::OursLength => builder.framer(LengthPrefixedFramer::u32_be()),
        _ => builder,
    };
    let server = builder.bind(url(peer)).await?;
    announce(server.endpoint())?;
    server.start().closed().await;
    Ok(())
}

/// A way to the server.
pub trait Road: Caller + Subscriber + Clone + Send + Sync + 'static {
    fn open(peer: Peer, server: &str) -> impl Future<Output = Result<Self>> + Send;
}

impl Road for Session {
    async fn open(peer: Peer, server: &str) -> Result<Self> {
        let connector = Connector::new(server)?.limits(limits(peer, Limits::client()));
        let connector = match peer {
            Peer::OursHeaders => connector.framer(ContentLengthFramer::new()),
            Peer::OursLength => connector.framer(LengthPrefixedFramer::u32_be()),
            _ => connector,
        };
        Ok(connector.connect().await?)
    }
}

impl Road for HttpClient {
    async fn open(peer: Peer, server: &str) -> Result<Self> {
        Ok(Self::builder(server)?.limits(limits(peer, Limits::client())).build()?)
    }
}

#[derive(Clone)]
pub struct Client<R>(ApiClient<R>);

impl<R: Road> super::Client for Client<R> {
    async fn connect(peer: Peer, server: &str) -> Result<Self> {
        Ok(Self(ApiClient::from(R::open(peer, server).await?)))
    }

    async fn add(&self, a: i64, b: i64) -> Result<i64> {
        Ok(self.0.add(a, b).await?)
    }

    async fn echo(&self, text: String) -> Result<String> {
        Ok(self.0.echo(text).await?)
    }

    async fn get_user(&self, id: u64) -> Result<User> {
        Ok(self.0.get_user(id).await?)
    }

    async fn wait(&self, millis: u64) -> Result<u64> {
        Ok(self.0.wait(millis).await?)
    }

    async fn compute(&self, millis: u64) -> Result<u64> {
        Ok(self.0.compute(millis).await?)
    }

    async fn follow(&self, mut take: impl FnMut(Quote) + Send + 'static) -> Result<()> {
        let mut quotes = self.0.follow().overflow(Overflow::Wait).await?;
        while let Some(quote) = quotes.next().await {
            take(SharedJson::unwrap_or_clone(quote?));
        }
        Ok(())
    }
}
