//! What a method cannot be.

use rpc::rpc_service;

#[rpc_service]
pub trait Calc {
    async fn generic<T: Send>(&self, a: T);
    async fn constant_size<'a, const N: usize>(&self, a: &'a [u8]);
    async fn conditional(&self)
    where
        Self: Clone;
    async unsafe fn dangerous(&self);
    const fn constant(&self) -> u8;
    extern "C" fn foreign(&self) -> u8;
    async fn right(&self);
    async fn lifetimes<'a>(&self, a: &'a str) -> &'a str;
}

#[derive(Clone)]
struct MyCalc;

impl Calc for MyCalc {
    async fn generic<T: Send>(&self, _: T) {}
    async fn constant_size<'a, const N: usize>(&self, _: &'a [u8]) {}
    async fn lifetimes<'a>(&self, a: &'a str) -> &'a str {
        a
    }
    async fn conditional(&self) {}
    async unsafe fn dangerous(&self) {}
    fn constant(&self) -> u8 {
        1
    }
    extern "C" fn foreign(&self) -> u8 {
        1
    }
    async fn right(&self) {}
}

async fn run(calc: CalcClient) {
    let _ = calc.generic(1).await;
    let _ = calc.constant().await;
    let _ = calc.foreign().await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
