//! The codes of errors: given, free, and different.

use rpc::RpcError;

#[derive(Debug, thiserror::Error, RpcError)]
pub enum Wrong {
    #[error("")]
    Missing,
    #[error("")]
    #[rpc(code)]
    Unvalued,
    #[error("")]
    #[rpc(code = "1")]
    Text,
    #[error("")]
    #[rpc(code = 1.5)]
    Fraction,
    #[error("")]
    #[rpc(code = 1u8)]
    Suffixed,
    #[error("")]
    #[rpc(code = 9_223_372_036_854_775_808)]
    TooLarge,
    #[error("")]
    #[rpc(code = -9_223_372_036_854_775_809)]
    TooSmall,
    #[error("")]
    #[rpc(code = -32700)]
    Parse,
    #[error("")]
    #[rpc(code = -32601)]
    NoSuchMethod,
    #[error("")]
    #[rpc(code = -32768)]
    LeastReserved,
    #[error("")]
    #[rpc(code = -32100)]
    GreatestReserved,
    #[error("")]
    #[rpc(code = 1)]
    One,
    #[error("")]
    #[rpc(code = 0x1)]
    OneAgain,
    #[error("")]
    #[rpc(code = 2, code = 3)]
    Doubled,
    #[error("")]
    #[rpc(name = "four")]
    Misplaced,
    #[error("")]
    #[rpc(cod = 4)]
    Misspelt,
    #[error("")]
    #[rpc]
    Bare,
    #[error("")]
    #[rpc()]
    Empty,
    #[error("")]
    #[rpc(code = 4)]
    Field(#[rpc(code = 5)] u8),
}

#[derive(Debug, thiserror::Error, RpcError)]
#[error("")]
pub struct AlsoMissing;

fn main() {}
