//! The attribute twice: one service is generated, or none.

use rpc::rpc_service;

#[rpc_service(namespace = "calc")]
#[rpc_service]
pub trait Calc {
    #[rpc(name = "plus")]
    async fn add(&self, a: u8, b: u8) -> u8;
}

struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: u8, b: u8) -> u8 {
        a + b
    }
}

async fn run(calc: CalcClient) {
    let _: u8 = calc.add(1, 2).await.unwrap();
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
