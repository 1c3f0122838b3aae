//! What is said of a subscription besides its items goes to peers that are known to take it, and to no others.

use futures::{StreamExt, stream};
use rpc::{
    Connector, Context, ErrorObject, Limits, MethodInfo, Notices, Overflow, Params, Protocol, Server,
    Session, SubscriptionInfo, SubscriptionStyle,
    transport::websocket::{WebSocket, WebSocketClient, WebSocketServer},
};
use rpc_tests::{
    Events, Raw, marked, settled,
    websocket::{WsPeer, answer, header, request},
};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use super::{counting, fed};

const COUNT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"count","params":[0,1]}"#;

/// A subscriber by hand, of a session that is served as `with` says.
async fn subscriber(with: impl FnOnce(Connector) -> Connector) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| with(connector.limits(Limits::server()))).await
}

/// How many notices come behind the only item of a subscription that is asked for so.
async fn notices(peer: &mut Raw<DuplexStream>, request: &str) -> usize {
    let reply = peer.ask(request).await;
    assert!(reply.contains("result"), "{reply}");
    assert!(peer.line().await.expect("an item").contains("result"));
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    let mut notices = 0;
    loop {
        let line = peer.line().await.expect("more");
        if line.contains("pong") {
            return notices;
        }
        assert!(line.contains("rpc.ended"), "{line}");
        notices += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_ours_says_that_we_take_them_and_is_the_same_to_others() {
    for (protocol, request) in [
        (Protocol::V2, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"s\",\"params\":[5] \t}"),
        (Protocol::V1, "{\"method\":\"s\",\"params\":[5],\"id\":1 \t}"),
    ] {
        for style in [SubscriptionStyle::PubSub, SubscriptionStyle::Electrum] {
            let (mut peer, session) = Raw::peer_with(|connector| connector.protocol(protocol)).await;
            let subscribe = tokio::spawn({
                let session = session.clone();
                async move { session.subscribe::<u8>("s", (5,)).style(style).await.map(drop) }
            });
            assert_eq!(peer.exact_line().await.as_deref(), Some(request), "{style:?}");
            subscribe.abort();
            session.notify("s", (5,)).await.expect("sent");
            assert!(peer.exact_line().await.expect("a notification").ends_with(['}', ']']));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_so_gets_none_and_its_place_is_free() {
    let (mut peer, session) = subscriber(|connector| connector.service(counting())).await;
    assert_eq!(notices(&mut peer, COUNT).await, 0);
    assert_eq!(session.subscriptions_served(), 0);
    // White space of other kinds means nothing.
    for end in ["}", " }", "\t}", "\n}", "\t }", "  }"] {
        let request = format!("{}{end}", COUNT.strip_suffix('}').expect("an object"));
        if !request.contains('\n') {
            assert_eq!(notices(&mut peer, &request).await, 0, "{end:?}");
        }
    }
    assert_eq!(notices(&mut peer, &marked(COUNT)).await, 1);
    // What it has said once it need not say again.
    assert_eq!(notices(&mut peer, COUNT).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_says_nothing_of_them() {
    let (mut peer, _session) = subscriber(|connector| connector.service(counting())).await;
    assert!(peer.ask(&marked(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)).await.contains("pong"));
    assert_eq!(notices(&mut peer, COUNT).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_batch_says_it_too() {
    let (mut peer, _session) = subscriber(|connector| connector.service(counting())).await;
    let answer = peer.ask(&format!("[{}]", marked(COUNT))).await;
    assert!(answer.starts_with('['), "{answer}");
    assert!(peer.line().await.expect("an item").contains(r#""result":0"#));
    assert!(peer.line().await.expect("the end").contains("rpc.ended"));
}

/// A subscription of Electrum's style, and one that fails, whose subscriber is told by the log of the server only.
#[tokio::test(start_paused = true)]
async fn without_them_a_failure_is_in_the_log() {
    let events = Events::capture();
    let (mut peer, session) = subscriber(|connector| connector.service(counting())).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"panics"}"#).await;
    let came = [peer.line().await, peer.line().await, peer.line().await];
    assert!(came.iter().flatten().all(|line| line.contains("result")), "{came:?}");
    peer.expect_silence().await;
    assert_eq!(session.subscriptions_served(), 0);
    let told = "a subscription has failed, and its subscriber is not told: it is not known to take notices (`Notices`)";
    assert_eq!(events.of(told).len(), 1, "{:?}", events.all());
    assert_eq!(events.of(told)[0].field("rpc.method"), "panics");
}

#[tokio::test(start_paused = true)]
async fn without_them_the_oldest_items_are_dropped_in_silence() {
    let (sender, router) = fed(Overflow::DropOldest);
    let mut limits = Limits::server();
    limits.subscription_items = 3;
    let (mut peer, _session) = Raw::narrow_peer_of(64, router, limits);
    let reply = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
    assert!(reply.contains("result"), "{reply}");
    for n in 0..1000 {
        sender.clone().try_send(json!(n)).expect("there is room");
    }
    settled().await;
    let mut came = 0;
    loop {
        let line: Value = serde_json::from_str(&peer.line().await.expect("more")).expect("JSON");
        assert_eq!(line["method"], "item", "{line}");
        came += 1;
        if line["params"]["result"] == 999 {
            break;
        }
    }
    assert!(came < 100, "{came}");
}

#[tokio::test(start_paused = true)]
async fn the_service_or_the_connector_may_ask_for_them_and_the_connector_may_refuse() {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item").with_notices();
    let asking = || {
        counting().subscription(
            MethodInfo::request("told").with_subscription(info),
            async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::iter([0])),
        )
    };
    const TOLD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"told"}"#;
    for (setting, of_count, of_marked, of_told) in
        [(Notices::Negotiated, 0, 1, 1), (Notices::Always, 1, 1, 1), (Notices::Never, 0, 0, 0)]
    {
        for (request, expected) in
            [(COUNT, of_count), (&*marked(COUNT), of_marked), (TOLD, of_told), (&*marked(TOLD), of_told)]
        {
            let (mut peer, _session) =
                subscriber(|connector| connector.notices(setting).service(asking())).await;
            assert_eq!(notices(&mut peer, request).await, expected, "{setting:?}: {request}");
            let server =
                Server::builder().notices(setting).service(asking()).build().expect("a server").start();
            let (here, there) = rpc::transport::memory(64 << 10);
            let _session = server.attach(there);
            assert_eq!(notices(&mut Raw::over(here), request).await, expected, "{setting:?}: {request}");
        }
    }
}

/// How many notices come of a subscription that is asked for over a WebSocket, without a mark.
async fn notices_over_websocket(peer: &mut WsPeer<DuplexStream>) -> usize {
    let reply = peer.ask(COUNT).await;
    assert!(reply.contains("0x"), "{reply}");
    let mut came = 0;
    for n in 2.. {
        let text = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#)).await;
        came += usize::from(text.contains("rpc.ended"));
        if text.contains("pong") {
            break;
        }
    }
    came
}

/// The header that a client by hand brings, the one that it gets back, and how many notices.
async fn over_websocket(headers: &str) -> (Option<String>, usize) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let mut peer = WsPeer::over(here, true);
    let asking = async {
        peer.write(request("localhost", "/", headers)).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        header(&head, "rpc-notices").map(str::to_owned)
    };
    let options = WebSocketServer::new();
    let (accepted, answered) = tokio::join!(WebSocket::accept(there, &options), asking);
    let connector = Connector::over_websocket(accepted.expect("a handshake")).service(counting());
    let _session = connector.connect().await.expect("connected");
    (answered, notices_over_websocket(&mut peer).await)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_of_websocket_agrees_on_them() {
    const ALL: &str = "rpc.ended, rpc.lost, rpc.closing, rpc.cancel";
    assert_eq!(over_websocket("").await, (None, 0));
    let all = Some(ALL.to_owned());
    assert_eq!(over_websocket("Rpc-Notices: rpc.ended, rpc.lost\r\n").await, (all.clone(), 1));
    assert_eq!(
        over_websocket("rpc-notices: rpc.lost\r\nRPC-Notices: rpc.ended,x\r\n").await,
        (all.clone(), 1)
    );
    // Some of what is sent would come unasked.
    assert_eq!(over_websocket("Rpc-Notices: rpc.ended\r\n").await, (all, 0));
}

/// The connecting side says it, and takes the server's word where that subscribes here.
#[tokio::test(start_paused = true)]
async fn a_server_of_websocket_may_say_it_in_its_answer() {
    for (headers, expected) in [("", 0), ("Rpc-Notices: rpc.ended, rpc.lost\r\n", 1)] {
        let (here, there) = rpc::transport::memory(64 << 10);
        let mut peer = WsPeer::over(there, false);
        let url = "ws://localhost/".parse().expect("a URL");
        let serving = async {
            let head = peer.head().await;
            assert_eq!(
                header(&head, "rpc-notices"),
                Some("rpc.ended, rpc.lost, rpc.closing, rpc.cancel"),
                "{head}"
            );
            peer.write(answer(header(&head, "sec-websocket-key").expect("a key"), headers)).await;
        };
        let options = WebSocketClient::new();
        let (connected, ()) = tokio::join!(WebSocket::connect(here, &url, &options), serving);
        let connector = Connector::over_websocket(connected.expect("a handshake")).service(counting());
        let _session = connector.connect().await.expect("connected");
        assert_eq!(notices_over_websocket(&mut peer).await, expected, "{headers}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_sides_of_ours_need_no_word_for_it() {
    let (session, peer) = rpc::testing::pair(counting(), counting());
    for session in [&session, &peer] {
        let items = session.subscribe::<u64>("count", (0, 10)).await.expect("begun");
        assert_eq!(items.count().await, 10);
    }
}
