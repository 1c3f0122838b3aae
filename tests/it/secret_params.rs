//! Parameters that are secret are in no event, whichever way they go.

use futures::{Stream, StreamExt as _, stream};
use rpc::{Limits, MethodInfo, ParamInfo, Params, Router, rpc_service, testing};
use rpc_tests::{Event, Events, Raw, settled};
use serde::{Deserialize, Serialize};

const SECRET: &str = "hunter2";

#[derive(Debug, Serialize, Deserialize)]
struct Card {
    number: String,
}

#[rpc_service]
trait Vault {
    async fn log_in(&self, name: &str, #[rpc(secret)] password: &str) -> bool;
    #[rpc(params = "by_name", alias = "open_vault")]
    async fn open(&self, name: &str, #[rpc(secret, default)] key: Option<&str>) -> bool;
    async fn pay(&self, amount: u8, #[rpc(rest, secret)] cards: Vec<Card>) -> u8;
    async fn replace(&self, #[rpc(whole, secret)] card: Card);
    #[rpc(notification)]
    async fn forget(&self, #[rpc(secret)] key: &[&str]);
    #[rpc(subscription, style = "electrum", unsubscribe = "unfollow")]
    async fn follow(&self, #[rpc(secret)] key: &str) -> impl Stream<Item = u8>;
    async fn tell(&self, text: &str) -> String;
}

struct MyVault;

impl Vault for MyVault {
    async fn log_in(&self, _: &str, password: &str) -> bool {
        password == SECRET
    }
    async fn open(&self, _: &str, key: Option<&str>) -> bool {
        key == Some(SECRET)
    }
    async fn pay(&self, _: u8, cards: Vec<Card>) -> u8 {
        u8::try_from(cards.len()).expect("few")
    }
    async fn replace(&self, card: Card) {
        assert_eq!(card.number, SECRET);
    }
    async fn forget(&self, _: &[&str]) {}
    async fn follow(&self, key: &str) -> impl Stream<Item = u8> {
        let goes_on = key != SECRET;
        stream::iter([1, 2]).chain(if goes_on { stream::pending().boxed() } else { stream::empty().boxed() })
    }
    async fn tell(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// What is shown of the messages that went either way.
fn texts(events: &Events, message: &str) -> Vec<String> {
    events.of(message).iter().map(|event| event.field("text").to_owned()).collect()
}

fn holds(event: &Event, text: &str) -> bool {
    event.message.contains(text) || event.fields.values().any(|field| field.contains(text))
}

#[tokio::test(start_paused = true)]
async fn no_event_has_a_secret_that_went_by_a_session() {
    let events = Events::capture();
    let (session, _peer) = testing::pair((), VaultServer::new(MyVault));
    let vault = VaultClient::from(session.clone());
    assert!(vault.log_in("ann", SECRET).await.expect("a reply"));
    assert!(vault.open("ann", Some(SECRET)).await.expect("a reply"));
    let card = || Card { number: SECRET.to_owned() };
    assert_eq!(vault.pay(7, vec![card(), card()]).await.expect("a reply"), 2);
    vault.replace(card()).await.expect("a reply");
    vault.forget(&["a", SECRET]).await.expect("it is open");
    let (first, second) =
        session.batch((vault.log_in("bob", SECRET), vault.tell("in the open"))).await.expect("sent");
    assert!(first.expect("a reply") && second.expect("a reply") == "in the open");
    let mut followed = vault.follow(SECRET).await.expect("it begins");
    assert!(matches!(followed.next().await, Some(Ok(1))));
    assert_eq!(followed.count().await, 1);
    // One that is ended from here.
    let longer = format!("{SECRET} and more");
    let mut followed = vault.follow(&longer).await.expect("it begins");
    assert!(matches!(followed.next().await, Some(Ok(1))));
    drop(followed);
    settled().await;

    let all = events.all();
    let leaks: Vec<_> = all.iter().filter(|event| holds(event, SECRET)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    // What stands beside them is shown, by the side that sends and by the one that receives.
    for expected in [
        r#"{"jsonrpc":"2.0","id":1,"method":"log_in","params":["ann","…"]}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"open","params":{"name":"ann","key":"…"}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"pay","params":[7,"…","…"]}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"replace","params":"…"}"#,
        r#"{"jsonrpc":"2.0","method":"forget","params":["…"]}"#,
    ] {
        for message in ["message sent", "message received"] {
            let texts = texts(&events, message);
            assert!(texts.iter().any(|text| text == expected), "{message}: {expected} in {texts:#?}");
        }
    }
    let batch =
        texts(&events, "message received").into_iter().find(|text| text.starts_with('[')).expect("a batch");
    assert!(batch.contains(r#"["bob","…"]"#) && batch.contains("in the open"), "{batch}");
    assert!(texts(&events, "message sent").iter().any(|text| text.contains(r#""unfollow","params":["…"]"#)));
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_another_way_or_cannot_be_told_apart_is_left_out() {
    let (mut peer, _session) = Raw::peer_of(VaultServer::new(MyVault), Limits::server());
    let events = Events::capture();
    for (sent, shown) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"open_vault","params":["ann","hunter2"]}"#, r#"["ann","…"]"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"open","params":{"nam":"hunter2"}}"#, r#"{"nam":"…"}"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"log\u005fin","params":"hunter2"}"#, r#""params":"…""#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"log_in","params":["ann","hunter2"}"#, "may hold a secret"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"log\u005fin","params":["hunter2"}"#, "may hold a secret"),
        // No secret is in these.
        (r#"{"jsonrpc":"2.0","id":1,"method":"tell","params":["log_in"]}"#, r#""params":["log_in"]}"#),
        ("rubbish", "rubbish"),
    ] {
        peer.ask(sent).await;
        let received = texts(&events, "message received").pop().expect("it is shown");
        assert!(received.contains(shown) && !received.contains(SECRET), "{sent}: {received}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_keeps_what_its_table_calls_secret() {
    const PIN: MethodInfo = MethodInfo::request("change_pin").with_params(&[ParamInfo::new("pin").secret()]);
    assert!(PIN.params()[0].is_secret());
    let router = Router::new().method(PIN, async |_: Params, _: rpc::Context| Ok::<_, rpc::ErrorObject>(()));
    let events = Events::capture();
    let (session, _peer) = testing::pair((), router);
    session.call::<()>("change_pin", (SECRET,)).await.expect("a reply");
    assert!(events.all().iter().all(|event| !holds(event, SECRET)));
    assert_eq!(
        texts(&events, "message received")[0],
        r#"{"jsonrpc":"2.0","id":1,"method":"change_pin","params":["…"]}"#
    );
}
