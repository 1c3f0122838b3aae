//! jsonrpsee over WebSocket, with its macro.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    server::{Server, ServerConfig},
    ws_client::{WsClient, WsClientBuilder},
};

use super::{Peer, announce};
use crate::service::{self, User};

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
}

struct Service;

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
}

pub async fn serve() -> Result<()> {
    // By default it refuses the 101st connection.
    let config = ServerConfig::builder().max_connections(20_000).build();
    let server = Server::builder().set_config(config).build("127.0.0.1:0").await?;
    announce(server.local_addr()?)?;
    server.start(Service.into_rpc()).stopped().await;
    Ok(())
}

#[derive(Clone)]
pub struct Client(Arc<WsClient>);

impl super::Client for Client {
    async fn connect(_: Peer, server: SocketAddr) -> Result<Self> {
        Ok(Self(Arc::new(WsClientBuilder::default().build(format!("ws://{server}")).await?)))
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
