//! Generics on the trait are reported once, however much depends on them.

use rpc::rpc_service;

#[rpc_service]
pub trait Store<K, V: Clone> {
    async fn put(&self, key: K, value: V);
}

struct Memory;

impl Store<String, u8> for Memory {
    async fn put(&self, _: String, _: u8) {}
}

fn main() {
    let server = StoreServer::new(Memory);
    let _: &dyn rpc::Service = &server;
}
