//! Words that say nothing together, or not of what they stand on.

use rpc::{Context, rpc_service};

#[rpc_service(params = "by_name")]
pub trait Calc {
    #[rpc(blocking)]
    async fn blocking(&self) -> u8;
    #[rpc(notification, timeout = "5s", idempotent)]
    async fn nobody_waits(&self);
    async fn early(&self, #[rpc(rest)] a: Vec<u8>, b: u8);
    async fn two_rests(&self, #[rpc(rest)] a: Vec<u8>, #[rpc(rest)] b: Vec<u8>);
    async fn no_rest(&self, #[rpc(rest, default)] a: Vec<u8>);
    async fn whole_rest(&self, #[rpc(rest, whole)] a: Vec<u8>);
    async fn more_than_the_whole(&self, a: u8, #[rpc(whole)] b: Vec<u8>, #[rpc(whole)] c: u8);
    async fn named(&self, #[rpc(whole, name = "a")] a: Vec<u8>);
    #[rpc(params = "by_name")]
    async fn sent(&self, #[rpc(whole)] a: Vec<u8>);
    async fn context(&self, #[rpc(context, default, rest, whole)] cx: &Context);
    async fn conditions(
        &self,
        #[cfg(any())] a: u8,
        #[cfg(all())] b: u8,
        #[cfg(all(any(), all()))] c: u8,
        #[cfg(any(any(), any()))] d: u8,
        #[cfg(not(all()))] e: u8,
        #[cfg(any())] f: u8,
    );
    async fn right(&self, #[rpc(whole, default)] _: Vec<u8>, #[rpc(context)] cx: &Context);
    #[rpc(blocking, idempotent, timeout = "5s", alias = "b", alias = "c", name = "a", params = "by_position")]
    fn right_too(&self, #[rpc(default, name = "b")] a: u8, #[rpc(rest, name = "a")] b: Vec<u8>);
}

struct MyCalc;

impl Calc for MyCalc {
    async fn blocking(&self) -> u8 {
        1
    }
    async fn nobody_waits(&self) {}
    async fn early(&self, _: Vec<u8>, _: u8) {}
    async fn two_rests(&self, _: Vec<u8>, _: Vec<u8>) {}
    async fn no_rest(&self, _: Vec<u8>) {}
    async fn whole_rest(&self, _: Vec<u8>) {}
    async fn more_than_the_whole(&self, _: u8, _: Vec<u8>, _: u8) {}
    async fn named(&self, _: Vec<u8>) {}
    async fn sent(&self, _: Vec<u8>) {}
    async fn context(&self, _: &Context) {}
    async fn conditions(&self, _: u8) {}
    async fn right(&self, _: Vec<u8>, _: &Context) {}
    fn right_too(&self, _: u8, _: Vec<u8>) {}
}

async fn run(calc: CalcClient) {
    let _: u8 = calc.blocking().await.unwrap();
    let _ = calc.context().await;
    let _ = calc.conditions(1).await;
    let _ = calc.right(vec![]).await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
