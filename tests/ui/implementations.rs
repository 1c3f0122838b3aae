//! What an implementation and a call can get wrong: said at what is wrong, by the compiler.

use std::rc::Rc;

use rpc::rpc_service;

#[rpc_service]
pub trait Calc {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn greet(&self, name: &str) -> String;
}

struct Incomplete;

impl Calc for Incomplete {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

struct TooMuch;

impl Calc for TooMuch {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    async fn greet(&self, name: &str) -> String {
        name.to_owned()
    }
    async fn subtract(&self, a: i64, b: i64) -> i64 {
        a - b
    }
}

struct Different;

impl Calc for Different {
    async fn add(&self, a: i64, b: i32) -> i64 {
        a + i64::from(b)
    }
    async fn greet(&self, name: &str) -> usize {
        name.len()
    }
}

struct NotSend;

impl Calc for NotSend {
    async fn add(&self, a: i64, b: i64) -> i64 {
        let shared = Rc::new(a);
        std::future::ready(()).await;
        *shared + b
    }
    async fn greet(&self, name: &str) -> String {
        name.to_owned()
    }
}

struct NotAService;

async fn calls(calc: CalcClient) {
    let _ = calc.add(1, "2").await;
    let _ = calc.add(1).await;
    let _ = calc.greet("Ann", 2).await;
    let _ = calc.multiply(1, 2).await;
    let _: i32 = calc.add(1, 2).await.unwrap();
}

fn main() {
    let _ = CalcServer::new(NotAService);
    let _ = calls;
}
