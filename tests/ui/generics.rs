//! What a generic service cannot say: it has a client, which is not the service.

use rpc::rpc_service;

#[rpc_service]
pub trait Store<'a, K: Into<Self> + 'static, V>
where
    V: From<Self>,
    Self: Clone,
{
    async fn put(&self, key: K, value: V);
    async fn first(&self) -> Result<V, rpc::ErrorObject>;
    async fn name(&self) -> &'a str;
}

#[derive(Clone)]
struct Memory;

impl From<u8> for Memory {
    fn from(_: u8) -> Self {
        Self
    }
}

impl From<Memory> for u8 {
    fn from(_: Memory) -> Self {
        0
    }
}

impl<'a> Store<'a, u8, u8> for Memory {
    async fn put(&self, _: u8, _: u8) {}
    async fn first(&self) -> Result<u8, rpc::ErrorObject> {
        Ok(0)
    }
    async fn name(&self) -> &'a str {
        ""
    }
}

async fn run(store: StoreClient<'_, u8, u8>) {
    let _ = store.put(1, 2).await;
    let _: u8 = store.first().await.unwrap();
}

fn main() {
    let server = StoreServer::new(Memory);
    let _: &dyn rpc::Service = &server;
    let _ = run;
}
