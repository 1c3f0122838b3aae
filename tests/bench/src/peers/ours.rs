//! This crate, as a user writes it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use rpc::{Connector, Limits, Server, Session, rpc_service};

use super::{Peer, announce};
use crate::service::{self, User};

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

/// Only a frame may be larger than by default: the largest text that is echoed takes a little over 1 MiB.
fn limits(peer: Peer, default: Limits) -> Limits {
    if peer == Peer::Ours {
        return Limits::unlimited();
    }
    let mut limits = default;
    limits.frame_size = 2 << 20;
    limits
}

pub async fn serve(peer: Peer) -> Result<()> {
    let server = Server::builder()
        .service(ApiServer::new(Service))
        .limits(limits(peer, Limits::server()))
        .bind("tcp://127.0.0.1:0")
        .await?;
    announce(server.endpoint().socket_addr().context("an address")?)?;
    server.start().closed().await;
    Ok(())
}

#[derive(Clone)]
pub struct Client(ApiClient<Session>);

impl super::Client for Client {
    async fn connect(peer: Peer, server: SocketAddr) -> Result<Self> {
        let connector = Connector::new(&format!("tcp://{server}"))?.limits(limits(peer, Limits::client()));
        Ok(Self(ApiClient::from(connector.connect().await?)))
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
}
