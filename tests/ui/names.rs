//! Names on the wire: which are free, and that they differ.

use rpc::rpc_service;

#[rpc_service(namespace = "calc", separator = ".")]
pub trait Calc {
    async fn add(&self, a: u8, b: u8) -> u8;
    #[rpc(name = "add")]
    async fn plus(&self, a: u8, b: u8) -> u8;
    #[rpc(name = "both")]
    async fn first(&self);
    async fn both(&self);
    async fn same(&self, a: u8, #[rpc(name = "a")] b: u8, #[rpc(name = "")] c: u8);
    async fn twice(&self, a: u8, a: u8);
    #[rpc(name = "")]
    async fn nameless(&self);
    #[rpc(name = "rpc.discover")]
    async fn not_reserved(&self);
    #[rpc(alias = "calc.minus")]
    async fn subtract(&self);
    #[rpc(alias = "minus", alias = "calc.add", alias = "", alias = "rpc.minus")]
    async fn minus(&self);
    #[rpc(alias = "less", alias = "less", alias = "calc.less")]
    async fn less(&self);
}

#[rpc_service]
pub trait Bare {
    #[rpc(name = "rpc.discover")]
    async fn reserved(&self);
}

#[rpc_service(namespace = "")]
pub trait Empty {
    async fn method(&self);
}

#[rpc_service(separator = ".")]
pub trait Separated {
    async fn method(&self);
}

#[rpc_service(namespace = "rpc", separator = ".")]
pub trait Reserved {
    async fn method(&self);
    async fn other(&self);
}

#[rpc_service(rename_all = "camelCase")]
pub trait Spelled {
    async fn both_ways(&self, one_way: u8, #[rpc(name = "oneWay")] other_way: u8);
    #[rpc(name = "bothWays")]
    async fn given(&self);
    async fn __(&self);
}

fn main() {}
