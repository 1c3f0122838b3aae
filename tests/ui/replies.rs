//! What a method cannot return.

use std::borrow::Cow;

use rpc::rpc_service;

#[rpc_service]
pub trait Calc {
    async fn exclusive(&self) -> &mut String;
    async fn any(&self) -> impl Clone;
    async fn stream(&self) -> Result<impl futures::Stream<Item = u8>, rpc::ErrorObject>;
    fn future(&self) -> impl Future<Output = u8>;
    async fn this(&self) -> Option<Self>;
    #[rpc(notification)]
    async fn answering(&self) -> u8;
    #[rpc(notification)]
    fn failing(&self) -> Result<(), String>;
    #[rpc(notification)]
    async fn right(&self) -> ();
    async fn right_too(&self) -> Cow<'_, str>;
    async fn borrowed(&self) -> Option<&str>;
}

struct MyCalc;

impl Calc for MyCalc {
    async fn exclusive(&self) -> &mut String {
        unimplemented!()
    }
    async fn any(&self) -> impl Clone {}
    async fn stream(&self) -> Result<impl futures::Stream<Item = u8>, rpc::ErrorObject> {
        Ok(futures::stream::empty())
    }
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
    async fn right_too(&self) -> Cow<'_, str> {
        "".into()
    }
    async fn borrowed(&self) -> Option<&str> {
        None
    }
}

async fn run(calc: CalcClient) {
    let _: Option<String> = calc.borrowed().await.unwrap();
    let _ = calc.answering().await;
    let _ = calc.right().await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
