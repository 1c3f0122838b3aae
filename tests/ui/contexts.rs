//! A context is lent, once, and has no name.

use rpc::{Context, rpc_service};

#[rpc_service]
pub trait Calc {
    async fn twice(&self, #[rpc(context)] a: &Context, #[rpc(context)] b: &Context);
    async fn owned(&self, #[rpc(context)] cx: Context);
    async fn exclusive(&self, #[rpc(context)] cx: &mut Context);
    async fn named(&self, #[rpc(context, name = "cx")] cx: &Context);
    async fn unmarked(&self, cx: &Context);
    async fn unmarked_and_owned(&self, cx: rpc::Context, count: u8);
    async fn of_their_own(&self, #[rpc(name = "context")] cx: u8);
    #[rpc(context)]
    async fn misplaced(&self, cx: u8);
}

async fn run(calc: CalcClient) {
    let _ = calc.twice().await;
    let _ = calc.owned().await;
    let _ = calc.misplaced(1).await;
}

fn main() {
    let _ = run;
}
