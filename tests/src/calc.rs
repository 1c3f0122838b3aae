//! A service from a trait, for the tests that do not need one of their own.

use rpc::{RpcError, rpc_service};

/// What the tests call.
#[rpc_service]
pub trait Calc {
    /// Adds two numbers, at once.
    async fn add(&self, a: i64, b: i64) -> i64;

    /// Adds two numbers after others had a turn.
    async fn add_later(&self, a: i64, b: i64) -> i64;

    /// Borrows what it is given, on both sides.
    async fn greet(&self, name: &str) -> String;

    /// Divides.
    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;

    /// A plain function without parameters.
    fn ping(&self) -> String;

    /// No reply travels back.
    #[rpc(notification)]
    async fn log(&self, line: &str);
}

/// Why a division gave nothing.
#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
pub enum DivError {
    /// There is no such number.
    #[error("division by zero")]
    #[rpc(code = -32001)]
    ByZero,
}

/// The only implementation there is.
#[derive(Debug, Clone, Copy)]
pub struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn add_later(&self, a: i64, b: i64) -> i64 {
        tokio::task::yield_now().await;
        a + b
    }

    async fn greet(&self, name: &str) -> String {
        format!("Hello, {name}")
    }

    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError> {
        a.checked_div(b).ok_or(DivError::ByZero)
    }

    fn ping(&self) -> String {
        "pong".to_owned()
    }

    async fn log(&self, _: &str) {}
}
