//! One mistake gives one error, whatever uses what would have been generated.

use std::sync::Arc;

use rpc::{Context, RpcError, rpc_service};

#[derive(Debug, thiserror::Error, RpcError)]
pub enum DivError {
    #[error("division by zero")]
    #[rpc(code = -32001)]
    ByZero,
}

type Outcome<T> = Result<T, DivError>;

#[rpc_service(namespace = "calc")]
pub trait Calc: Clone {
    /// Adds two numbers.
    #[rpc(nam = "plus")]
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn div(&self, a: i64, b: i64) -> Outcome<i64>;
    async fn greet(&self, name: &str) -> String;
    fn version(&self) -> u32;
    #[rpc(notification)]
    async fn log(&self, #[rpc(context)] cx: &Context, line: &str);
    #[cfg(any())]
    async fn absent(&self, missing: Missing);
    async fn twice(&self, a: i64) -> Outcome<i64> {
        self.div(a, 1).await?;
        Ok(self.add(a, a).await)
    }
}

#[derive(Clone)]
struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    async fn div(&self, a: i64, b: i64) -> Outcome<i64> {
        a.checked_div(b).ok_or(DivError::ByZero)
    }
    async fn greet(&self, name: &str) -> String {
        name.to_owned()
    }
    fn version(&self) -> u32 {
        1
    }
    async fn log(&self, _: &Context, _: &str) {}
}

async fn run(session: rpc::Session) {
    let calc = CalcClient::from(session);
    let name = String::new();
    let _: i64 = calc.add(1, 2).await.unwrap();
    let _: i64 = calc.div(1, 2).await.unwrap();
    let _: String = calc.greet(&name).await.unwrap();
    let _: u32 = calc.clone().version().await.unwrap();
    let () = calc.log("line").await.unwrap();
    let _: i64 = calc.twice(1).await.unwrap();
    println!("{calc:?} {}", CalcClient::<rpc::Session>::METHODS.len());
}

fn main() {
    let server = CalcServer::new(MyCalc);
    let shared = CalcServer::from(Arc::new(MyCalc));
    let services: [Box<dyn rpc::Service>; 2] = [Box::new(server.clone()), Box::new(shared)];
    println!("{server:?} {} {}", services.len(), CalcServer::<MyCalc>::METHODS.len());
    let _ = run;
}
