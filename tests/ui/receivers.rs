//! A method takes `&self`.

use rpc::rpc_service;

#[rpc_service]
pub trait Calc {
    async fn owned(self);
    async fn mutable(&mut self, a: u8);
    async fn none(a: u8) -> u8;
    async fn typed(self: &Self);
    async fn arc(self: std::sync::Arc<Self>);
    async fn lifetime(&'static self);
    fn plain(mut self);
    async fn attributed(#[rpc(context)] &self);
    async fn right(&self);
}

struct MyCalc;

impl Calc for MyCalc {
    async fn owned(self) {}
    async fn mutable(&mut self, _: u8) {}
    async fn none(a: u8) -> u8 {
        a
    }
    async fn typed(self: &Self) {}
    async fn arc(self: std::sync::Arc<Self>) {}
    async fn lifetime(&'static self) {}
    fn plain(self) {}
    async fn attributed(&self) {}
    async fn right(&self) {}
}

async fn run(calc: CalcClient) {
    let _ = calc.owned().await;
    let _ = calc.mutable(1).await;
    let _ = calc.none(1).await;
    let _ = calc.right().await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
