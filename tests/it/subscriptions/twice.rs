//! The same subscription asked for twice: where its parameters are what it is known by, the peer has one.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use rpc::{Limits, Session, Subscription, SubscriptionStyle, rpc_service};
use rpc_tests::{Raw, is_pending, settled};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

const REQUEST: &str = r#""method":"tip","params":["main"]}"#;

/// Asks for it, and has the peer answer with `value`.
async fn tip<T>(session: &Session, peer: &mut Raw<T>, id: u32, value: u32) -> Subscription<u32>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let subscribe = session
        .subscribe::<u32>("tip", ("main",))
        .style(SubscriptionStyle::Electrum)
        .unsubscribe_with("tip.stop")
        .into_future();
    let answer = async {
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},{REQUEST}"#)).await;
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{value}}}"#)).await;
    };
    tokio::join!(subscribe, answer).0.expect("it is there")
}

async fn next(subscription: &mut Subscription<u32>) -> u32 {
    let item = timeout(Duration::from_secs(3600), subscription.next()).await.expect("something comes");
    item.expect("it goes on").expect("an item")
}

#[tokio::test(start_paused = true)]
async fn each_gets_every_item_and_the_last_one_who_leaves_ends_it() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut first = tip(&session, &mut peer, 1, 7).await;
    let mut second = tip(&session, &mut peer, 2, 8).await;
    assert_eq!(session.subscriptions(), 2);
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",9]}"#).await;
    assert_eq!([next(&mut first).await, next(&mut first).await], [7, 9]);
    assert_eq!([next(&mut second).await, next(&mut second).await], [8, 9]);

    drop(first);
    peer.expect_silence().await;
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",10]}"#).await;
    assert_eq!(next(&mut second).await, 10);
    drop(second);
    peer.expect(r#"{"jsonrpc":"2.0","id":3,"method":"tip.stop","params":["main"]}"#).await;
    assert_eq!(session.subscriptions(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_between_two_items_gets_the_second_and_one_who_leaves_takes_none_from_the_other() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut first = tip(&session, &mut peer, 1, 7).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",8]}"#).await;
    assert_eq!([next(&mut first).await, next(&mut first).await], [7, 8]);
    let mut second = tip(&session, &mut peer, 2, 8).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",9]}"#).await;
    assert_eq!([next(&mut first).await, next(&mut second).await, next(&mut second).await], [9, 8, 9]);
    drop(second);
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",10]}"#).await;
    assert_eq!(next(&mut first).await, 10);
    let mut third = tip(&session, &mut peer, 3, 10).await;
    // The one who has taken the last item goes; the other one is there.
    drop(first);
    peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",11]}"#).await;
    assert_eq!([next(&mut third).await, next(&mut third).await], [10, 11]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_ends_both() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let first = tip(&session, &mut peer, 1, 7).await;
    let second = tip(&session, &mut peer, 2, 8).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"rpc.ended","params":{"subscription":["tip",["main"]]}}"#).await;
    for (subscription, value) in [(first, 7), (second, 8)] {
        let items: Vec<u32> = subscription.map(|item| item.expect("an item")).collect().await;
        assert_eq!(items, [value]);
    }
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_asked_for_again_is_not_ended_by_the_one_before() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let first = tip(&session, &mut peer, 1, 7).await;
    let mut second =
        Box::pin(session.subscribe::<u32>("tip", ("main",)).style(SubscriptionStyle::Electrum).into_future());
    assert!(is_pending(&mut second));
    drop(first);
    peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":2,{REQUEST}"#)).await;
    peer.expect_silence().await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":8}"#).await;
    settled().await;
    let mut second = second.now_or_never().expect("an answer").expect("it is there");
    assert_eq!(next(&mut second).await, 8);
}

#[tokio::test(start_paused = true)]
async fn the_call_that_ends_it_is_forgotten_where_the_peer_does_not_answer() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    drop(tip(&session, &mut peer, 1, 7).await);
    assert_eq!(session.calls_in_flight(), 1, "the call that ends it");
    let patience = Limits::client().call_timeout.expect("there is one");
    tokio::time::advance(patience).await;
    settled().await;
    assert_eq!(session.calls_in_flight(), 0);
}

#[rpc_service]
trait Chain {
    #[rpc(subscription, style = "electrum", params = "by_name")]
    async fn tip(&self, chain: &str) -> impl futures::Stream<Item = u32>;
}

#[tokio::test(start_paused = true)]
async fn items_are_by_position_where_the_parameters_were_by_name() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let client = ChainClient::from(session);
    let answer = async {
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"tip","params":{"chain":"main"}}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","method":"tip","params":["main",2]}"#).await;
    };
    let mut tip = tokio::join!(client.tip("main"), answer).0.expect("it is there");
    assert_eq!([next(&mut tip).await, next(&mut tip).await], [1, 2]);
}
