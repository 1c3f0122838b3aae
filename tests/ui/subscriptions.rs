//! Streams, and the words that belong to them.

use futures::Stream;
use rpc::rpc_service;

#[rpc_service]
trait WithoutTheWord {
    async fn ticks(&self) -> impl Stream<Item = u64>;
    fn plain(&self) -> Result<impl Stream<Item = u64>, rpc::ErrorObject>;
}

#[rpc_service]
trait WithoutAStream {
    #[rpc(subscription)]
    async fn nothing(&self);
    #[rpc(subscription)]
    async fn a_number(&self) -> u64;
    #[rpc(subscription)]
    async fn an_iterator(&self) -> Result<impl Iterator, rpc::ErrorObject>;
}

#[rpc_service]
trait Words {
    #[rpc(style = "electrum")]
    async fn no_subscription(&self) -> u64;
    #[rpc(subscription, style = "jsonrpsee")]
    async fn unknown_style(&self) -> impl Stream<Item = u64>;
    #[rpc(subscription, overflow = "forget")]
    async fn unknown_overflow(&self) -> impl Stream<Item = u64>;
    #[rpc(subscription, notification)]
    async fn not_answered(&self) -> impl Stream<Item = u64>;
    #[rpc(subscription, blocking)]
    fn blocks(&self) -> impl Stream<Item = u64>;
    #[rpc(subscription, idempotent)]
    async fn again(&self) -> impl Stream<Item = u64>;
    #[rpc(subscription, style = "electrum", item = "other")]
    async fn named(&self) -> impl Stream<Item = u64>;
    #[rpc(notices)]
    async fn told_of_nothing(&self) -> u64;
    #[rpc(ordered, exclusive)]
    async fn two_orders(&self) -> u64;
}

#[rpc_service]
trait Progressing {
    #[rpc(subscription, style = "progress", unsubscribe = "stop")]
    async fn ended(&self) -> impl Stream<Item = rpc::Progress<u64, u64>>;
    #[rpc(subscription, style = "progress", params = "by_position")]
    async fn by_position(&self, n: u64) -> impl Stream<Item = rpc::Progress<u64, u64>>;
    #[rpc(subscription, token = "on")]
    async fn no_work(&self) -> impl Stream<Item = u64>;
}

#[rpc_service]
trait NoProgress {
    #[rpc(subscription, style = "progress")]
    async fn numbers(&self) -> impl Stream<Item = u64>;
}

#[rpc_service]
trait EndedByAnother {
    #[rpc(subscription)]
    async fn subscribe(&self) -> impl Stream<Item = u64>;
    async fn unsubscribe(&self, id: u64) -> bool;
}

fn main() {}
