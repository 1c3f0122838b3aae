//! Types that cannot be written or read: said where the trait names them.

use rpc::{RpcError, rpc_service};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
pub struct OnlyRead;

#[derive(Debug, Serialize)]
pub struct OnlyWritten;

#[derive(Serialize, Deserialize)]
pub struct NoDefault;

#[derive(Debug, thiserror::Error)]
#[error("no code")]
pub struct NoCode;

#[derive(Debug, thiserror::Error, RpcError)]
#[error("fields")]
pub enum Fields {
    #[rpc(code = 1)]
    One(OnlyRead),
    #[rpc(code = 2)]
    Two(u8, OnlyWritten),
    #[rpc(code = 3)]
    Named { a: OnlyWritten, b: OnlyRead },
}

#[rpc_service]
pub trait Calc {
    async fn not_written(&self, a: u8, b: OnlyRead, c: u8);
    async fn not_read(&self, a: u8, b: OnlyWritten);
    fn not_written_lent(&self, a: &OnlyRead);
    async fn not_read_lent(&self, a: &[OnlyWritten]);
    async fn not_read_whole(&self, #[rpc(whole)] a: OnlyWritten);
    async fn no_default(&self, #[rpc(default)] a: NoDefault);
    async fn not_written_reply(&self) -> OnlyRead;
    async fn not_read_reply(&self) -> Vec<OnlyWritten>;
    fn not_written_result(&self) -> Result<OnlyRead, rpc::ErrorObject>;
    async fn not_read_result(&self) -> Result<OnlyWritten, rpc::ErrorObject>;
    async fn no_code(&self) -> Result<u8, NoCode>;
    async fn no_error(&self) -> Result<u8, String>;
}

fn main() {}
