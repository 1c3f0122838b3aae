//! Two sides that serve the same, and subscribe to each other: items come under the name of a method that is served here, too.

use futures::{StreamExt, stream};
use rpc::{
    Context, ErrorObject, Limits, MethodInfo, Params, Router, SubscriptionInfo, SubscriptionStyle, testing,
};
use rpc_tests::settled;

/// More than the errors that `Limits::server()` forgives.
const ITEMS: u64 = 500;

/// The items of `count` are called as itself, which is what a trait gives where it says nothing else.
fn router() -> Router {
    let info = |style, name| {
        MethodInfo::request(name).with_subscription(SubscriptionInfo::new(style, name).with_unsubscribe(
            match style {
                SubscriptionStyle::Electrum => "unstatus",
                _ => "uncount",
            },
        ))
    };
    let items = async |params: Params, _: Context| {
        let () = params.parse()?;
        Ok::<_, ErrorObject>(stream::iter(0..ITEMS))
    };
    Router::new()
        .subscription(info(SubscriptionStyle::PubSub, "count"), items)
        .subscription(info(SubscriptionStyle::Electrum, "status"), items)
}

#[tokio::test(start_paused = true)]
async fn items_are_not_taken_for_requests_of_what_is_served_under_their_name() {
    for style in [SubscriptionStyle::PubSub, SubscriptionStyle::Electrum] {
        let name = if style == SubscriptionStyle::PubSub { "count" } else { "status" };
        let (session, peer) = testing::pair_with(router(), Limits::server(), router(), Limits::server());
        for (here, there) in [(&session, &peer), (&peer, &session)] {
            let items = here.subscribe::<u64>(name, ()).style(style).await.expect("begun");
            let items: Vec<u64> = items.map(|item| item.expect("a number")).collect().await;
            assert_eq!(items, (0..ITEMS).collect::<Vec<u64>>());
            settled().await;
            assert!(here.close_reason().is_none(), "{:?}", here.close_reason());
            assert!(there.close_reason().is_none(), "{:?}", there.close_reason());
        }
    }
}
