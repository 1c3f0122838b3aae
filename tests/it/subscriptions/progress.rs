//! Work that reports how far it is: the call ends with a result, and what is reported on the way carries a token.

use std::time::Duration;

use futures::{Stream, StreamExt, channel::mpsc, stream};
use rpc::{
    CallError, CloseReason, Context, Dispatcher, ErrorCode, ErrorObject, Limits, MethodInfo, Overflow,
    Params, Progress, Router, RpcError, Session, Subscription, SubscriptionError, SubscriptionInfo,
    SubscriptionStyle, rpc_service, testing,
};
use rpc_tests::{Raw, is_pending, settled};
use serde::{Deserialize, Serialize};
use tokio::{io::DuplexStream, time::timeout};

#[derive(Debug, Clone, PartialEq, thiserror::Error, RpcError)]
enum IndexError {
    #[error("there is no such folder")]
    #[rpc(code = 3)]
    NoFolder,
    #[error("a file cannot be read")]
    #[rpc(code = 4)]
    Unreadable,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Share {
    progress: u32,
    total: u32,
}

#[rpc_service]
trait Indexer {
    /// Counts from one, and gives the sum.
    #[rpc(subscription, style = "progress")]
    async fn count(&self, to: u32) -> Result<impl Stream<Item = Progress<u32, u32>>, IndexError>;

    /// Fails behind two steps.
    #[rpc(subscription, style = "progress")]
    async fn fail(&self) -> impl Stream<Item = Result<Progress<u32, u32>, IndexError>>;

    /// Ends without a result.
    #[rpc(subscription, style = "progress")]
    async fn forget(&self) -> impl Stream<Item = Progress<u32, u32>>;

    /// The same, as the Model Context Protocol has it.
    #[rpc(subscription, style = "mcp_progress", name = "tools/call")]
    async fn tool(&self, name: &str) -> impl Stream<Item = Progress<Share, String>>;

    /// What the test feeds.
    #[rpc(subscription, style = "progress", item = "report", token = "on", overflow = "drop_oldest")]
    async fn fed(&self) -> impl Stream<Item = Progress<u32, u32>>;
}

#[derive(Default)]
struct Worker {
    feed: std::sync::Mutex<Option<mpsc::UnboundedReceiver<Progress<u32, u32>>>>,
}

impl Indexer for Worker {
    async fn count(&self, to: u32) -> Result<impl Stream<Item = Progress<u32, u32>>, IndexError> {
        if to == 0 {
            return Err(IndexError::NoFolder);
        }
        let done = Progress::Done((1..=to).sum());
        Ok(stream::iter(1..=to).map(Progress::Step).chain(stream::iter([done])))
    }

    async fn fail(&self) -> impl Stream<Item = Result<Progress<u32, u32>, IndexError>> {
        stream::iter([Ok(Progress::Step(1)), Ok(Progress::Step(2)), Err(IndexError::Unreadable)])
    }

    async fn forget(&self) -> impl Stream<Item = Progress<u32, u32>> {
        stream::iter([Progress::Step(1)])
    }

    async fn tool(&self, name: &str) -> impl Stream<Item = Progress<Share, String>> {
        let steps = [50, 100].map(|progress| Progress::Step(Share { progress, total: 100 }));
        stream::iter(steps).chain(stream::iter([Progress::Done(name.to_uppercase())]))
    }

    async fn fed(&self) -> impl Stream<Item = Progress<u32, u32>> {
        self.feed.lock().expect("no panic").take().expect("one asks")
    }
}

/// A worker whose `fed` gives what is sent.
fn fed() -> (mpsc::UnboundedSender<Progress<u32, u32>>, IndexerServer<Worker>) {
    let (sender, receiver) = mpsc::unbounded();
    let worker = Worker::default();
    *worker.feed.lock().expect("no panic") = Some(receiver);
    (sender, IndexerServer::new(worker))
}

fn client(session: &Session) -> IndexerClient {
    IndexerClient::from(session.clone())
}

async fn all<T, E: RpcError>(stream: Subscription<T, E>) -> Vec<Result<T, SubscriptionError<E>>>
where
    T: serde::de::DeserializeOwned,
{
    timeout(Duration::from_secs(3600), stream.collect()).await.expect("it ends")
}

#[tokio::test(start_paused = true)]
async fn steps_come_in_order_and_the_result_behind_them() {
    let (session, peer) = testing::pair((), IndexerServer::new(Worker::default()));
    let items = all(client(&session).count(1000).await.expect("begun")).await;
    let items: Vec<_> = items.into_iter().map(|item| item.expect("an item")).collect();
    assert_eq!(items.len(), 1001);
    assert!(items[..1000].iter().zip(1..).all(|(item, n)| *item == Progress::Step(n)));
    assert_eq!(items[1000], Progress::Done(500_500));
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
    assert_eq!((peer.subscriptions_served(), peer.requests_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_language_server_speaks_as_the_specification_has_it() {
    let (mut peer, _session) = Raw::peer_of(IndexerServer::new(Worker::default()), Limits::server());
    peer.send(
        r#"{"jsonrpc":"2.0","id":1,"method":"count","params":{"to":2,"workDoneToken":"1d546990-40a3"}}"#,
    )
    .await;
    for step in 1..=2 {
        peer.expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"$/progress","params":{{"token":"1d546990-40a3","value":{step}}}}}"#
        ))
        .await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":3}"#).await;
    // Who brings no token wants the result alone; and then parameters may come by position.
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"count","params":[3]}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":6}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":3,"method":"count","params":{"to":0,"workDoneToken":5}}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":3,"error":{"code":3,"message":"there is no such folder"}}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":4,"method":"count","params":{"to":1,"workDoneToken":{}}}"#).await;
    let refused = peer.line().await.expect("an answer");
    assert!(refused.contains("`workDoneToken` is a string or a number"), "{refused}");
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_model_context_protocol_has_other_names_and_the_token_among_the_members() {
    let (mut peer, _session) = Raw::peer_of(IndexerServer::new(Worker::default()), Limits::server());
    peer.send(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"abc123"},"name":"x"}}"#,
    )
    .await;
    for progress in [50, 100] {
        peer.expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"abc123","progress":{progress},"total":100}}}}"#
        ))
        .await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":"X"}"#).await;

    let (session, _peer) = testing::pair((), IndexerServer::new(Worker::default()));
    let items = all(client(&session).tool("hammer").await.expect("begun")).await;
    let items: Vec<_> = items.into_iter().map(|item| item.expect("an item")).collect();
    let share = |progress| Progress::Step(Share { progress, total: 100 });
    assert_eq!(items, [share(50), share(100), Progress::Done("HAMMER".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn our_requests_carry_the_token_and_reports_of_others_are_not_taken() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let client = client(&session);
    let asked = async {
        let request = peer.line().await.expect("a request");
        let request: serde_json::Value = serde_json::from_str(&request).expect("JSON");
        assert_eq!(request["method"], "count");
        assert_eq!(request["params"]["to"], 2);
        let token = request["params"]["workDoneToken"].clone();
        let step = |token: &serde_json::Value, value: u32| serde_json::json!({"jsonrpc":"2.0","method":"$/progress","params":{"token":token,"value":value}});
        for report in [step(&"other".into(), 7), step(&token, 1), step(&token, 2)] {
            peer.send(&report.to_string()).await;
        }
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":3}"#).await;
        // It is over: this one belongs to nobody, and costs nothing.
        peer.send(&step(&token, 3).to_string()).await;
        peer
    };
    let (work, mut peer) = tokio::join!(client.count(2), asked);
    let items = all(work.expect("begun")).await.into_iter().map(|item| item.expect("an item"));
    assert_eq!(items.collect::<Vec<_>>(), [Progress::Step(1), Progress::Step(2), Progress::Done(3)]);
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_the_calls_own_before_the_first_step_and_the_streams_behind_it() {
    let (session, _peer) = testing::pair((), IndexerServer::new(Worker::default()));
    let client = client(&session);
    let refused = client.count(0).await.expect_err("there is nothing to count");
    assert!(matches!(refused, CallError::Service(IndexError::NoFolder)), "{refused}");

    let items = all(client.fail().await.expect("begun")).await;
    assert!(matches!(
        &items[..],
        [
            Ok(Progress::Step(1)),
            Ok(Progress::Step(2)),
            Err(SubscriptionError::Service(IndexError::Unreadable))
        ]
    ));
    let items = all(client.forget().await.expect("begun")).await;
    let [Ok(Progress::Step(1)), Err(SubscriptionError::Rpc(error))] = &items[..] else { panic!("{items:?}") };
    assert_eq!((error.code(), error.message()), (ErrorCode::INTERNAL_ERROR, "internal error"));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_cancels_the_work() {
    let (feed, service) = fed();
    let (session, peer) = testing::pair((), service);
    feed.unbounded_send(Progress::Step(1)).expect("a stream");
    let mut work = client(&session).fed().await.expect("begun");
    assert_eq!(work.next().await.expect("a step").expect("a step"), Progress::Step(1));
    assert_eq!((peer.subscriptions_served(), peer.requests_in_flight()), (1, 1));
    drop(work);
    settled().await;
    assert!(feed.is_closed(), "the stream is dropped");
    assert_eq!((peer.subscriptions_served(), peer.requests_in_flight()), (0, 0));
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_before_its_first_step_cancels_it_too() {
    let (feed, service) = fed();
    let (session, peer) = testing::pair((), service);
    let client = client(&session);
    let mut work = Box::pin(client.fed().into_future());
    assert!(is_pending(&mut work));
    settled().await;
    assert_eq!(peer.requests_in_flight(), 1);
    drop(work);
    settled().await;
    assert!(feed.is_closed(), "the stream is dropped");
    assert_eq!((session.subscriptions(), session.calls_in_flight(), peer.requests_in_flight()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_answered_as_its_protocol_has_it() {
    let (feed, service) = fed();
    let (mut peer, session) = Raw::peer_of(service, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":"a","method":"fed","params":{"on":1}}"#).await;
    settled().await;
    for other in [r#"{"id":"b"}"#, r#"{"id":1}"#, "{}"] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{other}}}"#)).await;
    }
    peer.expect_silence().await;
    assert_eq!(session.requests_in_flight(), 1);
    peer.send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a"}}"#).await;
    peer.expect(
        r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32800,"message":"the request was cancelled"}}"#,
    )
    .await;
    settled().await;
    assert!(feed.is_closed());

    let (feed, service) = fed();
    let (mut peer, session) = Raw::peer_of(service, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":"a","method":"fed","params":{"on":1}}"#).await;
    settled().await;
    peer.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#).await;
    peer.expect_silence().await;
    assert!(feed.is_closed());
    assert_eq!(session.requests_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_reports_is_not_cut_off_and_work_that_does_not_is() {
    let patience = Limits::server().request_timeout.expect("there is one");
    let (feed, service) = fed();
    let (session, peer) = testing::pair((), service);
    feed.unbounded_send(Progress::Step(0)).expect("a stream");
    let mut work = client(&session).fed().await.expect("begun");
    work.next().await.expect("a step").expect("a step");
    for n in 1..=10 {
        tokio::time::sleep(patience * 3 / 4).await;
        feed.unbounded_send(Progress::Step(n)).expect("a stream");
        assert_eq!(work.next().await.expect("a step").expect("a step"), Progress::Step(n));
    }
    tokio::time::sleep(patience + Duration::from_secs(1)).await;
    let error = work.next().await.expect("an end").expect_err("it took too long");
    assert!(matches!(error, SubscriptionError::Timeout(_) | SubscriptionError::Rpc(_)), "{error}");
    assert!(feed.is_closed());
    assert_eq!((session.calls_in_flight(), peer.requests_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_silent_is_given_up_and_told() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let client = client(&session);
    let mut work = Box::pin(client.count(2).timeout(Duration::from_secs(5)).into_future());
    assert!(is_pending(&mut work));
    let request = peer.line().await.expect("a request");
    let token = request.split("workDoneToken\":").nth(1).expect("a token").trim_end_matches('}').to_owned();
    tokio::time::sleep(Duration::from_secs(4)).await;
    peer.send(&format!(
        r#"{{"jsonrpc":"2.0","method":"$/progress","params":{{"token":{token},"value":1}}}}"#
    ))
    .await;
    let mut work = work.await.expect("begun");
    assert_eq!(work.next().await.expect("a step").expect("a step"), Progress::Step(1));
    let error = work.next().await.expect("an end").expect_err("silence");
    assert!(matches!(error, SubscriptionError::Timeout(after) if after == Duration::from_secs(5)), "{error}");
    assert!(work.next().await.is_none());
    peer.expect(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#).await;
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_work_with_the_cause() {
    let (feed, service) = fed();
    let (session, peer) = testing::pair((), service);
    feed.unbounded_send(Progress::Step(1)).expect("a stream");
    let work = client(&session).fed().await.expect("begun");
    peer.abort();
    let items = all(work).await;
    let [Ok(Progress::Step(1)), Err(SubscriptionError::Closed(reason))] = &items[..] else {
        panic!("{items:?}")
    };
    assert!(matches!(reason, CloseReason::Peer), "{reason}");
    settled().await;
    assert!(feed.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_has_steps_dropped_and_gets_the_result() {
    let mut limits = Limits::server();
    limits.subscription_items = 4;
    let (feed, service) = fed();
    let (mut peer, _session) = Raw::narrow_peer_of(64, service, limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"fed","params":{"on":"t"}}"#).await;
    for n in 0..1000 {
        feed.unbounded_send(Progress::Step(n)).expect("a stream");
    }
    settled().await;
    feed.unbounded_send(Progress::Done(7)).expect("a stream");
    let mut last = String::new();
    let mut lines = 0;
    while !last.contains(r#""result":7"#) {
        last = peer.line().await.expect("a line");
        lines += 1;
    }
    assert!(lines < 1000, "{lines} lines");
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_the_result_is_part_of_the_answer() {
    let (mut peer, _session) = Raw::peer_of(IndexerServer::new(Worker::default()), Limits::server());
    peer.send(concat!(
        r#"[{"jsonrpc":"2.0","id":1,"method":"count","params":{"to":1,"workDoneToken":1}},"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"count","params":{"to":2}}]"#
    ))
    .await;
    peer.expect(r#"{"jsonrpc":"2.0","method":"$/progress","params":{"token":1,"value":1}}"#).await;
    peer.expect(r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"result":3}]"#).await;
    peer.expect_silence().await;
}

/// Sends steps for ever to one who does not read.
async fn reports_that_nobody_reads(overflow: Overflow) -> (Raw<DuplexStream>, Session) {
    let info = SubscriptionInfo::new(SubscriptionStyle::Progress, "$/progress").with_overflow(overflow);
    let router = Router::new().progress(
        MethodInfo::request("work").with_subscription(info),
        async |_: Params, _: Context| {
            Ok::<_, ErrorObject>(
                stream::iter(0..1_000).map(Progress::Step).chain(stream::iter([Progress::Done(7)])),
            )
        },
    );
    let mut limits = Limits::server();
    limits.subscription_items = 4;
    let (mut peer, session) = Raw::narrow_peer_of(64, router, limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"work","params":{"workDoneToken":"t"}}"#).await;
    settled().await;
    (peer, session)
}

#[tokio::test(start_paused = true)]
async fn where_reports_must_not_be_missed_the_work_ends_with_an_error_or_waits() {
    let (mut peer, session) = reports_that_nobody_reads(Overflow::End).await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains(r#""id":1"#)) {
        lines.push(peer.line().await.expect("a line"));
    }
    assert!(lines.last().expect("one").contains("-102") && lines.len() < 100, "{lines:?}");
    peer.expect_silence().await;
    assert_eq!((session.requests_in_flight(), session.subscriptions_served()), (0, 0));

    let (mut peer, _session) = reports_that_nobody_reads(Overflow::Wait).await;
    for n in 0..1_000 {
        let step =
            format!(r#"{{"jsonrpc":"2.0","method":"$/progress","params":{{"token":"t","value":{n}}}}}"#);
        peer.expect(&step).await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
}

#[tokio::test(start_paused = true)]
async fn one_who_takes_steps_slowly_may_have_the_session_wait_for_him() {
    let (session, _peer) = testing::pair((), IndexerServer::new(Worker::default()));
    let client = client(&session);
    let mut work = client.count(1000).buffer(2).overflow(Overflow::Wait).await.expect("begun");
    for n in 1..=1000 {
        // Longer than any timeout, all together.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(work.next().await.expect("a step").expect("a step"), Progress::Step(n));
    }
    assert_eq!(work.next().await.expect("the end").expect("the result"), Progress::Done(500_500));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_be_cancelled_in_a_batch() {
    let (feed, service) = fed();
    let (mut peer, session) = Raw::peer_of(service, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"fed","params":{"on":1}}"#).await;
    settled().await;
    peer.send(r#"[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}]"#).await;
    peer.expect_silence().await;
    assert!(feed.is_closed());
    assert_eq!(session.requests_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_trait_the_names_are_said_by_hand() {
    let info = SubscriptionInfo::new(SubscriptionStyle::Progress, "report").with_token("on");
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let work = session.subscribe::<Progress<u8, u8>>("work", ()).described_by(info);
    let answers = async {
        let request: serde_json::Value =
            serde_json::from_str(&peer.line().await.expect("a request")).expect("JSON");
        let token = &request["params"]["on"];
        assert!(token.is_string(), "{request}");
        peer.send(&format!(
            r#"{{"jsonrpc":"2.0","method":"report","params":{{"token":{token},"value":1}}}}"#
        ))
        .await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":2}"#).await;
    };
    let items = all(tokio::join!(work.into_future(), answers).0.expect("begun")).await;
    assert!(matches!(items[..], [Ok(Progress::Step(1)), Ok(Progress::Done(2))]), "{items:?}");
}

async fn dispatched(dispatcher: &Dispatcher, message: &str) -> String {
    let answer = dispatcher.dispatch(message.as_bytes()).await.expect("an answer");
    String::from_utf8(answer.to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn without_a_session_there_is_the_result_alone_with_a_token_or_without() {
    let dispatcher =
        Dispatcher::builder().service(IndexerServer::new(Worker::default())).build().expect("one");
    for (params, outcome) in [
        ("[3]", r#""result":6"#),
        (r#"{"to":3}"#, r#""result":6"#),
        (r#"{"to":3,"workDoneToken":"t"}"#, r#""result":6"#),
        (r#"{"to":0}"#, r#""error":{"code":3,"message":"there is no such folder"}"#),
    ] {
        let asked = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"count","params":{params}}}"#);
        assert_eq!(dispatched(&dispatcher, &asked).await, format!(r#"{{"jsonrpc":"2.0","id":1,{outcome}}}"#));
    }
    let tool =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":1}}}"#;
    assert_eq!(dispatched(&dispatcher, tool).await, r#"{"jsonrpc":"2.0","id":1,"result":"X"}"#);
    let failed = dispatched(&dispatcher, r#"{"jsonrpc":"2.0","id":1,"method":"fail"}"#).await;
    assert!(failed.contains("a file cannot be read"), "{failed}");
    let forgot = dispatched(&dispatcher, r#"{"jsonrpc":"2.0","id":1,"method":"forget"}"#).await;
    assert!(forgot.contains("-32603"), "{forgot}");
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"count","params":[2]},{"jsonrpc":"2.0","id":2,"method":"count","params":[3]}]"#;
    assert_eq!(
        dispatched(&dispatcher, batch).await,
        r#"[{"jsonrpc":"2.0","id":1,"result":3},{"jsonrpc":"2.0","id":2,"result":6}]"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_work_without_a_session_is_an_error_of_the_request() {
    // Its one feed was taken by nobody, and there is none.
    let dispatcher =
        Dispatcher::builder().service(IndexerServer::new(Worker::default())).build().expect("one");
    let answer = dispatched(&dispatcher, r#"{"jsonrpc":"2.0","id":1,"method":"fed"}"#).await;
    assert!(answer.contains("-32603"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_work_without_a_session_is_counted_from_its_last_step() {
    let limits = Limits::server().with_request_timeout(Duration::from_secs(10));
    let (steps, service) = fed();
    let dispatcher = Dispatcher::builder().service(service).limits(limits).build().expect("one");
    let begun = tokio::time::Instant::now();
    tokio::spawn(async move {
        for n in 0..5 {
            tokio::time::sleep(Duration::from_secs(6)).await;
            steps.unbounded_send(Progress::Step(n)).expect("it is taken");
        }
        // And nothing more.
        std::future::pending::<()>().await;
    });
    let answer = dispatched(&dispatcher, r#"{"jsonrpc":"2.0","id":1,"method":"fed"}"#).await;
    assert!(answer.contains("the request took longer than 10s"), "{answer}");
    assert_eq!(begun.elapsed().as_secs(), 40);
}
