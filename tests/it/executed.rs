//! Each error says whether the call was carried out.

use std::time::Duration;

use rpc::{
    BatchError, CallError, Cancellation, CloseReason, Connector, Context, ErrorCode, ErrorObject, Executed,
    Limits, MethodInfo, Order, OutgoingBatch, Params, Router, RpcError, Server, rpc_service, testing,
};
use rpc_tests::{Gate, Raw, is_pending, settled, waiting};
use serde_json::{Value, json};

/// The data of an error answer.
fn data(answer: &str) -> Value {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    answer["error"]["data"].clone()
}

/// A handler that waits for us, when there is no place for another request.
#[tokio::test(start_paused = true)]
async fn a_request_for_which_there_is_no_place_was_not_carried_out() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
    let mut call = Box::pin(session.call::<Value>("back", (1,)).into_future());
    assert!(is_pending(&mut call));
    peer.line().await.expect("the call");
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":2,"method":"wait"}"#).await;
    assert!(answer.contains("-102"), "{answer}");
    assert_eq!(data(&answer), json!({"executed": false}));
    let batch = peer.ask(r#"[{"jsonrpc":"2.0","id":3,"method":"wait"}]"#).await;
    assert!(batch.contains(r#""data":{"executed":false}"#), "{batch}");
    assert_eq!(gate.entered(), 1);
}

/// Whether a call that `ended` had left, which it says itself.
fn had_left(ended: Result<Value, CallError>) -> bool {
    match ended {
        Err(error @ CallError::Closed { sent, .. }) => {
            let executed = if sent { Executed::Perhaps } else { Executed::No };
            assert_eq!(error.executed(), executed, "{error:?}");
            sent
        }
        other => panic!("{other:?}"),
    }
}

/// What the transport has taken one byte of may have been carried out, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_call_that_had_not_left_when_the_session_ended_was_not_carried_out() {
    for more in [0, 1, 60] {
        let (_here, there) = rpc::transport::memory(LINE + more);
        let limits = Limits::client().with_send_timeout(Duration::from_secs(5));
        let session = Connector::over(there).limits(limits).connect().await.expect("connected");
        let mut calls: Vec<_> =
            (0..3).map(|n| Box::pin(session.call::<Value>("call", (n,)).into_future())).collect();
        for call in &mut calls {
            assert!(is_pending(call));
        }
        settled().await;
        // Behind them, and not taken by the loop yet.
        let mut late = Box::pin(session.call::<Value>("call", (3,)).into_future());
        assert!(is_pending(&mut late));
        assert!(matches!(session.closed().await, CloseReason::SendTimeout { .. }));
        let mut ends = Vec::new();
        for call in calls {
            ends.push(had_left(call.await));
        }
        ends.push(had_left(late.await));
        let begun = 1 + more.div_ceil(LINE);
        let expected: Vec<_> = (0..4).map(|n| n < begun).collect();
        assert_eq!(ends, expected, "{more} bytes of the second were taken");
        assert!(!had_left(session.call("call", ()).await), "there is no session");
    }
}

/// The length of each of the calls above as a line.
const LINE: usize = r#"{"jsonrpc":"2.0","id":1,"method":"call","params":[0]}"#.len() + 1;

#[tokio::test(start_paused = true)]
async fn a_call_that_an_abort_keeps_from_leaving_does_not_leave() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut first = Box::pin(session.call::<Value>("call", (0,)).into_future());
    assert!(is_pending(&mut first));
    settled().await;
    let mut second = Box::pin(session.call::<Value>("call", (1,)).into_future());
    assert!(is_pending(&mut second));
    session.abort();
    assert_eq!((had_left(first.await), had_left(second.await)), (true, false));
    assert!(peer.line().await.expect("the first").contains("[0]"));
    peer.expect_end().await;
    // A close lets what was sent leave.
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut call = Box::pin(session.call::<Value>("call", (0,)).into_future());
    assert!(is_pending(&mut call));
    session.start_close();
    assert!(had_left(call.await));
    assert!(peer.line().await.expect("the call").contains("[0]"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_took_too_long_was_perhaps_carried_out() {
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_secs(1));
    let gate = Gate::closed();
    let (session, _peer) = testing::pair_with((), Limits::client(), waiting(&gate), limits);
    let error = session.call::<Value>("wait", ()).await.expect_err("it waits for ever");
    assert!(matches!(&error, CallError::Rpc(error) if error.code() == ErrorCode::SERVER_BUSY), "{error:?}");
    assert_eq!(error.executed(), Executed::Perhaps);
    assert_eq!(gate.entered(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_taken_back_before_it_began_was_not_carried_out() {
    let gate = Gate::closed();
    let turns = gate.clone();
    let ordered = MethodInfo::request("turn").with_order(Order::Exclusive);
    let router = Router::new().method(ordered, move |_: Params, _: Context| {
        let turns = turns.clone();
        async move {
            turns.pass().await;
            Ok::<_, ErrorObject>(1)
        }
    });
    let (mut peer, _session) =
        Raw::peer_with(|connector| connector.cancellation(Cancellation::LSP).service(router)).await;
    for id in [1, 2] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"turn"}}"#)).await;
    }
    let cancel = |id| format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{id}}}}}"#);
    let waiting = peer.ask(&cancel(2)).await;
    assert_eq!(data(&waiting), json!({"executed": false}), "{waiting}");
    let begun = peer.ask(&cancel(1)).await;
    assert_eq!(data(&begun), Value::Null, "{begun}");
    assert_eq!(gate.entered(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_too_many_was_told_that_nothing_was_carried_out() {
    let mut limits = Limits::server();
    limits.connections = 1;
    let server = Server::builder().service(()).limits(limits).bind("tcp://127.0.0.1:0").await;
    let server = server.expect("a free port").start();
    let _first =
        Connector::new(&server.endpoint().to_string()).expect("a URL").connect().await.expect("room");
    let mut second = Raw::connect(server.endpoint()).await;
    let told = second.line().await.expect("an answer");
    assert!(told.contains("-102") && told.contains(r#""id":null"#), "{told}");
    assert_eq!(data(&told), json!({"executed": false}));
}

/// The members of a batch that were not begun when the session closed.
#[tokio::test(start_paused = true)]
async fn members_that_a_closing_session_does_not_begin_were_not_carried_out() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(r#"[{"jsonrpc":"2.0","id":1,"method":"wait"},{"jsonrpc":"2.0","id":2,"method":"wait"}]"#).await;
    settled().await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    settled().await;
    gate.open();
    let answers: Value = serde_json::from_str(&peer.line().await.expect("the answers")).expect("JSON");
    assert!(answers[0]["result"] != Value::Null || answers[1]["result"] != Value::Null, "{answers}");
    let refused: Vec<&Value> =
        answers.as_array().expect("two").iter().filter(|a| a["error"] != Value::Null).collect();
    assert_eq!(refused.len(), 1, "{answers}");
    assert_eq!(refused[0]["error"]["data"], json!({"executed": false}));
    drop(closing);
}

#[derive(Debug, thiserror::Error, RpcError)]
enum Refused {
    #[error("no")]
    #[rpc(code = -102)]
    OfItsOwn,
    #[error("out of stock")]
    #[rpc(code = 7)]
    OutOfStock,
}

#[rpc_service]
trait Shop {
    async fn buy(&self, kind: u8) -> Result<u8, Refused>;
}

struct Closed;

impl Shop for Closed {
    async fn buy(&self, kind: u8) -> Result<u8, Refused> {
        match kind {
            0 => Err(Refused::OutOfStock),
            1 => Err(Refused::OfItsOwn),
            _ => panic!("on purpose"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_call_says_it() {
    let (session, _peer) = testing::pair((), ShopServer::new(Closed));
    let shop = ShopClient::from(session.clone());
    // What a handler declares is its answer, whatever its code.
    for kind in [0, 1] {
        let error = shop.buy(kind).await.expect_err("nothing is sold");
        assert!(matches!(error, CallError::Service(_)), "{error:?}");
        assert_eq!(error.executed(), Executed::Yes);
    }
    assert_eq!(shop.buy(2).await.expect_err("it panics").executed(), Executed::Perhaps);
    let unknown = session.call::<u8>("unknown", ()).await.expect_err("there is none");
    assert_eq!(unknown.executed(), Executed::No);
    let params = session.call::<u8>("buy", ("x",)).await.expect_err("it is no number");
    assert_eq!(params.executed(), Executed::No);
    let encode = session.call::<u8>("buy", (std::collections::HashMap::from([(vec![1], 2)]),)).await;
    let encode = encode.expect_err("it has keys that are no texts");
    assert!(matches!(encode, CallError::Encode { .. }), "{encode:?}");
    assert_eq!(encode.executed(), Executed::No);

    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut answered = async |answer: &str| {
        let asking = tokio::spawn({
            let session = session.clone();
            async move { session.call::<u8>("m", ()).await }
        });
        let request: Value = serde_json::from_str(&peer.line().await.expect("a call")).expect("JSON");
        let id = request["id"].to_string();
        peer.send(&answer.replace("ID", &id)).await;
        asking.await.expect("no panic").expect_err("an error")
    };
    let decode = answered(r#"{"jsonrpc":"2.0","id":ID,"result":"a text"}"#).await;
    assert!(matches!(decode, CallError::Decode { .. }), "{decode:?}");
    assert_eq!(decode.executed(), Executed::Yes);
    let malformed = answered(r#"{"jsonrpc":"2.0","id":ID,"result":1,"error":{"code":1,"message":""}}"#).await;
    assert!(matches!(malformed, CallError::Protocol { .. }), "{malformed:?}");
    assert_eq!(malformed.executed(), Executed::Perhaps);
    let busy =
        r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-102,"message":"busy","data":{"executed":false}}}"#;
    assert_eq!(answered(busy).await.executed(), Executed::No);

    let late = session.call::<u8>("m", ()).timeout(Duration::from_secs(1)).await.expect_err("no answer");
    assert_eq!(late.executed(), Executed::Perhaps);
    let batch = OutgoingBatch::new().call("m", &()).expect("no parameters");
    session.abort();
    let closed = session.call::<u8>("m", ()).await.expect_err("it is closed");
    assert!(matches!(closed, CallError::Closed { reason: CloseReason::Aborted, sent: false }));
    assert_eq!(closed.executed(), Executed::No);
    let batch = session.batch(batch).await.expect_err("it is closed");
    assert!(matches!(batch, BatchError::Closed(_)), "{batch:?}");
    assert_eq!(batch.executed(), Executed::No);
}
