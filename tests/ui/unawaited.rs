//! Calls that are not awaited where their results are wanted.

use rpc::{ErrorObject, RpcError, rpc_service};

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
}

pub async fn tried(users: UsersClient) -> Result<u32, rpc::CallError> {
    users.seen(1)?;
    Ok(users.count()?)
}

pub async fn unwrapped(users: UsersClient) -> u32 {
    let _: String = users.name(1).unwrap();
    users.count().unwrap()
}

pub async fn matched(users: UsersClient) -> Result<String, ErrorObject> {
    match users.name(1) {
        Ok(name) => Ok(name),
        Err(error) => Err(error.into()),
    }
}

fn main() {}
