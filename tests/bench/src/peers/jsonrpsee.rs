//! jsonrpsee over WebSocket and HTTP, with its macro.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{RpcResult, SubscriptionResult, async_trait, client::SubscriptionClientT},
    http_client::HttpClientBuilder,
    proc_macros::rpc,
    server::{Server, ServerConfig},
    ws_client::WsClientBuilder,
};
pub use jsonrpsee::{http_client::HttpClient, ws_client::WsClient};

use super::{Peer, announce};
use crate::service::{self, Quote, User};

#[rpc(server, client)]
pub trait Api {
    #[method(name = "add")]
    async fn add(&self, a: i64, b: i64) -> RpcResult<i64>;
    #[method(name = "echo")]
    async fn echo(&self, text: String) -> RpcResult<String>;
    #[method(name = "get_user")]
    async fn get_user(&self, id: u64) -> RpcResult<User>;
    #[method(name = "wait")]
    async fn wait(&self, millis: u64) -> RpcResult<u64>;
    #[method(name = "compute")]
    async fn compute(&self, millis: u64) -> RpcResult<u64>;
    #[subscription(name = "follow" => "quote", unsubscribe = "unfollow", item = Quote)]
    async fn follow(&self) -> SubscriptionResult;
}

#[derive(Clone, Default)]
struct Service {
    followers: Arc<Mutex<Vec<Arc<SubscriptionSink>>>>,
}

#[async_trait]
impl ApiServer for Service {
    async fn add(&self, a: i64, b: i64) -> RpcResult<i64> {
        Ok(service::add(a, b))
    }

    async fn echo(&self, text: String) -> RpcResult<String> {
        Ok(text)
    }

    async fn get_user(&self, id: u64) -> RpcResult<User> {
        Ok(service::user(id))
    }

    async fn wait(&self, millis: u64) -> RpcResult<u64> {
        Ok(service::wait(millis).await)
    }

    async fn compute(&self, millis: u64) -> RpcResult<u64> {
        Ok(service::compute(millis))
    }

    async fn follow(&self, asked: PendingSubscriptionSink) -> SubscriptionResult {
        let sink = Arc::new(asked.accept().await?);
        self.followers.lock().expect("nobody panics with it").push(sink);
        Ok(())
    }
}

impl Service {
    fn followers(&self) -> Vec<Arc<SubscriptionSink>> {
        self.followers.lock().expect("nobody panics with it").clone()
    }

    async fn publish(self) {
        while self.followers().len() < service::SUBSCRIBERS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let followers = self.followers();
        for number in 0.. {
            let quote = serde_json::value::to_raw_value(&service::quote(number)).expect("it is JSON");
            for follower in &followers {
                if follower.send(quote.clone()).await.is_err() {
                    return;
                }
            }
        }
    }
}

pub async fn serve() -> Result<()> {
    // By default it refuses the 101st connection.
    let config = ServerConfig::builder().max_connections(20_000).build();
    let server = Server::builder().set_config(config).build("127.0.0.1:0").await?;
    announce(server.local_addr()?)?;
    let service = Service::default();
    tokio::spawn(service.clone().publish());
    server.start(service.into_rpc()).stopped().await;
    Ok(())
}

/// A way to the server.
pub trait Road: SubscriptionClientT + Send + Sync + Sized + 'static {
    fn open(server: &str) -> impl Future<Output = Result<Self>> + Send;
}

impl Road for WsClient {
    async fn open(server: &str) -> Result<Self> {
        let builder = WsClientBuilder::default().max_buffer_capacity_per_subscription(1 << 20);
        Ok(builder.build(format!("ws://{server}")).await?)
    }
}

impl Road for HttpClient {
    async fn open(server: &str) -> Result<Self> {
        Ok(HttpClientBuilder::default().build(format!("http://{server}"))?)
    }
}

pub struct Client<R>(Arc<R>);

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Road> super::Client for Client<R> {
    async fn connect(_: Peer, server: &str) -> Result<Self> {
        Ok(Self(Arc::new(R::open(server).await?)))
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
        let mut quotes = self.0.follow().await?;
        while let Some(quote) = quotes.next().await {
            take(quote?);
        }
        Ok(())
    }
}
