//! Methods that return streams.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use futures::{Stream, StreamExt, stream};
use rpc::{
    CallError, Context, Order, Overflow, RpcError, Session, Subscription, SubscriptionError,
    SubscriptionStyle, rpc_service, testing,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum TickError {
    #[error("too fast: {every} ms")]
    #[rpc(code = 1)]
    TooFast { every: u64 },
    #[error("the clock has stopped")]
    #[rpc(code = 2)]
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tick {
    n: u64,
}

type Ticking<T> = Result<T, TickError>;

#[rpc_service(namespace = "clock", separator = ".")]
trait Clock {
    /// Refuses in a way of its own.
    #[rpc(subscription)]
    async fn ticks(&self, every: u64) -> Result<impl Stream<Item = Tick>, TickError>;

    /// Under an alias, with items that fail, borrowing what it is given.
    #[rpc(subscription, overflow = "drop_oldest")]
    async fn names(
        &self,
        of: &str,
        #[rpc(context)] cx: &Context,
    ) -> Ticking<impl Stream<Item = Ticking<String>>>;

    /// A plain function, which cannot refuse.
    #[rpc(subscription, name = "subscribe", item = "subscription", unsubscribe = "stop")]
    fn numbers(&self) -> impl Stream<Item = u64>;

    #[rpc(subscription, style = "electrum", name = "status.subscribe")]
    async fn status(&self, name: &str) -> impl Stream<Item = Option<String>>;

    #[rpc(ordered)]
    async fn write(&self);

    #[rpc(exclusive)]
    async fn compact(&self);
}

struct MyClock {
    began: AtomicU64,
}

impl Clock for MyClock {
    async fn ticks(&self, every: u64) -> Result<impl Stream<Item = Tick>, TickError> {
        if every < 10 {
            return Err(TickError::TooFast { every });
        }
        let began = self.began.fetch_add(1, SeqCst);
        Ok(stream::iter(0..).map(move |n| Tick { n: began + n * every }))
    }

    async fn names(&self, of: &str, cx: &Context) -> Ticking<impl Stream<Item = Ticking<String>>> {
        assert_eq!(cx.method(), "clock.names");
        // The stream borrows the parameter for as long as it lives.
        let names = of.split(' ').map(|name| match name {
            "stop" => Err(TickError::Stopped),
            name => Ok(name.to_owned()),
        });
        Ok(stream::iter(names))
    }

    fn numbers(&self) -> impl Stream<Item = u64> {
        stream::iter(0..3).map(|n| n + self.began.load(SeqCst))
    }

    async fn status(&self, name: &str) -> impl Stream<Item = Option<String>> {
        let first = name.to_owned();
        stream::iter([None, Some(first)]).chain(stream::pending())
    }

    async fn write(&self) {}

    async fn compact(&self) {}
}

fn clock() -> (ClockClient, Session, Arc<MyClock>) {
    let clock = Arc::new(MyClock { began: AtomicU64::new(0) });
    let (session, served) = testing::pair((), ClockServer::from(Arc::clone(&clock)));
    (ClockClient::from(session), served, clock)
}

#[test]
fn the_table_says_what_subscriptions_are_called() {
    let methods = ClockServer::<MyClock>::METHODS;
    let described: Vec<_> = methods
        .iter()
        .filter_map(|method| Some((method.name(), method.subscription()?)))
        .map(|(name, of)| (name, of.item(), of.unsubscribe().unwrap_or_default(), of.style(), of.overflow()))
        .collect();
    let (pubsub, electrum) = (SubscriptionStyle::PubSub, SubscriptionStyle::Electrum);
    assert_eq!(
        described,
        [
            ("clock.ticks", "clock.ticks", "clock.unsubscribe_ticks", pubsub, Overflow::Wait),
            ("clock.names", "clock.names", "clock.unsubscribe_names", pubsub, Overflow::DropOldest),
            ("clock.subscribe", "clock.subscription", "clock.stop", pubsub, Overflow::Wait),
            (
                "clock.status.subscribe",
                "clock.status.subscribe",
                "clock.status.unsubscribe",
                electrum,
                Overflow::Wait
            ),
        ]
    );
    let orders: Vec<Order> = methods[4..].iter().map(rpc::MethodInfo::order).collect();
    assert_eq!(orders, [Order::Ordered, Order::Exclusive]);
}

#[rpc_service]
trait Few {
    #[rpc(subscription, notices)]
    async fn told(&self) -> impl Stream<Item = u8>;

    #[rpc(subscription)]
    async fn untold(&self) -> impl Stream<Item = u8>;
}

#[rpc_service(notices)]
trait All {
    async fn none(&self) -> u8;

    #[rpc(subscription, style = "electrum")]
    async fn told(&self) -> impl Stream<Item = u8>;
}

#[test]
fn a_trait_or_a_method_may_ask_for_notices() {
    let asks = |methods: &[rpc::MethodInfo]| -> Vec<_> {
        methods.iter().map(|method| method.subscription().is_some_and(|of| of.notices())).collect()
    };
    assert_eq!(asks(FewClient::<Session>::METHODS), [true, false]);
    assert_eq!(asks(AllClient::<Session>::METHODS), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn items_are_typed_and_a_refusal_is_the_methods_own() {
    let (clock, served, _) = clock();
    let mut ticks: Subscription<Tick> = clock.ticks(10).overflow(Overflow::Wait).await.expect("begun");
    for n in 0..5 {
        assert_eq!(ticks.next().await.expect("an item").expect("a tick"), Tick { n: n * 10 });
    }
    let refused = clock.ticks(9).await;
    assert!(matches!(refused, Err(CallError::Service(TickError::TooFast { every: 9 }))));
    drop(ticks);
    rpc_tests::settled().await;
    assert_eq!(served.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_an_error_ends_the_stream_as_what_it_was() {
    let (clock, ..) = clock();
    let names: Subscription<String, TickError> = clock.names("ann bob stop carol").await.expect("begun");
    let names: Vec<_> = names.collect().await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0].as_deref().expect("a name"), "ann");
    assert!(matches!(names[2], Err(SubscriptionError::Service(TickError::Stopped))));
}

#[tokio::test(start_paused = true)]
async fn a_plain_function_may_give_a_stream() {
    let (clock, _, service) = clock();
    service.began.store(7, SeqCst);
    let numbers: Vec<u64> =
        clock.numbers().await.expect("begun").map(|item| item.expect("a number")).collect().await;
    assert_eq!(numbers, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn the_style_of_electrum_is_typed_too() {
    let (clock, ..) = clock();
    let mut status = clock.status("ann").buffer(10).await.expect("begun");
    assert_eq!(status.next().await.expect("an item").expect("a status"), None);
    assert_eq!(status.next().await.expect("an item").expect("a status").as_deref(), Some("ann"));
}
