//! Where a call has no parameters, its message has no `params`: but for peers that want one, and for JSON-RPC 1.0.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use rpc::{
    Call, CallError, Caller, Connector, EmptyParams, HttpClientBuilder, KeepAlive, Limits, Notify, Progress,
    Protocol, Server, Session, SubscriptionStyle, Unsupported, WithEmptyParams, rpc_service,
};
use rpc_tests::{Raw, http::HttpPeer, is_pending, settled};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, time::timeout};

#[rpc_service]
trait Plain {
    async fn none(&self) -> u8;

    #[rpc(params = "by_name")]
    async fn named(&self) -> u8;

    async fn rest(&self, #[rpc(rest)] all: &[u8]) -> u8;

    async fn whole(&self, #[rpc(whole)] all: Option<Vec<u8>>) -> u8;

    #[rpc(notification)]
    async fn note(&self);
}

/// A session that sends as `with` says, and its peer.
async fn sending(with: impl FnOnce(Connector) -> Connector) -> (Raw<DuplexStream>, Session) {
    // Calls are given up here as soon as they were sent.
    Raw::peer_with(|connector| with(connector.cancellation(None))).await
}

/// What is sent by the first poll of `call`.
async fn sent<F: IntoFuture>(peer: &mut Raw<DuplexStream>, call: F) -> Value {
    let mut call = Box::pin(call.into_future());
    let _ = is_pending(&mut call);
    serde_json::from_str(&peer.line().await.expect("a message")).expect("JSON")
}

/// The `params` of each kind of message without parameters, as it stands on the wire: `Null` where there is no such member.
async fn params_of_each_kind<C: Caller + Clone>(peer: &mut Raw<DuplexStream>, caller: C) -> BTreeSet<String> {
    let client = PlainClient::from(caller.clone());
    let messages = [
        sent(peer, client.none()).await,
        sent(peer, client.named()).await,
        sent(peer, client.rest(&[])).await,
        sent(peer, client.whole(None)).await,
        sent(peer, client.note()).await,
        sent(peer, Call::<_, u8>::untyped(&caller, "m", ())).await,
        sent(peer, Notify::untyped(&caller, "n", ())).await,
    ];
    messages
        .iter()
        .map(|message| message.get("params").map_or("absent".to_owned(), Value::to_string))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_without_parameters_has_no_member_for_them_unless_it_is_1_0() {
    for (protocol, expected) in [
        (Protocol::V2, "absent"),
        (Protocol::Loose, "absent"),
        (Protocol::Detect, "absent"),
        (Protocol::V1, "[]"),
    ] {
        let (mut peer, session) = sending(|connector| connector.protocol(protocol)).await;
        let found = params_of_each_kind(&mut peer, session).await;
        assert_eq!(found, [expected.to_owned()].into(), "{protocol:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_detected_decides_and_not_how_it_was_before() {
    for (first, expected) in [
        (r#"{"jsonrpc":"2.0","method":"hello"}"#, "absent"),
        (r#"{"jsonrpc":"1.0","method":"hello","params":[],"id":null}"#, "[]"),
        // It may be 1.0, whose peers want the member.
        (r#"{"method":"hello","params":[],"id":null}"#, "[]"),
    ] {
        let (mut peer, session) = sending(|connector| connector.protocol(Protocol::Detect)).await;
        peer.send(first).await;
        settled().await;
        assert_eq!(params_of_each_kind(&mut peer, session).await, [expected.to_owned()].into(), "{first}");
    }
    // What the connection says outlives it.
    let (mut peer, session) =
        sending(|connector| connector.empty_params(EmptyParams::Object).protocol(Protocol::Detect)).await;
    assert_eq!(params_of_each_kind(&mut peer, session.clone()).await, ["{}".to_owned()].into());
    peer.send(r#"{"jsonrpc":"2.0","method":"hello"}"#).await;
    settled().await;
    assert_eq!(params_of_each_kind(&mut peer, session).await, ["{}".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_batch_are_no_different() {
    let (mut peer, session) = sending(|connector| connector).await;
    let client = PlainClient::from(session.clone());
    let batch = session.batch((client.none(), client.note(), session.call::<u8>("m", ((),))));
    assert_eq!(
        sent(&mut peer, batch).await,
        json!([
            {"jsonrpc": "2.0", "id": 1, "method": "none"},
            {"jsonrpc": "2.0", "method": "note"},
            {"jsonrpc": "2.0", "id": 2, "method": "m", "params": [null]},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_or_object_that_was_given_is_sent_as_it_is() {
    for empty in [EmptyParams::Absent, EmptyParams::Array, EmptyParams::Object] {
        let (mut peer, session) = sending(|connector| connector.empty_params(empty)).await;
        let client = PlainClient::from(session.clone());
        for message in [
            sent(&mut peer, session.call::<u8>("m", json!([]))).await,
            sent(&mut peer, session.call::<u8>("m", [0; 0])).await,
            sent(&mut peer, session.notify("m", Vec::<u8>::new())).await,
            sent(&mut peer, client.whole(Some(Vec::new()))).await,
        ] {
            assert_eq!(message["params"], json!([]), "{empty:?}: {message}");
        }
        for message in [
            sent(&mut peer, session.call::<u8>("m", json!({}))).await,
            sent(&mut peer, session.notify("m", BTreeMap::<u8, u8>::new())).await,
        ] {
            assert_eq!(message["params"], json!({}), "{empty:?}: {message}");
        }
    }
    let (_peer, session) = sending(|connector| connector.protocol(Protocol::V1)).await;
    let refused = session.call::<u8>("m", json!({})).await;
    assert!(
        matches!(refused, Err(CallError::Unsupported { source: Unsupported::NamedParams, .. })),
        "{refused:?}"
    );
}

#[rpc_service(empty_params = "object")]
trait Insists {
    async fn service(&self) -> u8;

    #[rpc(empty_params = "array")]
    async fn array(&self, #[rpc(rest)] _rest: Vec<u8>) -> u8;

    #[rpc(empty_params = "absent")]
    async fn absent(&self) -> u8;

    #[rpc(notification, empty_params = "array")]
    async fn note(&self);

    async fn one(&self, a: u8) -> u8;
}

/// The `params` of what `client` sends.
async fn insisted<C: Caller>(peer: &mut Raw<DuplexStream>, client: &InsistsClient<C>) -> [Value; 4] {
    [
        sent(peer, client.service()).await["params"].take(),
        sent(peer, client.array(vec![])).await["params"].take(),
        sent(peer, client.absent()).await["params"].take(),
        sent(peer, client.note()).await["params"].take(),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_method_goes_before_the_service_the_service_before_the_client_and_that_before_the_connection() {
    for (of_connection, params) in
        [(EmptyParams::Absent, "absent"), (EmptyParams::Array, "[]"), (EmptyParams::Object, "{}")]
    {
        let (mut peer, session) = sending(|connector| connector.empty_params(of_connection)).await;
        // Nothing but the connection says anything.
        assert_eq!(params_of_each_kind(&mut peer, session.clone()).await, [params.to_owned()].into());
        // A client says something else.
        for (of_client, params) in
            [(EmptyParams::Absent, "absent"), (EmptyParams::Array, "[]"), (EmptyParams::Object, "{}")]
        {
            let caller = WithEmptyParams::new(session.clone(), of_client);
            assert_eq!(params_of_each_kind(&mut peer, caller.clone()).await, [params.to_owned()].into());
            let expected = [json!({}), json!([]), Value::Null, json!([])];
            assert_eq!(insisted(&mut peer, &InsistsClient::from(caller)).await, expected);
        }
        let one = sent(&mut peer, InsistsClient::from(session).one(1)).await;
        assert_eq!(one["params"], json!([1]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_that_is_nearest_to_the_call_counts_also_for_batches() {
    let (mut peer, session) = sending(|connector| connector).await;
    let outer = WithEmptyParams::new(session, EmptyParams::Object);
    let inner = WithEmptyParams::new(outer, EmptyParams::Array);
    let batch = rpc::OutgoingBatch::new().call("a", &()).and_then(|batch| batch.notify("b", &()));
    assert_eq!(
        sent(&mut peer, inner.batch(batch.expect("written"))).await,
        json!([
            {"jsonrpc": "2.0", "id": 1, "method": "a", "params": []},
            {"jsonrpc": "2.0", "method": "b", "params": []},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn whatever_is_said_1_0_has_a_list() {
    for empty in [EmptyParams::Absent, EmptyParams::Array, EmptyParams::Object] {
        let (mut peer, session) =
            sending(|connector| connector.empty_params(empty).protocol(Protocol::V1)).await;
        assert_eq!(params_of_each_kind(&mut peer, session.clone()).await, ["[]".to_owned()].into());
        assert_eq!(insisted(&mut peer, &InsistsClient::from(session)).await, [(); 4].map(|()| json!([])));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_back_has_the_same_word() {
    for (empty, expected) in [(EmptyParams::Absent, "absent"), (EmptyParams::Array, "[]")] {
        let server =
            Server::builder().empty_params(empty).cancellation(None).build().expect("no services").start();
        let (here, there) = rpc::transport::memory(64 << 10);
        let session = server.attach(there);
        let mut peer = Raw::over(here);
        assert_eq!(params_of_each_kind(&mut peer, session).await, [expected.to_owned()].into());
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_has_what_the_connection_says() {
    for (empty, protocol, expected) in [
        (EmptyParams::Absent, Protocol::V2, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        (EmptyParams::Array, Protocol::V2, r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#),
        (EmptyParams::Absent, Protocol::V1, r#"{"method":"ping","params":[],"id":1}"#),
    ] {
        let (mut peer, _session) = sending(|connector| {
            connector.keep_alive(KeepAlive::call("ping")).empty_params(empty).protocol(protocol)
        })
        .await;
        peer.expect(expected).await;
    }
}

#[rpc_service]
trait Feed {
    #[rpc(subscription, style = "electrum")]
    async fn subscribe(&self) -> impl Stream<Item = u8>;

    #[rpc(subscription, style = "progress")]
    async fn work(&self) -> impl Stream<Item = Progress<u8, u8>>;

    #[rpc(subscription, style = "electrum", name = "insists.subscribe", empty_params = "array")]
    async fn insists(&self) -> impl Stream<Item = u8>;
}

struct Ones;

impl Feed for Ones {
    async fn subscribe(&self) -> impl Stream<Item = u8> {
        stream::iter([1, 2]).chain(stream::pending())
    }

    async fn work(&self) -> impl Stream<Item = Progress<u8, u8>> {
        stream::iter([Progress::Step(1), Progress::Done(2)])
    }

    async fn insists(&self) -> impl Stream<Item = u8> {
        stream::iter([1])
    }
}

/// However it was asked for: the server gives items of one subscription, and it is ended with what it was begun with.
#[tokio::test(start_paused = true)]
async fn a_subscription_without_parameters_is_known_by_an_empty_list_and_ended_without_parameters() {
    let begin =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"{params}}}"#);
    let end =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":2,"method":"{method}"{params}}}"#);
    for (empty, params) in [
        (EmptyParams::Absent, ""),
        (EmptyParams::Array, r#","params":[]"#),
        (EmptyParams::Object, r#","params":{}"#),
    ] {
        let (mut peer, session) = sending(|connector| connector.empty_params(empty)).await;
        let client = FeedClient::from(session);
        let asked = async {
            peer.expect(&begin("subscribe", params)).await;
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
            peer.send(r#"{"jsonrpc":"2.0","method":"subscribe","params":[2]}"#).await;
        };
        let (numbers, ()) = tokio::join!(client.subscribe().into_future(), asked);
        let mut numbers = numbers.expect("begun");
        for expected in [1, 2] {
            assert_eq!(numbers.next().await.expect("an item").expect("an item"), expected);
        }
        drop(numbers);
        peer.expect(&end("unsubscribe", params)).await;
    }
    // The word on the method holds for both.
    let (mut peer, session) = sending(|connector| connector).await;
    let client = FeedClient::from(session);
    let asked = async {
        peer.expect(&begin("insists.subscribe", r#","params":[]"#)).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    };
    let (numbers, ()) = tokio::join!(client.insists().into_future(), asked);
    drop(numbers.expect("begun"));
    peer.expect(&end("insists.unsubscribe", r#","params":[]"#)).await;
}

#[tokio::test(start_paused = true)]
async fn an_untyped_subscription_is_found_by_items_however_no_parameters_were_said() {
    for params in [json!(null), json!([]), json!({})] {
        let (mut peer, session) = sending(|connector| connector).await;
        let begun = session.subscribe::<u8>("s", &params).style(SubscriptionStyle::Electrum);
        let answered = async {
            peer.line().await.expect("the call");
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
            peer.send(r#"{"jsonrpc":"2.0","method":"s","params":[2]}"#).await;
        };
        let (items, ()) = tokio::join!(begun.into_future(), answered);
        let items = items.expect("begun").take(2).map(|item| item.expect("an item"));
        let items: Vec<_> = timeout(Duration::from_secs(10), items.collect()).await.expect("two items");
        assert_eq!(items, [1, 2], "{params}");
    }
}

/// To a server of ours, no matter in which way none are given: and one subscription for all of them.
#[tokio::test(start_paused = true)]
async fn a_server_takes_an_absent_member_for_an_empty_list() {
    let (mut peer, session) = Raw::peer_of(FeedServer::new(Ones), Limits::server());
    for (id, params) in ["", r#","params":[]"#, r#","params":{}"#, r#","params":null"#].iter().enumerate() {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"subscribe"{params}}}"#)).await;
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
        peer.expect(r#"{"jsonrpc":"2.0","method":"subscribe","params":[2]}"#).await;
        let ended = peer.ask(r#"{"jsonrpc":"2.0","id":"e","method":"unsubscribe"}"#).await;
        assert_eq!(ended, r#"{"jsonrpc":"2.0","id":"e","result":true}"#, "{params}");
        assert_eq!(session.subscriptions_served(), 0, "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_makes_an_object_of_what_was_absent() {
    for empty in [EmptyParams::Absent, EmptyParams::Array, EmptyParams::Object] {
        let (mut peer, session) = sending(|connector| connector.empty_params(empty)).await;
        let work = sent(&mut peer, FeedClient::from(session.clone()).work()).await;
        let token = work["params"]["workDoneToken"].as_str().expect("a token");
        assert_eq!(work["params"], json!({"workDoneToken": token}));
        peer.expect(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#).await;
        let untyped = session.subscribe::<Progress<u8, u8>>("m", ()).style(SubscriptionStyle::McpProgress);
        let untyped = sent(&mut peer, untyped).await;
        let token = untyped["params"]["_meta"]["progressToken"].as_str().expect("a token");
        assert_eq!(untyped["params"], json!({"_meta": {"progressToken": token}}));
    }
}

/// The body of a call without parameters over HTTP.
async fn posted(with: impl FnOnce(HttpClientBuilder) -> HttpClientBuilder) -> String {
    let (mut peer, client) = HttpPeer::with(with);
    let served = async { peer.accept().await.serve(|_| r#"{"id":1,"result":0}"#.to_owned()).await };
    let call = PlainClient::from(client);
    let (request, _) = tokio::join!(served, call.none().into_future());
    request.body
}

#[tokio::test(start_paused = true)]
async fn over_http_it_is_the_same() {
    assert_eq!(posted(|builder| builder).await, r#"{"jsonrpc":"2.0","id":1,"method":"none"}"#);
    assert_eq!(
        posted(|builder| builder.empty_params(EmptyParams::Array)).await,
        r#"{"jsonrpc":"2.0","id":1,"method":"none","params":[]}"#
    );
    assert_eq!(
        posted(|builder| builder.empty_params(EmptyParams::Object).protocol(Protocol::V1)).await,
        r#"{"method":"none","params":[],"id":1}"#
    );
}

/// It is the example of those that are never answered otherwise: `tools/list` of the Model Context Protocol.
#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_nothing_with_a_list_is_talked_to() {
    #[rpc_service]
    trait Mcp {
        #[rpc(name = "tools/list", timeout = "1s")]
        async fn tools(&self) -> Vec<String>;
    }
    let (mut peer, session) = sending(|connector| connector).await;
    let served = async {
        let request: Value = serde_json::from_str(&peer.line().await.expect("a call")).expect("JSON");
        if request.get("params").is_none_or(Value::is_object) {
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":["grep"]}"#).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let client = McpClient::from(session);
    let (tools, ()) = tokio::join!(client.tools().into_future(), served);
    assert_eq!(tools.expect("a reply"), ["grep"]);
}

#[test]
fn the_table_says_it_where_it_can_matter() {
    let said: Vec<_> = InsistsServer::<Nobody>::METHODS.iter().map(rpc::MethodInfo::empty_params).collect();
    let [array, object] = [Some(EmptyParams::Array), Some(EmptyParams::Object)];
    assert_eq!(said, [object, array, Some(EmptyParams::Absent), array, None]);
}

/// Its methods are never run.
struct Nobody;

impl Insists for Nobody {
    async fn service(&self) -> u8 {
        0
    }
    async fn array(&self, _: Vec<u8>) -> u8 {
        0
    }
    async fn absent(&self) -> u8 {
        0
    }
    async fn note(&self) {}
    async fn one(&self, a: u8) -> u8 {
        a
    }
}
