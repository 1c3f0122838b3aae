//! What is no message by the full reader is refused and paid for, whatever it looks like, and
//! wherever it would have been served without a look at all of it.

use futures::{StreamExt, stream};
use rpc::{
    Cancellation, Connector, Context, Dispatcher, ErrorObject, Limits, MethodInfo, Order, Params, Progress,
    Protocol, RawParams, Request, Router, Service, Session, Subscription, SubscriptionInfo,
    SubscriptionStyle,
};
use rpc_tests::{CalcServer, Gate, MyCalc, Raw, is_pending, settled, waiting};
use serde_json::Value;
use tokio::io::DuplexStream;

/// Methods of every kind.
fn service(gate: &Gate) -> Router {
    let ends = |style, name: &'static str| SubscriptionInfo::new(style, "item").with_unsubscribe(name);
    waiting(gate)
        .notification("note", async |_: Params, _: Context| {})
        .method(
            MethodInfo::request("in_order").with_order(Order::Ordered),
            async |params: Params, _: Context| params.parse::<Value>(),
        )
        .method(
            MethodInfo::request("alone").with_order(Order::Exclusive),
            async |params: Params, _: Context| params.parse::<Value>(),
        )
        // It looks at no parameters.
        .method("heedless", async |_: Params, _: Context| Ok::<_, ErrorObject>(1))
        .subscription(
            MethodInfo::request("ticks").with_subscription(ends(SubscriptionStyle::PubSub, "unticks")),
            async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::pending::<u8>()),
        )
        .subscription(
            MethodInfo::request("heads").with_subscription(ends(SubscriptionStyle::Electrum, "unheads")),
            async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::iter([1]).chain(stream::pending())),
        )
        .progress("count", async |_: Params, _: Context| {
            Ok::<_, ErrorObject>(stream::iter([Progress::<u8, u8>::Done(1)]))
        })
}

/// A service that passes on what it is given, and looks at nothing itself.
struct PassesOn(Router);

impl Service for PassesOn {
    fn methods(&self) -> &[MethodInfo] {
        self.0.methods()
    }

    fn call(&self, method: usize, request: Request<'_>) -> rpc::Handled {
        let _raw: Result<RawParams<'_>, ErrorObject> = request.raw_params();
        self.0.call(method, request)
    }
}

/// The names that a session acts on, its own and those that nobody serves.
const METHODS: [&str; 23] = [
    "echo",
    "later",
    "note",
    "in_order",
    "alone",
    "heedless",
    "ticks",
    "unticks",
    "heads",
    "unheads",
    "count",
    "calc_ping",
    "calc_add",
    "calc_sum",
    "calc_log",
    "unknown",
    "$/unknown",
    "$/cancelRequest",
    "$/progress",
    "tick",
    "head",
    "heard",
    "rpc.subscription.ended",
];

/// Parameters as each of them may have them.
const PARAMS: [&str; 8] = [
    "[]",
    "{}",
    "[1]",
    r#"["0x1"]"#,
    r#"{"id":1}"#,
    r#"{"subscription":"0x1","result":7}"#,
    r#"["a",7]"#,
    r#"{"token":"1","value":{"kind":"report"}}"#,
];

/// What stands behind the parameters, inside the message, and makes something else of it.
const BEHIND: [&str; 9] = [
    " this is no JSON",
    "]",
    ",",
    "}",
    r#","params":[]"#,
    r#","method":"echo""#,
    r#","id":8,"id":9"#,
    r#","jsonrpc":"2.0""#,
    "\u{0}",
];

fn messages() -> Vec<String> {
    let mut messages = Vec::new();
    for method in METHODS {
        for params in PARAMS {
            for behind in BEHIND {
                messages.push(format!(
                    r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{params}{behind}}}"#
                ));
                messages
                    .push(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}{behind}}}"#));
                messages.push(format!(
                    r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}{behind},"id":5}}"#
                ));
            }
        }
    }
    messages
}

async fn speaking(protocol: Protocol, gate: &Gate) -> (Raw<DuplexStream>, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let mut limits = Limits::server();
    (limits.cost_hard, limits.cost_soft) = (f64::INFINITY, f64::INFINITY);
    let connector = Connector::over(there).protocol(protocol).limits(limits);
    let connector = match protocol {
        // It has no named parameters, and so no cancellation.
        Protocol::V1 => connector,
        _ => connector.cancellation(Cancellation::LSP),
    };
    let connector = connector.service(PassesOn(service(gate))).service(CalcServer::new(MyCalc));
    (Raw::over(here), connector.connect().await.expect("connected"))
}

/// What a dispatcher says, which judges everything in full before it does anything.
async fn judgement(protocol: Protocol, message: &str) -> Option<String> {
    let dispatcher = Dispatcher::builder().protocol(protocol).service(service(&Gate::closed())).build();
    let answer = dispatcher.expect("no method twice").dispatch(message.as_bytes()).await;
    let answer = answer.map(|answer| String::from_utf8(answer.into()).expect("a text"));
    answer.filter(|answer| answer.contains("-32700") || answer.contains("-32600"))
}

/// Every message that is none is answered with what the full reader says, and counted.
async fn each_is_refused(protocol: Protocol, peer: &mut Raw<DuplexStream>, session: &Session) {
    let mut refused = 0;
    for message in messages() {
        let Some(expected) = judgement(protocol, &message).await else { continue };
        let before = session.statistics();
        assert_eq!(peer.ask(&message).await, expected, "{protocol:?}: {message}");
        assert_eq!(session.statistics().errors, before.errors + 1, "{protocol:?}: {message}");
        refused += 1;
    }
    assert!(refused > 4_000, "{refused} of them are none");
}

const PROTOCOLS: [Protocol; 3] = [Protocol::V2, Protocol::Loose, Protocol::Detect];

#[tokio::test(start_paused = true)]
async fn a_session_that_serves() {
    for protocol in PROTOCOLS {
        let (mut peer, session) = speaking(protocol, &Gate::closed()).await;
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await;
        each_is_refused(protocol, &mut peer, &session).await;
    }
}

/// A subscription with the id `"0x1"`.
async fn ticking(peer: &mut Raw<DuplexStream>, session: &Session) -> Subscription<Value> {
    let mut subscribing =
        Box::pin(session.subscribe::<Value>("tick", ()).unsubscribe_with("u").into_future());
    assert!(is_pending(&mut subscribing));
    let asked = peer.line().await.expect("a call");
    peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":"0x1"}}"#, id(&asked))).await;
    subscribing.await.expect("it is answered")
}

/// With subscriptions of every style, and one who listens: none of them is given anything.
#[tokio::test(start_paused = true)]
async fn a_session_that_has_subscribed() {
    for protocol in PROTOCOLS {
        let (mut peer, session) = speaking(protocol, &Gate::closed()).await;
        let mut listened = ["heard", "$/progress", "tick"].map(|name| session.notifications::<Value>(name));
        let mut ticks = ticking(&mut peer, &session).await;
        let electrum = session.subscribe::<Value>("head", ("a",)).style(SubscriptionStyle::Electrum);
        let mut subscribing = Box::pin(electrum.into_future());
        assert!(is_pending(&mut subscribing));
        let asked = peer.line().await.expect("a call");
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":0}}"#, id(&asked))).await;
        let mut heads = subscribing.await.expect("it is answered");
        assert_eq!(heads.next().await.expect("the reply is one").expect("a number"), 0);

        each_is_refused(protocol, &mut peer, &session).await;
        for nothing in [&mut ticks, &mut heads].into_iter().chain(&mut listened) {
            assert!(is_pending(&mut nothing.next()), "nothing was given");
        }
        // What is an item goes on to be one.
        peer.send(r#"{"jsonrpc":"2.0","method":"tick","params":{"subscription":"0x1","result":7}}"#).await;
        assert_eq!(ticks.next().await.expect("an item").expect("a number"), 7);
        peer.send(
            r#"{"jsonrpc":"2.0","method":"tick","params":{"subscription":"0x1","result":8,"more":[]}}"#,
        )
        .await;
        assert_eq!(ticks.next().await.expect("an item").expect("a number"), 8);
    }
}

/// Texts that stand where the item does, and make no item of the message.
const NO_ITEMS: [&str; 8] =
    ["", "7 this is no JSON", "7]", "7,", "7}", "[7", r#"7,"result":8"#, r#"7},"id":8,"id":{"a":1"#];

fn item(text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"tick","params":{{"subscription":"0x1","result":{text}}}}}"#)
}

/// Sends items of the subscription, and takes them: the session knows where the next one belongs.
async fn tick_twice(peer: &mut Raw<DuplexStream>, ticks: &mut Subscription<Value>) {
    for number in 1..3 {
        peer.send(&item(&number.to_string())).await;
        assert_eq!(ticks.next().await.expect("an item").expect("a number"), number);
    }
}

/// A subscriber that waits reads the item, and finds out that it is none: the peer is told the same
/// as by the session.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_awaited() {
    let (mut peer, session) = speaking(Protocol::V2, &Gate::closed()).await;
    let mut ticks = ticking(&mut peer, &session).await;
    for no_item in NO_ITEMS {
        tick_twice(&mut peer, &mut ticks).await;
        assert!(is_pending(&mut ticks.next()));
        let before = session.statistics().errors;
        let message = item(no_item);
        peer.send(&message).await;
        assert!(ticks.next().await.expect("an end, if none").is_err(), "{message}");
        match judgement(Protocol::V2, &message).await {
            Some(expected) => {
                let answer = peer.line().await.expect("an answer");
                // What else the message said is not known any more, nor where in it this was.
                let without_place = |text: &str| text.split(" at line").next().map(str::to_owned);
                assert_eq!(without_place(&answer), without_place(&expected), "{message}");
            }
            // JSON, and a notification that nobody knows.
            None => settled().await,
        }
        assert_eq!(session.statistics().errors, before + 1, "{message}");
    }
    assert!(is_pending(&mut ticks.next()));
    peer.send(&item(r#"9,"more":[]"#)).await;
    assert_eq!(ticks.next().await.expect("an item").expect("a number"), 9);
}

/// Where no subscriber waits, the session finds out, and the subscription is given nothing.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_awaited() {
    let (mut peer, session) = speaking(Protocol::V2, &Gate::closed()).await;
    let mut ticks = ticking(&mut peer, &session).await;
    for no_item in NO_ITEMS {
        tick_twice(&mut peer, &mut ticks).await;
        let before = session.statistics().errors;
        let message = item(no_item);
        peer.send(&message).await;
        match judgement(Protocol::V2, &message).await {
            Some(expected) => assert_eq!(peer.line().await.expect("an answer"), expected, "{message}"),
            None => settled().await,
        }
        assert_eq!(session.statistics().errors, before + 1, "{message}");
        assert!(is_pending(&mut ticks.next()), "{message}");
    }
}

/// The id of a call, as it was sent.
fn id(call: &str) -> String {
    serde_json::from_str::<Value>(call).expect("JSON")["id"].to_string()
}

/// There is no place, and replies are to be read: requests are turned away, and what is none is not
/// taken for one.
#[tokio::test(start_paused = true)]
async fn a_session_that_has_no_place() {
    let gate = Gate::closed();
    let (mut peer, session) = speaking(Protocol::V2, &gate).await;
    let mut call = Box::pin(session.call::<Value>("ours", ()).without_timeout().into_future());
    assert!(is_pending(&mut call));
    peer.line().await.expect("a call");
    for id in 0..session.limits().requests_in_flight {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"wait","params":[]}}"#, id + 100)).await;
    }
    settled().await;
    let busy = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}"#).await;
    assert!(busy.contains("-102"), "{busy}");
    each_is_refused(Protocol::V2, &mut peer, &session).await;
}

/// Behind an exclusive request that runs, and slowed down for what they cost: what waits is judged
/// when its turn has come.
#[tokio::test(start_paused = true)]
async fn a_request_that_had_to_wait() {
    let gate = Gate::closed();
    let (here, there) = rpc::transport::memory(64 << 10);
    let router = service(&gate).method(MethodInfo::request("first").with_order(Order::Exclusive), {
        let gate = gate.clone();
        move |_: Params, _: Context| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, ErrorObject>(())
            }
        }
    });
    let session = Connector::over(there).service(router).connect().await.expect("connected");
    let mut peer = Raw::over(here);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"first"}"#).await;
    for method in ["echo", "heedless", "unheads", "alone", "note"] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":[] this is no JSON}}"#))
            .await;
    }
    settled().await;
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).await;
    for _ in 0..5 {
        let answer = peer.line().await.expect("an answer");
        assert!(answer.contains(r#""id":null,"error":{"code":-32700"#), "{answer}");
    }
    assert_eq!(session.statistics().errors, 5);
}

/// Members of a batch, and the text around them.
#[tokio::test(start_paused = true)]
async fn a_batch() {
    let (mut peer, session) = speaking(Protocol::V2, &Gate::closed()).await;
    for (method, params) in METHODS.into_iter().zip(PARAMS.into_iter().cycle()) {
        for behind in BEHIND {
            let member =
                format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{params}{behind}}}"#);
            for batch in [format!("[{member}]"), format!("[{member}] more"), format!("[{member},")] {
                let Some(expected) = judgement(Protocol::V2, &batch).await else { panic!("{batch} is one") };
                let before = session.statistics().errors;
                assert_eq!(peer.ask(&batch).await, expected, "{batch}");
                assert_eq!(session.statistics().errors, before + 1, "{batch}");
            }
        }
    }
}

/// Version 1.0 reads everything in full.
#[tokio::test(start_paused = true)]
async fn a_session_of_the_first_version() {
    let (mut peer, session) = speaking(Protocol::V1, &Gate::closed()).await;
    for method in METHODS {
        for behind in [" this is no JSON", ",", "]"] {
            for id in ["5", "null"] {
                let before = session.statistics().errors;
                let message = format!(r#"{{"id":{id},"method":"{method}","params":[1]{behind}}}"#);
                let answer = peer.ask(&message).await;
                assert!(answer.contains("-32700"), "{message}: {answer}");
                assert_eq!(session.statistics().errors, before + 1);
            }
        }
    }
}
