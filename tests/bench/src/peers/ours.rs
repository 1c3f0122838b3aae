//! This crate, as a user writes it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::StreamExt;
use rpc::{
    Broadcast, Connector, ErrorObject, Limits, MethodInfo, Overflow, Params, Router, Server, Session,
    SubscriptionInfo, SubscriptionStyle, rpc_service,
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
}

struct Service;

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
}

fn quotes(source: Broadcast<Quote>) -> Router {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "quote").with_unsubscribe("unfollow");
    let method = MethodInfo::request("follow").with_subscription(info);
    Router::new().subscription(method, move |_: Params, _: rpc::Context| {
        let quotes = source.subscribe();
        async move { Ok::<_, ErrorObject>(quotes) }
    })
}

async fn publish(quotes: Broadcast<Quote>) {
    while quotes.subscribers() < service::SUBSCRIBERS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 0.. {
        quotes.send(service::quote(number)).await;
    }
}

/// Only a frame may be larger than by default: the largest text that is echoed takes a little over 1 MiB. And bytes cost nothing: what is
/// measured here moves in seconds what a server grants in an hour.
fn limits(peer: Peer, default: Limits) -> Limits {
    if peer != Peer::OursLimited {
        let mut limits = Limits::unlimited();
        // Where nothing bounds it, a source that never waits fills the memory.
        limits.subscription_items = default.subscription_items;
        limits.subscription_bytes = default.subscription_bytes;
        return limits;
    }
    let mut limits = default;
    // Ten thousand of them are measured.
    limits.connections = 20_000;
    limits.frame_size = 2 << 20;
    limits.cost_per_byte = 0.0;
    limits
}

fn url(peer: Peer, server: SocketAddr) -> String {
    let scheme = if peer == Peer::OursWs { "ws" } else { "tcp" };
    format!("{scheme}://{server}")
}

pub async fn serve(peer: Peer) -> Result<()> {
    let source = Broadcast::new(1_024);
    tokio::spawn(publish(source.clone()));
    let server = Server::builder()
        .service(ApiServer::new(Service))
        .service(quotes(source))
        .limits(limits(peer, Limits::server()))
        .bind(url(peer, (Ipv4Addr::LOCALHOST, 0).into()))
        .await?;
    announce(server.endpoint().socket_addr().context("an address")?)?;
    server.start().closed().await;
    Ok(())
}

#[derive(Clone)]
pub struct Client {
    api: ApiClient<Session>,
    session: Session,
}

impl super::Client for Client {
    async fn connect(peer: Peer, server: SocketAddr) -> Result<Self> {
        let connector = Connector::new(&url(peer, server))?.limits(limits(peer, Limits::client()));
        let session = connector.connect().await?;
        Ok(Self { api: ApiClient::from(session.clone()), session })
    }

    async fn add(&self, a: i64, b: i64) -> Result<i64> {
        Ok(self.api.add(a, b).await?)
    }

    async fn echo(&self, text: String) -> Result<String> {
        Ok(self.api.echo(text).await?)
    }

    async fn get_user(&self, id: u64) -> Result<User> {
        Ok(self.api.get_user(id).await?)
    }

    async fn wait(&self, millis: u64) -> Result<u64> {
        Ok(self.api.wait(millis).await?)
    }

    async fn compute(&self, millis: u64) -> Result<u64> {
        Ok(self.api.compute(millis).await?)
    }

    async fn follow(&self, mut take: impl FnMut(Quote) + Send + 'static) -> Result<()> {
        let quotes = self.session.subscribe::<Quote>("follow", ()).unsubscribe_with("unfollow");
        let mut quotes = quotes.overflow(Overflow::Wait).await?;
        while let Some(quote) = quotes.next().await {
            take(quote?);
        }
        Ok(())
    }
}
