//! What methods and parameters are called on the wire.

use rpc::{BindError, Limits, MethodInfo, ParamInfo, Server, Service, rpc_service};
use rpc_tests::Raw;

use super::recorder::Recorder;

#[rpc_service(namespace = "eth", rename_all = "camelCase", params = "by_name")]
trait Chain {
    async fn get_balance(&self, block_number: u64, #[rpc(name = "who_asks")] who_asks: &str) -> u64;
    #[rpc(name = "chain_id")]
    async fn chain(&self) -> u64;
    async fn r#type(&self, r#as: u8) -> u64;
}

struct MyChain;

impl Chain for MyChain {
    async fn get_balance(&self, block_number: u64, _: &str) -> u64 {
        block_number
    }
    async fn chain(&self) -> u64 {
        1
    }
    async fn r#type(&self, r#as: u8) -> u64 {
        r#as.into()
    }
}

fn names(methods: &[MethodInfo]) -> Vec<&str> {
    methods.iter().map(MethodInfo::name).collect()
}

#[tokio::test(start_paused = true)]
async fn names_are_spelled_as_asked_unless_they_are_given() {
    assert_eq!(names(ChainServer::<MyChain>::METHODS), ["eth_getBalance", "eth_chain_id", "eth_type"]);
    let params = ChainServer::<MyChain>::METHODS[0].params().iter().map(ParamInfo::name);
    assert_eq!(params.collect::<Vec<_>>(), ["blockNumber", "who_asks"]);

    let recorder = Recorder::answering(0);
    let chain = ChainClient::from(recorder.clone());
    chain.get_balance(7, "me").await.expect("an answer");
    assert_eq!(recorder.message(), r#"eth_getBalance {"blockNumber":7,"who_asks":"me"}"#);

    let (mut peer, _session) = Raw::peer_of(ChainServer::new(MyChain), Limits::client());
    peer.send(
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{"who_asks":"me","blockNumber":7}}"#,
    )
    .await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"eth_type","params":{"as":8}}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":8}"#).await;
}

#[rpc_service(rename_all = "SCREAMING-KEBAB-CASE")]
trait Loud {
    fn go_away(&self, right_now: bool);
}

struct Anything;

impl Loud for Anything {
    fn go_away(&self, _: bool) {}
}

#[test]
fn spelling_needs_no_namespace() {
    let [method] = LoudServer::<Anything>::METHODS else { panic!("one method") };
    assert_eq!((method.name(), method.params()[0].name()), ("GO-AWAY", "RIGHT-NOW"));
}

#[rpc_service(namespace = "blockchain.transaction", separator = ".")]
trait Transactions {
    #[rpc(alias = "transaction.get", alias = "blockchain.get")]
    async fn get(&self, id: &str) -> String;
}

struct Found;

impl Transactions for Found {
    async fn get(&self, id: &str) -> String {
        format!("found {id}")
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_is_found_by_all_its_names_and_called_by_the_first() {
    let [method] = TransactionsServer::<Found>::METHODS else { panic!("one method") };
    assert_eq!(method.aliases(), ["transaction.get", "blockchain.get"]);

    let (mut peer, _session) = Raw::peer_of(TransactionsServer::new(Found), Limits::client());
    for (id, name) in ["blockchain.transaction.get", "transaction.get", "blockchain.get"].iter().enumerate() {
        let reply =
            peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{name}","params":["x"]}}"#)).await;
        assert_eq!(reply, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"found x"}}"#));
    }

    let recorder = Recorder::answering("found");
    TransactionsClient::from(recorder.clone()).get("x").await.expect("an answer");
    assert_eq!(recorder.message(), r#"blockchain.transaction.get ["x"]"#);
}

#[rpc_service]
trait Taken {
    #[rpc(name = "blockchain.get")]
    fn get(&self);
}

impl Taken for Anything {
    fn get(&self) {}
}

#[test]
fn an_alias_cannot_be_the_name_of_another_services_method() {
    for server in [
        Server::builder().service(TransactionsServer::new(Found)).service(TakenServer::new(Anything)).build(),
        Server::builder().service(TakenServer::new(Anything)).service(TransactionsServer::new(Found)).build(),
    ] {
        let error: BindError = server.map(drop).expect_err("two of one name");
        assert!(error.to_string().contains("`blockchain.get`"), "{error}");
    }
    assert_eq!(TakenServer::<Anything>::declared().len(), 1);
}
