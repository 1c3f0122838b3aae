//! What ends only in sessions: requests that wait for their turn or find no place, and streams.

use std::time::Duration;

use futures::{StreamExt, stream};
use rpc::{
    Cancellation, Connector, Context, ErrorObject, Limits, MethodInfo, Order, Params, Progress, Router,
    SubscriptionStyle, testing,
};
use rpc_tests::{Events, Gate, Raw, is_pending, settled, waiting};
use serde_json::Value;
use tracing::Level;

use super::{
    acts::{Actor, ActsClient, ActsServer, Unreadable, say},
    endings::{End, Ends, nothing_leaks},
};

fn end(method: &str, outcome: &str, code: Option<i64>) -> End {
    (method.to_owned(), true, outcome.to_owned(), code)
}

fn request(id: u32, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#)
}

/// `wait` is alone, so whatever comes behind it waits for its turn.
fn one_by_one(gate: &Gate) -> Router {
    let gate = gate.clone();
    let info = MethodInfo::request("wait").with_order(Order::Exclusive);
    Router::new().method(info, move |_: Params, _: Context| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, ErrorObject>(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_turn_has_an_end_all_the_same() {
    let (events, gate) = (Events::capture(), Gate::closed());
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.service(one_by_one(&gate)).cancellation(Cancellation::LSP))
            .await;
    for id in 1..=3 {
        peer.send(&request(id, "wait")).await;
    }
    settled().await;
    assert_eq!(gate.entered(), 1, "the others wait");
    peer.send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":2}}"#).await;
    settled().await;
    let [cancelled] = &events.of("request")[..] else { panic!("{:?}", events.all()) };
    assert_eq!(cancelled.field("outcome"), "cancelled");
    assert_eq!(cancelled.field("jsonrpc.request.id"), "2");
    assert_eq!(cancelled.field("duration"), "1ms", "the time that it has waited");
    gate.let_through(1);
    settled().await;
    session.abort();
    let ends = Ends::new(&events, "memory:").next(3).await;
    let expected = ["abandoned", "cancelled", "result"].map(|outcome| end("wait", outcome, None));
    assert_eq!(ends, expected);
    nothing_leaks(&events);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_too_late_is_said_to_be_unknown() {
    let events = Events::capture();
    let (mut peer, _session) = Raw::peer_with(|connector| connector.cancellation(Cancellation::LSP)).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a"}}"#).await;
    settled().await;
    let [unknown] = &events.of("the peer cancels a request that is not at work")[..] else {
        panic!("{:?}", events.all());
    };
    assert_eq!((unknown.field("jsonrpc.request.id"), unknown.level), (r#""a""#, Level::DEBUG));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_which_there_is_no_place_is_refused() {
    let (events, gate) = (Events::capture(), Gate::closed());
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    // While a call of the session's own waits for its reply, nothing is held back.
    let mut call = Box::pin(session.call::<Value>("own", ()).into_future());
    assert!(is_pending(&mut call));
    peer.line().await.expect("the call");
    peer.send(&request(1, "wait")).await;
    peer.send(&request(2, "echo")).await;
    peer.send(&format!("[{}]", request(3, "echo"))).await;
    settled().await;
    gate.open();
    let ends = Ends::new(&events, "memory:").next(3).await;
    let busy = || end("echo", "refused", Some(-102));
    assert_eq!(ends, [busy(), busy(), end("wait", "result", None)]);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_batch_is_refused_when_its_session_closes() {
    let (events, gate) = (Events::capture(), Gate::closed());
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let note = r#"{"jsonrpc":"2.0","method":"echo"}"#;
    peer.send(&format!(r#"[{},{},{note},{{"id":3}}]"#, request(1, "wait"), request(2, "echo"))).await;
    settled().await;
    session.start_close();
    settled().await;
    gate.open();
    let ends = Ends::new(&events, "memory:").next(3).await;
    let note = ("echo".to_owned(), false, "refused".to_owned(), Some(-102));
    assert_eq!(ends, [note, end("echo", "refused", Some(-102)), end("wait", "result", None)]);
    let [malformed] = &events.of("request refused")[..] else { panic!("{:?}", events.all()) };
    assert_eq!(malformed.field("jsonrpc.request.id"), "3");
}

/// A request is scanned, and where it cannot be served it is read in full: that is one request, or none.
#[tokio::test(start_paused = true)]
async fn what_turns_out_to_be_no_request_has_no_end() {
    let events = Events::capture();
    let (mut peer, _session) = Raw::peer_of(ActsServer::new(Actor(Gate::closed())), Limits::server());
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"value","params":[1,}]}"#).await;
    settled().await;
    assert!(events.of("request").is_empty(), "{:?}", events.of("request"));
    assert_eq!((events.of("request refused").len(), events.open_spans()), (1, 0));
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"value","params":["one"]}"#).await;
    assert_eq!(Ends::new(&events, "memory:").next(1).await, [end("value", "refused", Some(-32602))]);
    assert_eq!(events.of("request refused").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_has_the_outcome_of_its_request_and_its_stream_runs_in_the_span() {
    let (events, gate) = (Events::capture(), Gate::closed());
    let (session, _peer) = testing::pair((), ActsServer::new(Actor(gate)));
    let acts = ActsClient::from(session.clone());
    let mut ends = Ends::new(&events, "memory:");
    let numbers = acts.count(3).await.expect("it begins");
    assert_eq!(numbers.count().await, 3);
    assert!(acts.count(0).await.is_err());
    let expected = [end("count", "error", Some(-7)), end("count", "result", None)];
    assert_eq!(ends.next(2).await, expected);
    // Twice before each reply, and at each item.
    assert_eq!(events.of("a handler says").len(), 2 * 2 + 3);
    // The end of a subscription is a request of its own.
    drop(acts.count(u64::MAX).await.expect("it begins"));
    let ended = ("unsubscribe_count".to_owned(), true, "result".to_owned(), None);
    assert_eq!(ends.next(2).await, [end("count", "result", None), ended]);
    nothing_leaks(&events);
}

/// That is no error of the peer's.
#[tokio::test(start_paused = true)]
async fn a_panic_where_the_parameters_of_a_subscription_are_read_is_the_services() {
    let events = Events::capture();
    let (session, peer) = testing::pair((), ActsServer::new(Actor(Gate::closed())));
    assert!(ActsClient::from(session).watch(Unreadable).await.is_err());
    assert_eq!(Ends::new(&events, "memory:").next(1).await, [end("watch", "panicked", None)]);
    assert_eq!(peer.statistics().errors, 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_reports_ends_with_its_reply() {
    let events = Events::capture();
    let progress = |fails: bool| {
        move |_: Params, _: Context| async move {
            let steps = stream::iter([1, 2]).then(async |step| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                say("work");
                Progress::<u8, u8>::Step(step)
            });
            match fails {
                true => Err(ErrorObject::new(-7, "it fails")),
                false => Ok(steps.chain(stream::iter([Progress::Done(3)])).boxed()),
            }
        }
    };
    let router = Router::new().progress("work", progress(false)).progress("fail", progress(true));
    let (session, _peer) = testing::pair((), router);
    for method in ["work", "fail"] {
        let work = session.subscribe::<Progress<u8, u8>>(method, ()).style(SubscriptionStyle::Progress);
        if let Ok(work) = work.await {
            work.count().await;
        }
    }
    let ends = Ends::new(&events, "memory:").next(2).await;
    assert_eq!(ends, [end("fail", "error", Some(-7)), end("work", "result", None)]);
    let took: Vec<_> = events.of("request").iter().map(|end| end.field("duration").to_owned()).collect();
    assert_eq!(took, ["2s", "0ns"]);
    assert_eq!(events.of("a handler says").len(), 2);
    nothing_leaks(&events);
}

/// Notifications of language servers that nobody knows break no rule.
#[tokio::test(start_paused = true)]
async fn an_unknown_notification_that_may_be_left_out_is_unknown_too() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of((), Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","method":"$/setTrace"}"#).await;
    let unknown = ("$/setTrace".to_owned(), false, "unknown".to_owned(), Some(-32601));
    assert_eq!(Ends::new(&events, "memory:").next(1).await, [unknown]);
    assert_eq!(session.statistics().errors, 0);
}

/// Where only more serious events are wanted, nothing is begun.
#[tokio::test(start_paused = true)]
async fn where_nobody_listens_there_is_no_span() {
    let events = Events::capture_down_to(Level::INFO);
    let gate = Gate::closed();
    let router = waiting(&gate).method("look", async |_: Params, _: Context| {
        assert!(tracing::Span::current().is_none());
        say("look");
        Ok::<_, ErrorObject>(())
    });
    let (session, _peer) = testing::pair((), router);
    session.call::<()>("look", ()).await.expect("no span");
    let mut call = Box::pin(session.call::<Value>("wait", ()).into_future());
    assert!(is_pending(&mut call));
    gate.until(|gate| gate.entered() == 1).await;
    assert_eq!((events.open_spans(), events.of("request").len()), (0, 0));
    let [said] = &events.of("a handler says")[..] else { panic!("{:?}", events.all()) };
    assert_eq!(said.span, None);
}

/// A message of the application's own.
struct Text(String);

impl rpc::Message for Text {
    fn read(frame: &[u8]) -> Result<Self, rpc::framing::FrameError> {
        Ok(Self(String::from_utf8_lossy(frame).into_owned()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_applications_own_have_the_same_trace() {
    let events = Events::capture();
    let (here, there) = rpc::transport::memory(1 << 16);
    let takes = async |_, text: Text| {
        if text.0.contains("later") {
            tokio::task::yield_now().await;
        }
        say("message");
        assert!(!text.0.contains("bad"), "a bad message");
    };
    let _server = Connector::over(there).connect_messages(takes).await.expect("connected");
    let client = Connector::over(here).connect_messages(async |_, _: Text| {}).await.expect("connected");
    for text in ["good", "good later", "bad", "bad later"] {
        client.send(&Text(text.to_owned())).await.expect("sent");
    }
    let ends = Ends::new(&events, "memory:").next(4).await;
    let end = |outcome: &str| ("message".to_owned(), false, outcome.to_owned(), None);
    assert_eq!(ends, [end("panicked"), end("panicked"), end("result"), end("result")]);
    nothing_leaks(&events);
}
