//! The wire styles as the protocols have them that they come from, both ways: their own examples, word for word where they have some.
//! (Those of language servers and of the Model Context Protocol stand with the other tests of progress.)

use std::sync::Mutex;

use futures::{Stream, StreamExt, channel::mpsc};
use rpc::{Limits, Session, Subscription, rpc_service};
use rpc_tests::{Raw, settled};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

/// A block of Ethereum's, cut short: <https://geth.ethereum.org/docs/interacting-with-geth/rpc/pubsub#newheads>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    number: String,
    parent_hash: String,
    timestamp: String,
}

fn head() -> Head {
    Head {
        number: "0x1348c9".to_owned(),
        parent_hash: "0x7736fab79e05dc611604d22470dadad26f56fe494421b5b333de816ce1f25701".to_owned(),
        timestamp: "0x56ffeff8".to_owned(),
    }
}

#[rpc_service(namespace = "eth", separator = "_")]
trait Eth {
    #[rpc(subscription, item = "subscription", unsubscribe = "unsubscribe")]
    async fn subscribe(&self, kind: &str) -> impl Stream<Item = Head>;
}

/// <https://electrumx.readthedocs.io/en/latest/protocol-methods.html>
#[rpc_service(namespace = "blockchain", separator = ".")]
trait Electrum {
    #[rpc(subscription, style = "electrum", name = "headers.subscribe")]
    async fn headers(&self) -> impl Stream<Item = Tip>;

    #[rpc(
        subscription,
        style = "electrum",
        name = "scripthash.subscribe",
        unsubscribe = "scripthash.unsubscribe"
    )]
    async fn status(&self, scripthash: &str) -> impl Stream<Item = Option<String>>;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tip {
    height: u32,
    hex: String,
}

fn tip(height: u32) -> Tip {
    Tip { height, hex: "00890020".to_owned() }
}

const SCRIPTHASH: &str = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";
const STATUS: &str = "a6ef6b5bbc6b54e43a23e8e0d8fd7f1d1e5b4b1c8bd1e8c1fba8a64d5ee5fbb2";

/// One stream, which the test fills.
struct Fed<T>(Mutex<Option<mpsc::UnboundedReceiver<T>>>);

fn fed<T>() -> (mpsc::UnboundedSender<T>, Fed<T>) {
    let (sender, receiver) = mpsc::unbounded();
    (sender, Fed(Mutex::new(Some(receiver))))
}

impl<T> Fed<T> {
    fn take(&self) -> mpsc::UnboundedReceiver<T> {
        self.0.lock().expect("no panic").take().expect("one subscriber")
    }
}

impl Eth for Fed<Head> {
    async fn subscribe(&self, kind: &str) -> impl Stream<Item = Head> {
        assert_eq!(kind, "newHeads");
        self.take()
    }
}

struct Server {
    tips: Fed<Tip>,
    statuses: Fed<Option<String>>,
}

impl Electrum for Server {
    async fn headers(&self) -> impl Stream<Item = Tip> {
        self.tips.take()
    }

    async fn status(&self, scripthash: &str) -> impl Stream<Item = Option<String>> {
        assert_eq!(scripthash, SCRIPTHASH);
        self.statuses.take()
    }
}

#[tokio::test(start_paused = true)]
async fn we_serve_new_heads_as_a_node_of_ethereums_does() {
    let (heads, service) = fed();
    let (mut wallet, session) = Raw::peer_of(EthServer::new(service), Limits::server());
    let reply =
        wallet.ask(r#"{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]}"#).await;
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let id = reply["result"].as_str().expect("an id").to_owned();
    // As long as theirs, 0x9ce59a13059e417087c02d3236a0b1cc.
    assert!(id.len() == 34 && id.starts_with("0x"), "{id}");
    assert!(id[2..].bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");

    heads.unbounded_send(head()).expect("a stream");
    let item: Value = serde_json::from_str(&wallet.line().await.expect("a block")).expect("JSON");
    let expected = json!({
        "jsonrpc": "2.0", "method": "eth_subscription", "params": {
            "subscription": id,
            "result": {
                "number": "0x1348c9",
                "parentHash": "0x7736fab79e05dc611604d22470dadad26f56fe494421b5b333de816ce1f25701",
                "timestamp": "0x56ffeff8",
            },
        },
    });
    assert_eq!(item, expected);

    let end = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_unsubscribe","params":["{id}"]}}"#);
    assert_eq!(wallet.ask(&end).await, r#"{"jsonrpc":"2.0","id":1,"result":true}"#);
    assert!(heads.is_closed(), "the stream was dropped");
    assert_eq!(session.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn we_follow_new_heads_of_a_node_of_ethereums() {
    let (mut node, session) = Raw::peer_of((), Limits::client());
    let client = EthClient::from(session.clone());
    let answer = async {
        node.expect(r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#).await;
        node.send(r#"{"jsonrpc":"2.0","id":1,"result":"0x9ce59a13059e417087c02d3236a0b1cc"}"#).await;
    };
    let mut heads: Subscription<Head> = tokio::join!(client.subscribe("newHeads"), answer).0.expect("begun");
    // The order of the members is that of their documentation, where the id stands last.
    node.send(concat!(
        r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"result":{"difficulty":"0x15d9223a23aa","#,
        r#""extraData":"0xd983010305844765746887676f312e342e328777696e646f7773","gasLimit":"0x47e7c4","#,
        r#""miner":"0xf8b483dba2c3b7176a3da549ad41a48bb3121069","nonce":"0x084149998194cc5f","number":"0x1348c9","#,
        r#""parentHash":"0x7736fab79e05dc611604d22470dadad26f56fe494421b5b333de816ce1f25701","#,
        r#""timestamp":"0x56ffeff8"},"subscription":"0x9ce59a13059e417087c02d3236a0b1cc"}}"#
    ))
    .await;
    assert_eq!(heads.next().await.expect("a block").expect("a block"), head());
    drop(heads);
    node.expect(concat!(
        r#"{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","#,
        r#""params":["0x9ce59a13059e417087c02d3236a0b1cc"]}"#
    ))
    .await;
    node.send(r#"{"jsonrpc":"2.0","id":2,"result":true}"#).await;
    settled().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn we_serve_headers_and_statuses_as_a_server_of_electrums_does() {
    let ((tips, headers), (changes, statuses)) = (fed(), fed());
    let service = ElectrumServer::new(Server { tips: headers, statuses });
    let (mut wallet, session) = Raw::peer_of(service, Limits::server());
    tips.unbounded_send(tip(520_481)).expect("a stream");
    let current = wallet.ask(r#"{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","id":0}"#).await;
    assert_eq!(current, r#"{"jsonrpc":"2.0","id":0,"result":{"height":520481,"hex":"00890020"}}"#);
    tips.unbounded_send(tip(520_482)).expect("a stream");
    wallet
        .expect(concat!(
            r#"{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","#,
            r#""params":[{"height":520482,"hex":"00890020"}]}"#
        ))
        .await;

    // There is no history yet.
    changes.unbounded_send(None).expect("a stream");
    let ask = |method, id| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"blockchain.scripthash.{method}","params":["{SCRIPTHASH}"],"id":{id}}}"#
        )
    };
    assert_eq!(wallet.ask(&ask("subscribe", 1)).await, r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
    changes.unbounded_send(Some(STATUS.to_owned())).expect("a stream");
    wallet
        .expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"blockchain.scripthash.subscribe","params":["{SCRIPTHASH}","{STATUS}"]}}"#
        ))
        .await;
    // Whether there was one: <https://electrumx.readthedocs.io/en/latest/protocol-methods.html#blockchain-scripthash-unsubscribe>.
    for (id, was_there) in [(2, true), (3, false)] {
        let answer = wallet.ask(&ask("unsubscribe", id)).await;
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{was_there}}}"#));
    }
    assert!(changes.is_closed() && !tips.is_closed());
    assert_eq!(session.subscriptions_served(), 1);
}

/// Asks for a subscription, to which a server of Electrum's gives `current`: its members stand in the order that aiorpcX writes.
async fn followed<T>(
    server: &mut Raw<DuplexStream>,
    request: &str,
    current: &str,
    subscribe: impl Future<Output = Result<Subscription<T>, rpc::CallError>>,
) -> Subscription<T> {
    let answer = async {
        server.expect(request).await;
        let request: Value = serde_json::from_str(request).expect("JSON");
        server.send(&format!(r#"{{"jsonrpc":"2.0","result":{current},"id":{}}}"#, request["id"])).await;
    };
    tokio::join!(subscribe, answer).0.expect("begun")
}

fn electrum(session: &Session) -> ElectrumClient {
    ElectrumClient::from(session.clone())
}

#[tokio::test(start_paused = true)]
async fn we_follow_headers_and_statuses_of_a_server_of_electrums() {
    let (mut server, session) = Raw::peer_of((), Limits::client());
    let client = electrum(&session);
    let mut tips = followed(
        &mut server,
        r#"{"jsonrpc":"2.0","id":1,"method":"blockchain.headers.subscribe"}"#,
        r#"{"hex":"00890020","height":520481}"#,
        client.headers().into_future(),
    )
    .await;
    let mut statuses = followed(
        &mut server,
        &format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"blockchain.scripthash.subscribe","params":["{SCRIPTHASH}"]}}"#
        ),
        "null",
        client.status(SCRIPTHASH).into_future(),
    )
    .await;
    for (method, params) in [
        ("headers", json!([{"hex": "00890020", "height": 520_482}])),
        ("scripthash", json!([SCRIPTHASH, STATUS])),
    ] {
        let item =
            json!({"jsonrpc": "2.0", "method": format!("blockchain.{method}.subscribe"), "params": params});
        server.send(&item.to_string()).await;
    }
    for height in [520_481, 520_482] {
        assert_eq!(tips.next().await.expect("a header").expect("a header"), tip(height));
    }
    for status in [None, Some(STATUS.to_owned())] {
        assert_eq!(statuses.next().await.expect("a status").expect("a status"), status);
    }
    drop(statuses);
    server
        .expect(&format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"blockchain.scripthash.unsubscribe","params":["{SCRIPTHASH}"]}}"#
        ))
        .await;
}
