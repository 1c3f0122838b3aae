//! Words that are unknown, misplaced, repeated, or wrong in their value.

use rpc::rpc_service;

#[rpc_service(
    name = "calc",
    namespace = "calc",
    namespace = "again",
    separator,
    params = "by_order",
    colour = "blue",
    "text",
    crate = "rpc"
)]
#[rpc(namespace = "calc")]
pub trait Calc {
    #[rpc(nam = "add", params = 5, subscription)]
    async fn add(&self, a: u8, b: u8) -> u8;
    #[rpc(notification, notification)]
    async fn twice(&self);
    #[rpc(notification = true)]
    async fn valued(&self);
    #[rpc(name)]
    async fn unvalued(&self);
    #[rpc(name = )]
    async fn unfinished(&self);
    #[rpc(name("called"))]
    async fn listed(&self);
    #[rpc]
    async fn bare(&self);
    #[rpc = "name"]
    async fn assigned(&self);
    #[rpc(name = "one")]
    #[rpc(name = "two")]
    async fn apart(&self);
    async fn params(&self, #[rpc(notification)] a: u8, #[rpc(name = 5, rset)] b: u8, #[rpc(rest = 2)] c: Vec<u8>);
    #[rpc()]
    async fn nothing(&self);
}

struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: u8, b: u8) -> u8 {
        a + b
    }
    async fn twice(&self) {}
    async fn valued(&self) {}
    async fn unvalued(&self) {}
    async fn unfinished(&self) {}
    async fn listed(&self) {}
    async fn bare(&self) {}
    async fn assigned(&self) {}
    async fn apart(&self) {}
    async fn params(&self, _: u8, _: u8, _: Vec<u8>) {}
    async fn nothing(&self) {}
}

fn main() {
    let _ = CalcServer::new(MyCalc);
}
