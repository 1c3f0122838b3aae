//! Calls that are made and not awaited: nothing would be sent.

#![deny(unused_must_use)]

use rpc::{RpcError, rpc_service};

#[derive(Debug, thiserror::Error, RpcError)]
#[error("none")]
#[rpc(code = 1)]
pub struct NoSuchUser;

#[rpc_service]
pub trait Users {
    async fn count(&self) -> u32;
    async fn name(&self, id: u32) -> Result<String, NoSuchUser>;
    #[rpc(notification)]
    async fn seen(&self, id: u32);
    #[rpc(subscription)]
    async fn joined(&self) -> impl futures::Stream<Item = u32>;
}

pub async fn forgotten(users: UsersClient) {
    users.count();
    users.name(1);
    users.seen(1);
    users.joined();
}

fn main() {}
