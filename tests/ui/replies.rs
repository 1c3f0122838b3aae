//! What a method cannot return.

use std::borrow::Cow;

use rpc::rpc_service;

#[rpc_service]
pub trait Calc {
    async fn borrowed(&self) -> &str;
    async fn inside(&self) -> Option<&str>;
    async fn forever(&self) -> &'static str;
    async fn open(&self) -> Cow<'_, str>;
    async fn any(&self) -> impl Clone;
    fn future(&self) -> impl Future<Output = u8>;
    async fn this(&self) -> Option<Self>;
    #[rpc(notification)]
    async fn answering(&self) -> u8;
    #[rpc(notification)]
    fn failing(&self) -> Result<(), String>;
    #[rpc(notification)]
    async fn right(&self) -> ();
    async fn right_too(&self) -> Cow<'static, str>;
}

struct MyCalc;

impl Calc for MyCalc {
    async fn borrowed(&self) -> &str {
        ""
    }
    async fn inside(&self) -> Option<&str> {
        None
    }
    async fn forever(&self) -> &'static str {
        ""
    }
    async fn open(&self) -> Cow<'_, str> {
        "".into()
    }
    async fn any(&self) -> impl Clone {}
    fn future(&self) -> impl Future<Output = u8> {
        async { 1 }
    }
    async fn this(&self) -> Option<Self> {
        None
    }
    async fn answering(&self) -> u8 {
        1
    }
    fn failing(&self) -> Result<(), String> {
        Ok(())
    }
    async fn right(&self) {}
    async fn right_too(&self) -> Cow<'static, str> {
        "".into()
    }
}

async fn run(calc: CalcClient) {
    let _ = calc.open().await;
    let _ = calc.answering().await;
    let _ = calc.right().await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
