//! Members of the parameters that a method does not name: refused, unless its service lets them pass.

use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt, stream};
use rpc::{
    Context, Dispatcher, ErrorObject, Limits, MethodInfo, Params, Progress, Protocol, Router, Service,
    SubscriptionInfo, SubscriptionStyle, UnknownParams, rpc_service,
};
use rpc_tests::{Raw, settled};
use serde_json::{Value, json, value::RawValue};
use tokio::io::DuplexStream;

#[rpc_service(allow_unknown("_meta", "workDoneToken"))]
trait Tools {
    async fn add(&self, a: u8, b: u8) -> u8;

    fn seen(&self, a: Option<u8>, #[rpc(context)] cx: &Context) -> Value;

    async fn none(&self) -> u8;

    fn rest(&self, #[rpc(rest)] all: Vec<u8>) -> u8;

    fn defaulted(&self, #[rpc(default)] a: u8) -> u8;

    fn whole(&self, #[rpc(whole)] all: Point) -> u8;

    fn named(&self, #[rpc(name = "_meta")] meta: Value, #[rpc(context)] cx: &Context) -> Value;

    #[rpc(allow_unknown)]
    fn any(&self, a: u8, #[rpc(context)] cx: &Context) -> Value;

    #[rpc(allow_unknown("only"))]
    fn only(&self, a: u8) -> u8;

    #[rpc(notification)]
    fn note(&self, a: u8, #[rpc(context)] cx: &Context);

    fn version(&self, #[rpc(context)] cx: &Context) -> Result<u8, ErrorObject>;

    #[rpc(subscription)]
    async fn pubsub(&self, a: u8, #[rpc(context)] cx: &Context) -> impl Stream<Item = Value>;

    #[rpc(subscription, allow_unknown)]
    async fn open(&self, a: u8) -> impl Stream<Item = u8>;

    #[rpc(subscription, style = "electrum")]
    async fn electrum(&self, a: u8, #[rpc(context)] cx: &Context) -> impl Stream<Item = Value>;

    #[rpc(subscription, style = "progress")]
    async fn progress(&self, a: u8, #[rpc(context)] cx: &Context) -> impl Stream<Item = Progress<u8, Value>>;

    #[rpc(subscription, style = "mcp_progress")]
    async fn mcp(&self, a: u8, #[rpc(context)] cx: &Context) -> impl Stream<Item = Progress<Value, Value>>;
}

/// It names all of it itself, and so its type says what it takes.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Point {
    x: u8,
}

#[derive(Clone, Default)]
struct MyTools {
    noted: Arc<Mutex<Vec<Value>>>,
}

/// What passed, as it stands in the context.
fn passed(cx: &Context) -> Value {
    cx.unknown_params().map(|(name, value)| json!([name, value])).collect()
}

impl Tools for MyTools {
    async fn add(&self, a: u8, b: u8) -> u8 {
        a + b
    }
    fn seen(&self, _: Option<u8>, cx: &Context) -> Value {
        passed(cx)
    }
    async fn none(&self) -> u8 {
        0
    }
    fn rest(&self, all: Vec<u8>) -> u8 {
        all.iter().sum()
    }
    fn defaulted(&self, a: u8) -> u8 {
        a
    }
    fn whole(&self, all: Point) -> u8 {
        all.x
    }
    fn named(&self, meta: Value, cx: &Context) -> Value {
        json!([meta, passed(cx)])
    }
    fn any(&self, _: u8, cx: &Context) -> Value {
        passed(cx)
    }
    fn only(&self, a: u8) -> u8 {
        a
    }
    fn note(&self, _: u8, cx: &Context) {
        self.noted.lock().expect("no panic").push(passed(cx));
    }
    fn version(&self, cx: &Context) -> Result<u8, ErrorObject> {
        cx.unknown_param("_meta").map(Option::unwrap_or_default)
    }
    async fn pubsub(&self, _: u8, cx: &Context) -> impl Stream<Item = Value> {
        stream::iter([passed(cx)]).chain(stream::pending())
    }
    async fn open(&self, _: u8) -> impl Stream<Item = u8> {
        stream::pending()
    }
    async fn electrum(&self, a: u8, cx: &Context) -> impl Stream<Item = Value> {
        stream::iter([json!(a), passed(cx)]).chain(stream::pending())
    }
    async fn progress(&self, _: u8, cx: &Context) -> impl Stream<Item = Progress<u8, Value>> {
        stream::iter([Progress::Step(1), Progress::Done(passed(cx))])
    }
    async fn mcp(&self, _: u8, cx: &Context) -> impl Stream<Item = Progress<Value, Value>> {
        stream::iter([Progress::Step(json!({"progress": 1})), Progress::Done(passed(cx))])
    }
}

fn tools() -> ToolsServer<MyTools> {
    ToolsServer::new(MyTools::default())
}

fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// The result, or the error's message with its code.
fn outcome(answer: &str) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_str(answer).expect("JSON");
    match answer.get("error") {
        None => Ok(answer["result"].take()),
        Some(error) => Err(format!("{}: {}", error["code"], error["message"].as_str().expect("a text"))),
    }
}

const REFUSED: &str = "-32602: invalid params for";

/// Calls with named members, and how each ends: what every way in has to give.
fn calls() -> Vec<(&'static str, Value, Result<Value, String>)> {
    let refused = |why: &str| Err(format!("{REFUSED} {why}"));
    vec![
        ("add", json!({"a": 1, "b": 2, "_meta": {"x": [1]}}), Ok(json!(3))),
        ("add", json!({"workDoneToken": 7, "_meta": {}, "b": 2, "a": 1}), Ok(json!(3))),
        ("add", json!({"a": 1, "b": 2}), Ok(json!(3))),
        ("add", json!([1, 2]), Ok(json!(3))),
        ("add", json!([1, 2, {"_meta": {}}]), refused("`add`: too many: it takes 2 parameters, got 3")),
        ("add", json!({"a": 1, "_meta": {}}), refused("`add`: `b` is missing")),
        (
            "add",
            json!({"a": 1, "b": 2, "meta": 3}),
            refused("`add`: unknown parameter `meta`: it takes `a`, `b`"),
        ),
        ("none", json!({"_meta": {}}), Ok(json!(0))),
        ("none", json!({"other": {}}), refused("`none`: unknown parameter `other`: it takes none")),
        ("none", json!([{}]), refused("`none`: too many: it takes no parameters, got 1")),
        ("rest", json!({"_meta": 1, "all": [1, 2]}), Ok(json!(3))),
        ("rest", json!({"_meta": 1}), Ok(json!(0))),
        ("rest", json!({"alls": [1]}), refused("`rest`: unknown parameter `alls`: it takes `all`")),
        ("defaulted", json!({"_meta": 1}), Ok(json!(0))),
        ("defaulted", json!({"a": 5, "_meta": 1}), Ok(json!(5))),
        ("whole", json!({"x": 5}), Ok(json!(5))),
        ("whole", json!({"x": 5, "_meta": 1}), refused("`whole`: unknown field `_meta`, expected `x`")),
        (
            "seen",
            json!({"_meta": {"a": "b"}, "a": 1, "workDoneToken": 3}),
            Ok(json!([["_meta", {"a": "b"}], ["workDoneToken", 3]])),
        ),
        ("seen", json!({"a": 1}), Ok(json!([]))),
        ("seen", json!([1]), Ok(json!([]))),
        ("seen", json!([]), Ok(json!([]))),
        ("named", json!({"_meta": 1, "workDoneToken": 2}), Ok(json!([1, [["workDoneToken", 2]]]))),
        ("any", json!({"x": null, "a": 1, "y": 2}), Ok(json!([["x", null], ["y", 2]]))),
        ("only", json!({"a": 1, "only": 2}), Ok(json!(1))),
        // What the method says stands in place of what the trait does.
        ("only", json!({"a": 1, "_meta": 2}), refused("`only`: unknown parameter `_meta`: it takes `a`")),
        ("version", json!({"_meta": 3}), Ok(json!(3))),
        ("version", json!({}), Ok(json!(0))),
        (
            "version",
            json!({"_meta": 300}),
            refused("`version`: `_meta`: invalid value: integer `300`, expected u8 at line 1 column 3"),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn members_pass_by_name_where_they_are_allowed_and_handlers_find_them() {
    for protocol in [Protocol::V2, Protocol::Loose, Protocol::Detect] {
        let (mut peer, _session) =
            Raw::peer_with(|connector| connector.protocol(protocol).service(tools())).await;
        for (method, params, expected) in calls() {
            let answer = peer.ask(&request(method, &params)).await;
            assert_eq!(outcome(&answer), expected, "{protocol:?}: {method} {params}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_they_do() {
    let (mut peer, _session) = Raw::peer_of(tools(), Limits::unlimited());
    let requests: Vec<_> = calls().iter().map(|(method, params, _)| request(method, params)).collect();
    let answer = peer.ask(&format!("[{}]", requests.join(","))).await;
    let answers: Vec<Box<RawValue>> = serde_json::from_str(&answer).expect("a batch");
    assert_eq!(answers.len(), calls().len());
    for (answer, (method, params, expected)) in answers.iter().zip(calls()) {
        assert_eq!(outcome(answer.get()), expected, "{method} {params}");
    }
}

#[tokio::test]
async fn without_a_session_they_do() {
    let dispatcher = Dispatcher::builder().service(tools()).build().expect("one service");
    for (method, params, expected) in calls() {
        let answer = dispatcher.dispatch(request(method, &params).as_bytes()).await.expect("an answer");
        let answer = String::from_utf8(answer.to_vec()).expect("text");
        assert_eq!(outcome(&answer), expected, "{method} {params}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_notification_they_do() {
    let tools = MyTools::default();
    let (mut peer, session) = Raw::peer_of(ToolsServer::new(tools.clone()), Limits::server());
    for params in [r#"{"a":1,"_meta":2}"#, r#"{"a":1}"#, r#"{"a":1,"other":2}"#] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"note","params":{params}}}"#)).await;
    }
    peer.expect_silence().await;
    assert_eq!(*tools.noted.lock().expect("no panic"), [json!([["_meta", 2]]), json!([])]);
    assert_eq!(session.statistics().errors, 1, "the last one was refused");
}

/// As many errors as end a session: those that were let pass are none.
#[tokio::test(start_paused = true)]
async fn a_peer_that_always_adds_a_member_is_no_bad_peer() {
    let (mut peer, session) = Raw::peer_of(tools(), Limits::server());
    let adds = request("add", &json!({"a": 1, "b": 2, "_meta": {}}));
    for _ in 0..300 {
        assert_eq!(outcome(&peer.ask(&adds).await), Ok(json!(3)));
    }
    assert!(!session.is_closed());
    assert_eq!(session.statistics().errors, 0);
}

#[rpc_service]
trait Strict {
    fn add(&self, a: u8, b: u8) -> u8;
}

impl Strict for MyTools {
    fn add(&self, a: u8, b: u8) -> u8 {
        a + b
    }
}

#[tokio::test(start_paused = true)]
async fn unless_it_is_said_they_are_refused() {
    let (mut peer, _session) = Raw::peer_of(StrictServer::new(MyTools::default()), Limits::server());
    let answer = peer.ask(&request("add", &json!({"a": 1, "b": 2, "_meta": {}}))).await;
    assert_eq!(
        outcome(&answer),
        Err(format!("{REFUSED} `add`: unknown parameter `_meta`: it takes `a`, `b`"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_given_twice_is_refused_also_where_it_passes() {
    let (mut peer, _session) = Raw::peer_of(tools(), Limits::server());
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"any","params":{"a":1,"x":1,"x":2}}"#;
    assert_eq!(outcome(&peer.ask(twice).await), Err(format!("{REFUSED} `any`: `x` is given twice")));
}

/// Asks for a subscription, and gives what its reply is.
async fn begun(peer: &mut Raw<DuplexStream>, method: &str, params: Value) -> Value {
    outcome(&peer.ask(&request(method, &params)).await).expect("begun")
}

/// The params of the next notification.
async fn item(peer: &mut Raw<DuplexStream>) -> Value {
    let item: Value = serde_json::from_str(&peer.line().await.expect("an item")).expect("JSON");
    item["params"].clone()
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_every_style_let_them_pass_and_so_does_what_ends_them() {
    let (mut peer, session) = Raw::peer_of(tools(), Limits::server());
    let meta = json!([["_meta", {"x": 1}]]);

    let id = begun(&mut peer, "pubsub", json!({"a": 1, "_meta": {"x": 1}})).await;
    assert_eq!(item(&mut peer).await, json!({"subscription": id, "result": meta}));
    let ended = request("unsubscribe_pubsub", &json!({"_meta": {}, "subscription": id}));
    assert_eq!(outcome(&peer.ask(&ended).await), Ok(json!(true)));

    let id = begun(&mut peer, "open", json!({"a": 1, "x": 2})).await;
    let ended = request("unsubscribe_open", &json!({"x": 2, "subscription": id, "y": id}));
    assert_eq!(outcome(&peer.ask(&ended).await), Ok(json!(true)));

    // They are no part of what the subscription is known by.
    assert_eq!(begun(&mut peer, "electrum", json!({"_meta": {"x": 1}, "a": 5})).await, json!(5));
    assert_eq!(item(&mut peer).await, json!([5, meta]));
    let ended = request("unsubscribe_electrum", &json!({"a": 5, "_meta": 7}));
    assert_eq!(outcome(&peer.ask(&ended).await), Ok(json!(true)));
    settled().await;
    assert_eq!(session.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn beside_a_token_and_with_it_they_pass_in_the_styles_of_progress() {
    let (mut peer, _session) = Raw::peer_of(tools(), Limits::server());
    peer.send(&request("progress", &json!({"a": 1, "workDoneToken": "t", "_meta": 2}))).await;
    assert_eq!(item(&mut peer).await, json!({"token": "t", "value": 1}));
    let passed = outcome(&peer.line().await.expect("the reply")).expect("a result");
    let mut passed: Vec<_> = passed.as_array().expect("a list").clone();
    passed.sort_by_key(|member| member[0].to_string());
    assert_eq!(passed, [json!(["_meta", 2]), json!(["workDoneToken", "t"])]);

    peer.send(&request("mcp", &json!({"a": 1, "_meta": {"progressToken": 3, "user": "ann"}}))).await;
    assert_eq!(item(&mut peer).await, json!({"progressToken": 3, "progress": 1}));
    let passed = outcome(&peer.line().await.expect("the reply"));
    assert_eq!(passed, Ok(json!([["_meta", {"progressToken": 3, "user": "ann"}]])));
}

#[tokio::test(start_paused = true)]
async fn a_router_has_them_among_the_parameters_and_in_the_context_where_it_says_what_passes() {
    const A: &[rpc::ParamInfo] = &[rpc::ParamInfo::new("a")];
    let seen = async |params: Params, cx: Context| {
        Ok::<_, ErrorObject>(json!([params.as_json().map(str::len), passed(&cx)]))
    };
    let named = MethodInfo::request("named").with_params(A);
    let ticks = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick");
    let router = Router::new()
        .method("plain", seen)
        .method(named.with_unknown_params(UnknownParams::AllowNamed(&["_meta"])), seen)
        .subscription(
            MethodInfo::request("ticks").with_subscription(ticks).with_unknown_params(UnknownParams::Allow),
            async |_: Params, cx: Context| Ok::<_, ErrorObject>(stream::iter([passed(&cx)])),
        );
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    let params = json!({"a": 1, "_meta": 2, "b": 3});
    let length = params.to_string().len();
    assert_eq!(outcome(&peer.ask(&request("plain", &params)).await), Ok(json!([length, []])));
    assert_eq!(outcome(&peer.ask(&request("named", &params)).await), Ok(json!([length, [["_meta", 2]]])));
    begun(&mut peer, "ticks", json!({"x": 1})).await;
    assert_eq!(item(&mut peer).await["result"], json!([["x", 1]]));
}

#[test]
fn the_table_says_what_passes() {
    let server = tools();
    let of = |name: &str| {
        let method = server.methods().iter().find(|method| method.name() == name);
        method.expect("it is there").unknown_params()
    };
    let of_the_trait = UnknownParams::AllowNamed(&["_meta", "workDoneToken"]);
    assert_eq!([of("add"), of("note"), of("mcp")], [of_the_trait; 3]);
    assert_eq!(of("any"), UnknownParams::Allow);
    assert_eq!(of("only"), UnknownParams::AllowNamed(&["only"]));
    assert_eq!(of("whole"), UnknownParams::Refuse, "its type says what it takes");
    assert_eq!(StrictServer::<MyTools>::METHODS[0].unknown_params(), UnknownParams::Refuse);
    assert!(of_the_trait.allows("_meta") && !of_the_trait.allows("meta"));
}
