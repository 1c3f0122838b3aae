//! What a service trait cannot have. Its methods, its implementation and its client stay usable.

use rpc::rpc_service;

macro_rules! methods {
    () => {
        fn generated(&self);
    };
}

#[rpc_service]
pub unsafe trait Calc {
    const LIMIT: u32;
    #[rpc(name = "kind")]
    type Kind;
    methods!();
    pub async fn add(&self, a: i64, b: i64) -> i64;
    async fn add(&self);
    fn version(&self) -> u32;
}

struct MyCalc;

impl Calc for MyCalc {
    const LIMIT: u32 = 1;
    type Kind = u8;
    fn generated(&self) {}
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    fn version(&self) -> u32 {
        1
    }
}

async fn run(calc: CalcClient) {
    let _ = calc.add(1, 2).await;
    let _ = calc.version().await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
