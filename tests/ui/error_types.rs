//! What cannot derive `RpcError`, and the words on a type. What uses it stays usable.

use std::fmt::{self, Display};

use rpc::{RpcError, rpc_service};

#[derive(RpcError)]
pub union Both {
    a: u8,
    b: u8,
}

#[derive(Debug, thiserror::Error, RpcError)]
pub enum Generic<T: Display> {
    #[error("{0}")]
    #[rpc(code = 1)]
    Is(T),
}

#[derive(Debug, thiserror::Error, RpcError)]
#[error("")]
#[rpc(code = 1, namespace = "calc")]
pub struct Worded;

#[derive(Debug, RpcError)]
#[rpc(code = 1)]
pub enum OnTheEnum {
    #[rpc(code = 1, crate = rpc)]
    Case,
}

impl Display for OnTheEnum {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for OnTheEnum {}

#[derive(Debug, thiserror::Error, RpcError)]
#[error("")]
#[rpc(code = 1)]
pub struct Many(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, i8);

#[rpc_service]
pub trait Calc {
    async fn generic(&self) -> Result<(), Generic<u8>>;
    async fn worded(&self) -> Result<(), Worded>;
    async fn on_the_enum(&self) -> Result<(), OnTheEnum>;
    async fn many(&self) -> Result<(), Many>;
}

async fn run(calc: CalcClient) {
    let _ = calc.worded().await;
    let _ = calc.generic().await;
}

fn main() {
    let _ = run;
}
