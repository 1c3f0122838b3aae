//! Ids and tokens that are spelled in two ways: PHP escapes every `/`, Python whatever is not ASCII.

use futures::{StreamExt, channel::mpsc};
use rpc::{
    Cancellation, Context, ErrorObject, Limits, MethodInfo, Order, Overflow, Params, Progress, Protocol,
    Router, Session, Subscription, SubscriptionInfo, SubscriptionStyle,
};
use rpc_tests::{Gate, Raw, is_pending, marked, settled, soon, waiting};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

/// One value, as the message that brings it has it, and as one that refers to it does.
const SAME: [(&str, &str); 8] = [
    (r#""a\/b""#, r#""a/b""#),
    (r#""a/b""#, r#""a\/b""#),
    (r#""\u0061""#, r#""a""#),
    ("\"é\"", r#""\u00e9""#),
    (r#""\ud83d\ude00""#, "\"😀\""),
    (r#""\u000A""#, r#""\n""#),
    (r#""\ud800""#, r#""\ud800""#),
    ("1.50", "1.50"),
];

/// Two values, however near.
const DIFFERENT: [(&str, &str); 8] = [
    ("1", "1.0"),
    ("1", r#""1""#),
    (r#""\u0031""#, "1"),
    ("1e2", "100"),
    (r#""a""#, r#""A""#),
    (r#""\\u0061""#, r#""a""#),
    (r#""\ud800""#, r#""\uD800""#),
    (r#""\ud800""#, r#""\ufffd""#),
];

async fn peer_with(cancellation: Cancellation, router: Router) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| connector.cancellation(cancellation).limits(Limits::server()).service(router))
        .await
}

fn request(id: &str, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[]}}"#)
}

fn lsp(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{id}}}}}"#)
}

fn mcp(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
}

fn cancelled(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32800,"message":"the request was cancelled"}}}}"#
    )
}

/// The same of a request whose handler was not started.
fn not_begun(id: &str) -> String {
    cancelled(id).replace("cancelled\"", r#"cancelled","data":{"executed":false}"#)
}

/// `wait` and `turn` wait at the gate, of which the second do so one after another.
fn gated(gate: &Gate) -> Router {
    let turns = gate.clone();
    let turn = MethodInfo::request("turn").with_order(Order::Ordered);
    waiting(gate).method(turn, move |_: Params, _: Context| {
        let turns = turns.clone();
        async move {
            turns.pass().await;
            Ok::<_, ErrorObject>(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_request_is_taken_back_by_its_id_and_answered_with_its_own_spelling() {
    for (own, other) in SAME {
        let gate = Gate::closed();
        let (mut peer, session) = peer_with(Cancellation::LSP, gated(&gate)).await;
        // While it runs.
        peer.send(&request(own, "wait")).await;
        settled().await;
        peer.send(&lsp(other)).await;
        peer.expect(&cancelled(own)).await;
        assert_eq!(gate.dropped(), 1);
        // While it waits for its turn.
        peer.send(&request("0", "turn")).await;
        peer.send(&request(own, "turn")).await;
        settled().await;
        peer.send(&lsp(other)).await;
        peer.expect(&not_begun(own)).await;
        // In a batch.
        peer.send(&format!("[{},{}]", request(own, "wait"), request(other, "echo"))).await;
        settled().await;
        peer.send(&lsp(other)).await;
        let echoed = format!(r#"{{"jsonrpc":"2.0","id":{other},"result":[]}}"#);
        peer.expect(&format!("[{},{echoed}]", cancelled(own))).await;
        gate.open();
        peer.expect(r#"{"jsonrpc":"2.0","id":0,"result":null}"#).await;
        assert_eq!(session.requests_in_flight(), 0);

        let gate = Gate::closed();
        let (mut peer, _session) = peer_with(Cancellation::MCP, gated(&gate)).await;
        peer.send(&request(own, "wait")).await;
        settled().await;
        peer.send(&mcp(other)).await;
        peer.expect_silence().await;
        assert_eq!(gate.dropped(), 1, "{own} {other}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_value_takes_nothing_back() {
    for (own, other) in DIFFERENT {
        let gate = Gate::closed();
        let (mut peer, session) = peer_with(Cancellation::LSP, gated(&gate)).await;
        peer.send(&request(own, "wait")).await;
        settled().await;
        peer.send(&lsp(other)).await;
        peer.send(&mcp(other)).await;
        peer.expect_silence().await;
        assert_eq!((gate.dropped(), session.requests_in_flight()), (0, 1), "{own} {other}");
    }
}

/// Ids of 1.0 may be any JSON: the members of an object stand in the order in which they came.
#[tokio::test(start_paused = true)]
async fn in_1_0_ids_that_are_lists_and_objects_are_values_as_well() {
    let own = r#"[ 1, "a\/b", {"x": [] , "y":1.0} ]"#;
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_with(|connector| {
        connector.cancellation(Cancellation::LSP).protocol(Protocol::Detect).service(gated(&gate))
    })
    .await;
    peer.send(&format!(r#"{{"jsonrpc":"1.0","method":"wait","params":[],"id":{own}}}"#)).await;
    settled().await;
    for other in [
        r#"[1,"a/b",{"y":1.0,"x":[]}]"#,
        r#"[1,"a/b",{"x":[],"y":1}]"#,
        r#"[1,"a b",{"x":[],"y":1.0}]"#,
        r#""[1,\"a/b\",{\"x\":[],\"y\":1.0}]""#,
    ] {
        peer.send(&format!(r#"{{"method":"$/cancelRequest","params":[{other}],"id":null}}"#)).await;
    }
    peer.expect_silence().await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (0, 1));
    let other = r#"[1,"\u0061/b",{"\u0078":[],"y":1.0}]"#;
    peer.send(&format!(r#"{{"method":"$/cancelRequest","params":[{other}],"id":null}}"#)).await;
    let error = r#"{"code":-32800,"message":"the request was cancelled"}"#;
    peer.expect(&format!(r#"{{"result":null,"error":{error},"id":{own}}}"#)).await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));
}

// Subscriptions of ours.

fn item(id: &str, item: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"i","params":{{"subscription":{id},"result":{item}}}}}"#)
}

fn about(method: &str, id: &str, rest: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"subscription":{id}{rest}}}}}"#)
}

/// The peer answers with this id, behind these messages.
async fn subscribed(id: &str, early: &[String]) -> (Raw<DuplexStream>, Session, Subscription<u64>) {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let items = {
        let subscribing = session.subscribe::<u64>("s", ()).unsubscribe_with("u").into_future();
        let answer = async {
            peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
            for message in early {
                peer.send(message).await;
            }
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{id}}}"#)).await;
        };
        tokio::join!(subscribing, answer).0.expect("begun")
    };
    (peer, session, items)
}

#[tokio::test(start_paused = true)]
async fn items_find_their_subscription_and_it_ends_under_the_peers_own_spelling() {
    let nested = (r#"["a\/b", 1.0]"#, r#"["a/b",1.0]"#);
    for (own, other) in SAME.into_iter().chain([nested]) {
        let early = [item(other, 0), item(own, 1)];
        let (mut peer, session, mut items) = subscribed(own, &early).await;
        for n in 2..6 {
            // In rows and in turns, awaited and not.
            peer.send(&item(if n % 2 == 0 { other } else { own }, n)).await;
            peer.send(&item(other, n)).await;
        }
        for n in [0, 1, 2, 2, 3, 3, 4, 4, 5, 5] {
            let came = soon(items.next()).await.expect("one more").expect("an item");
            assert_eq!(came, n, "{own} {other}");
        }
        let mut next = items.next();
        assert!(is_pending(&mut next));
        peer.send(&item(other, 6)).await;
        assert_eq!(soon(next).await.expect("one more").expect("an item"), 6);
        drop(items);
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"u","params":[{own}]}}"#)).await;
        assert_eq!(session.subscriptions(), 0);

        let (mut peer, _session, mut items) = subscribed(own, &[]).await;
        peer.send(&about("rpc.lost", other, r#","items":3"#)).await;
        let lost = soon(items.next()).await.expect("a loss").expect_err("a loss");
        assert_eq!(lost.to_string(), "3 items were lost");
        peer.send(&about("rpc.ended", other, "")).await;
        assert!(soon(items.next()).await.is_none(), "{own} {other}");
    }
}

#[tokio::test(start_paused = true)]
async fn items_of_another_id_are_of_another_subscription() {
    for (own, other) in DIFFERENT {
        let (mut peer, _session, mut items) = subscribed(own, &[item(other, 0)]).await;
        peer.send(&item(other, 1)).await;
        peer.send(&about("rpc.ended", other, "")).await;
        peer.send(&item(own, 2)).await;
        assert_eq!(soon(items.next()).await.expect("one").expect("an item"), 2, "{own} {other}");
    }
}

// Subscriptions of theirs.

#[tokio::test(start_paused = true)]
async fn a_peer_unsubscribes_however_it_spells_the_id() {
    let (sender, receiver) = mpsc::unbounded::<u64>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "i").with_unsubscribe("u");
    let router = Router::new().subscription(
        MethodInfo::request("s").with_subscription(info),
        move |_: Params, _: Context| {
            let feed = receiver.lock().expect("no panic").take().expect("one subscriber");
            async move { Ok::<_, ErrorObject>(feed) }
        },
    );
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    let reply: Value = serde_json::from_str(&peer.ask(&request("1", "s")).await).expect("JSON");
    let id = reply["result"].as_str().expect("an id").to_owned();
    let unsubscribe =
        |id: &str| format!(r#"{{"jsonrpc":"2.0","id":2,"method":"u","params":{{"subscription":{id}}}}}"#);
    for other in [format!(r#""{}""#, id.to_uppercase()), format!(r#""\\u0030{}""#, &id[1..])] {
        peer.send(&unsubscribe(&other)).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":false}"#).await;
    }
    assert_eq!(session.subscriptions_served(), 1);
    peer.send(&unsubscribe(&format!(r#""\u0030{}""#, &id[1..]))).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":true}"#).await;
    settled().await;
    assert!(sender.is_closed());
    assert_eq!(session.subscriptions_served(), 0);
}

// Tokens.

/// Where a token stands in a request, what its reports are called, and a report.
type Style = (SubscriptionStyle, fn(&str) -> String, fn(&str, u64) -> String);

const STYLES: [Style; 2] = [
    (
        SubscriptionStyle::Progress,
        |token| format!(r#"{{"workDoneToken":{token}}}"#),
        |token, n| {
            let value = format!(r#"{{"progress":{n}}}"#);
            let params = format!(r#"{{"token":{token},"value":{value}}}"#);
            format!(r#"{{"jsonrpc":"2.0","method":"$/progress","params":{params}}}"#)
        },
    ),
    (
        SubscriptionStyle::McpProgress,
        |token| format!(r#"{{"_meta":{{"progressToken":{token}}}}}"#),
        |token, n| {
            let params = format!(r#"{{"progressToken":{token},"progress":{n}}}"#);
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
        },
    ),
];

#[tokio::test(start_paused = true)]
async fn reports_find_the_call_whose_token_they_carry() {
    for (style, asked, report) in STYLES {
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        let working = session.subscribe::<Progress<Value, u64>>("work", ()).style(style).into_future();
        let reports = async {
            let params = asked(r#""1""#);
            peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"work","params":{params}}}"#)).await;
            peer.send(&report("1", 0)).await;
            peer.send(&report(r#""\u0031""#, 1)).await;
            peer.send(&report(r#""\\u0031""#, 2)).await;
            peer.send(&report(r#""1""#, 3)).await;
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":4}"#).await;
        };
        let work = tokio::join!(working, reports).0.expect("begun");
        let items: Vec<_> = soon(work.map(|item| item.expect("an item")).collect()).await;
        let step = |n: u64| Progress::Step(json!({"progress": n}));
        assert_eq!(items, [step(1), step(3), Progress::Done(4)]);
    }
}

/// Each work takes its steps from the next of these.
fn working(style: SubscriptionStyle, overflow: Overflow) -> (Vec<mpsc::UnboundedSender<u64>>, Router) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::unbounded::<u64>()).unzip();
    let receivers = std::sync::Mutex::new(receivers.into_iter());
    let item = style.item().expect("it has one");
    let info = SubscriptionInfo::new(style, item).with_overflow(overflow);
    let router = Router::new().progress(
        MethodInfo::request("work").with_subscription(info),
        move |_: Params, _: Context| {
            let feed = receivers.lock().expect("no panic").next().expect("two ask");
            let steps = feed.map(|n| match n {
                0 => Progress::Done(0),
                n => Progress::Step(json!({"progress": n})),
            });
            async move { Ok::<_, ErrorObject>(steps) }
        },
    );
    (senders, router)
}

#[tokio::test(start_paused = true)]
async fn reports_repeat_a_token_byte_for_byte_and_a_token_is_one_however_it_is_spelled() {
    for (style, asked, report) in STYLES {
        for (own, other) in SAME {
            let (feeds, router) = working(style, Overflow::Wait);
            let (mut peer, _session) = Raw::peer_of(router, Limits::server());
            let ask = |id: u64, token: &str| {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"work","params":{}}}"#, asked(token))
            };
            peer.send(&ask(1, own)).await;
            settled().await;
            feeds[0].unbounded_send(1).expect("it is at work");
            peer.expect(&report(own, 1)).await;
            // Another request takes the token: what the first one does is not reported any more.
            peer.send(&ask(2, other)).await;
            settled().await;
            feeds[0].unbounded_send(2).expect("it is at work");
            feeds[1].unbounded_send(3).expect("it is at work");
            peer.expect(&report(other, 3)).await;
            for (feed, id) in feeds.iter().zip([1, 2]) {
                feed.unbounded_send(0).expect("it is at work");
                peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":0}}"#)).await;
            }
        }
        for (own, other) in DIFFERENT {
            let (feeds, router) = working(style, Overflow::Wait);
            let (mut peer, _session) = Raw::peer_of(router, Limits::server());
            for (id, token) in [(1, own), (2, other)] {
                let params = asked(token);
                peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"work","params":{params}}}"#))
                    .await;
            }
            settled().await;
            for (feed, token) in feeds.iter().zip([own, other]) {
                feed.unbounded_send(1).expect("it is at work");
                peer.expect(&report(token, 1)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_of_work_is_told_under_its_token_byte_for_byte() {
    for (style, asked, _) in STYLES {
        let (feeds, router) = working(style, Overflow::DropOldest);
        let mut limits = Limits::server();
        limits.subscription_items = 4;
        let (mut peer, _session) = Raw::narrow_peer_of(64, router, limits);
        let params = asked(r#""a\/b""#);
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"work","params":{params}}}"#);
        peer.send(&marked(&request)).await;
        (1..1000).for_each(|n| feeds[0].unbounded_send(n).expect("it is at work"));
        settled().await;
        feeds[0].unbounded_send(0).expect("it is at work");
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.contains(r#""result":0"#)) {
            lines.push(peer.line().await.expect("a line"));
        }
        let lost: Vec<_> = lines.iter().filter(|line| line.contains("rpc.lost")).collect();
        assert!(!lost.is_empty(), "{lines:?}");
        assert!(
            lost.iter().all(|line| line.contains(r#"{"subscription":{"token":"a\/b"},"items":"#)),
            "{lost:?}"
        );
    }
}
