//! Calls, notifications, subscriptions and batches are futures that borrow nothing of their caller's.

use std::{
    cell::Cell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join, join_all, try_join_all},
    stream::FuturesUnordered,
};
use rpc::{
    Batch, BatchError, Call, CallError, Caller, Cancellation, DeadlineCaller, Dispatcher, EmptyParams,
    Executed, HttpClient, Items, Limits, Notify, Overflow, Progress, Server, Session, Subscribe,
    SubscriptionStyle, WithEmptyParams, testing,
};
use rpc_tests::{CalcClient, CalcServer, DivError, MyCalc, Raw, http::HttpPeer, is_pending, soon};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::{io::DuplexStream, time::Instant};

/// A session, and its peer, which the test plays by hand.
fn caller() -> (Raw<DuplexStream>, Session) {
    Raw::peer_of((), Limits::client())
}

fn dispatcher() -> Dispatcher {
    Dispatcher::builder().service(CalcServer::new(MyCalc)).build().expect("valid")
}

/// Whatever combines futures combines calls.
async fn combines(caller: impl Caller) {
    let calc = CalcClient::from(caller.clone());
    let name = String::from("Ann");
    let greets = tokio::spawn(calc.greet(&name));
    drop(name);
    assert_eq!(greets.await.expect("no panic").expect("greeted"), "Hello, Ann");
    tokio::spawn(calc.log("a line")).await.expect("no panic").expect("sent");
    let divides = tokio::spawn(calc.div(1, 0).timeout(Duration::from_secs(60)));
    assert!(matches!(divides.await.expect("no panic"), Err(CallError::Service(DivError::ByZero))));
    let batch =
        tokio::spawn(Batch::try_over(&caller, (calc.add(1, 2), calc.log("a line"), calc.greet("Bob"))));
    let (sum, (), hello) = batch.await.expect("no panic").expect("answered");
    assert_eq!((sum, hello.as_str()), (3, "Hello, Bob"));
    // The name of a method may live shorter than another.
    let add = String::from("add");
    let mixed = Batch::try_over(&caller, [calc.add(1, 2), Call::untyped(&caller, "add", (3, 4))]);
    assert_eq!(mixed.await.expect("sums"), [3, 7]);
    let mixed = Batch::try_over(&caller, (calc.add(1, 2), Call::<_, i64>::untyped(&caller, &add, (5, 6))));
    assert_eq!(mixed.await.expect("sums"), (3, 11));

    let sums = try_join_all((0..5).map(|n| calc.add(n, 1))).await.expect("sums");
    assert_eq!(sums, [1, 2, 3, 4, 5]);
    // What methods of different names return, where that is the same, is of one type.
    let sums = join_all([calc.add(1, 1), calc.add_later(2, 2), Call::untyped(&caller, "add", (3, 3))]).await;
    assert_eq!(sums.into_iter().map(|sum| sum.expect("a sum")).collect::<Vec<_>>(), [2, 4, 6]);
    let sums: FuturesUnordered<_> = (0..5).map(|n| calc.add_later(n, n)).collect();
    let mut sums: Vec<_> = sums.map(|sum| sum.expect("a sum")).collect().await;
    sums.sort_unstable();
    assert_eq!(sums, [0, 2, 4, 6, 8]);

    let length = calc.greet("Ann").map(|hello| hello.map(|hello| hello.len()));
    let (length, sum) = join(length, calc.add(1, 2)).await;
    assert_eq!((length.expect("greeted"), sum.expect("a sum")), (10, 3));
    let boxed: BoxFuture<'static, Result<i64, CallError>> = calc.add(1, 2).boxed();
    assert_eq!(boxed.await.expect("a sum"), 3);
}

#[tokio::test]
async fn whatever_combines_futures_combines_calls_over_every_caller() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    combines(session.clone()).await;
    combines(Arc::new(session.clone())).await;
    combines(DeadlineCaller::new(session.clone(), Some(Instant::now() + Duration::from_secs(60)))).await;
    combines(WithEmptyParams::new(session.clone(), EmptyParams::Array)).await;
    combines(testing::Recorder::new(session)).await;
    combines(dispatcher()).await;
    let server = Server::builder().service(CalcServer::new(MyCalc)).bind("http://127.0.0.1:0").await;
    let server = server.expect("bound");
    let http = HttpClient::new(&server.endpoint().to_string()).expect("a URL");
    let _running = server.start();
    soon(combines(http)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_lost_a_race_goes_on_where_it_is_awaited_again() {
    let (mut peer, session) = caller();
    let mut call = session.call::<i64>("add", (1, 2));
    for _ in 0..3 {
        tokio::select! {
            biased;
            sum = &mut call => panic!("nobody has answered: {sum:?}"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":3}"#).await;
    assert_eq!(call.await.expect("a sum"), 3);
    peer.expect_silence().await;
}

/// What becomes of the one thing that is left of a session, before it is sent and while it waits for
/// `reply`.
async fn outlives<F>(made: impl FnOnce(&Session) -> F, request: &str, reply: Option<&str>) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (mut peer, session) = caller();
    let left = made(&session);
    drop(session);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = tokio::spawn(left);
    peer.expect(request).await;
    if let Some(reply) = reply {
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.send(reply).await;
    }
    let outcome = left.await.expect("no panic");
    peer.expect_end().await;
    outcome
}

#[tokio::test(start_paused = true)]
async fn what_is_held_keeps_its_session_open_and_nothing_else_does() {
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#;
    let reply = r#"{"jsonrpc":"2.0","id":1,"result":7}"#;
    let called = outlives(|session| session.call::<i64>("m", ()), request, Some(reply)).await;
    assert_eq!(called.expect("answered"), 7);
    let batch = |session: &Session| session.batch([session.call::<i64>("m", ())]);
    let answered = outlives(batch, &format!("[{request}]"), Some(&format!("[{reply}]"))).await;
    assert_eq!(answered.expect("answered").map(Result::unwrap), [7]);
    let notified =
        outlives(|session| session.notify("m", ()), r#"{"jsonrpc":"2.0","method":"m"}"#, None).await;
    notified.expect("sent");
    // Its items would keep it open, too.
    let subscribe = |session: &Session| session.subscribe::<u64>("m", ()).map(|begun| begun.map(drop));
    outlives(subscribe, request, Some(reply)).await.expect("begun");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_client_leaves_its_calls_alone() {
    let (mut peer, client) = HttpPeer::of_client();
    let call = tokio::spawn(client.call::<i64>("add", (1, 2)));
    drop(client);
    let mut connection = peer.accept().await;
    connection.serve(|_| r#"{"jsonrpc":"2.0","id":1,"result":3}"#.to_owned()).await;
    assert_eq!(call.await.expect("no panic").expect("a sum"), 3);

    let dispatcher = dispatcher();
    let call = Call::<_, i64>::untyped(&dispatcher, "add_later", (1, 2));
    drop(dispatcher);
    assert_eq!(call.await.expect("a sum"), 3);
}

/// Whether a batch was refused because of its member `index`, of `method`.
fn is_polled<T>(outcome: &Result<T, BatchError>, at: usize, of: &str) -> bool {
    matches!(outcome, Err(BatchError::Polled { index, method }) if *index == at && method == of)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_polled_is_no_member_of_a_batch_and_is_forgotten() {
    let connector = |connector: rpc::Connector| connector.cancellation(Cancellation::LSP);
    let (mut peer, session) = Raw::peer_with(connector).await;
    let mut polled = session.call::<i64>("b", ());
    assert!(is_pending(&mut polled));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"b"}"#).await;
    let refused = session.batch((session.call::<i64>("a", ()), polled)).await;
    assert!(is_polled(&refused, 1, "b"), "{refused:?}");
    // The call has left by itself, and may have been carried out.
    let error = refused.expect_err("refused");
    assert_eq!(error.executed(), Executed::Perhaps);
    assert_eq!(
        error.to_string(),
        "`b`, member 1 of the batch, was polled before: it was sent by itself, and cannot be sent again; put calls into \
         a batch that were not awaited"
    );
    peer.expect(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#).await;
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
}

/// Whatever was polled is refused, whether it has ended or not.
async fn refuses_what_was_polled(caller: impl Caller) {
    let calc = CalcClient::from(caller.clone());
    let mut ended = calc.add(1, 2);
    assert_eq!((&mut ended).await.expect("a sum"), 3);
    let all = vec![calc.add(0, 0), ended];
    assert!(is_polled(&Batch::try_over(&caller, all).await, 1, "add"));
    let mut begun = calc.div(1, 0);
    let _ = is_pending(&mut begun);
    assert!(is_polled(&Batch::over(&caller, [begun]).await, 0, "div"));
    let mut sent = calc.log("a line");
    (&mut sent).await.expect("sent");
    assert!(is_polled(&Batch::over(&caller, (sent, calc.add(1, 2))).await, 0, "log"));
}

#[tokio::test]
async fn every_caller_refuses_a_batch_of_what_was_polled() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    refuses_what_was_polled(session).await;
    refuses_what_was_polled(dispatcher()).await;
    let server = Server::builder().service(CalcServer::new(MyCalc)).bind("http://127.0.0.1:0").await;
    let server = server.expect("bound");
    let http = HttpClient::new(&server.endpoint().to_string()).expect("a URL");
    let _running = server.start();
    soon(refuses_what_was_polled(http)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_call_before_its_first_poll_holds() {
    let (mut peer, session) = Raw::peer_with(|connector| connector.cancellation(None)).await;
    let began = Instant::now();
    let call = session.call::<i64>("m", ()).without_timeout().timeout(Duration::from_secs(5));
    // The time is counted from the first poll.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let ended = tokio::spawn(call).await.expect("no panic");
    assert!(matches!(ended, Err(CallError::Timeout(after)) if after == Duration::from_secs(5)), "{ended:?}");
    let elapsed = began.elapsed().as_secs_f64();
    assert!((65.0..65.1).contains(&elapsed), "{elapsed}");
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).await;
    let late = session.call::<i64>("m", ()).deadline(Instant::now());
    assert!(matches!(tokio::spawn(late).await.expect("no panic"), Err(CallError::Timeout(_))));
    peer.expect_silence().await;
}

/// What a panic of `say` tells.
fn panic_of<T>(say: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(say()))).expect_err("it panics");
    *panic.downcast::<String>().expect("a text")
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_call_after_its_first_poll_is_no_secret() {
    let (_peer, session) = caller();
    let polled = || {
        let mut call = session.call::<i64>("m", ());
        assert!(is_pending(&mut call));
        call
    };
    let subscribed = || {
        let mut subscribe = session.subscribe::<Progress<u8, u8>>("s", ());
        assert!(is_pending(&mut subscribe));
        subscribe
    };
    let second = Duration::from_secs(1);
    let said = [
        ("timeout", panic_of(|| polled().timeout(second))),
        ("deadline", panic_of(|| polled().deadline(Instant::now()))),
        ("without_timeout", panic_of(|| polled().without_timeout())),
        ("timeout", panic_of(|| subscribed().timeout(second))),
        ("buffer", panic_of(|| subscribed().buffer(1))),
        ("overflow", panic_of(|| subscribed().overflow(Overflow::Wait))),
        ("style", panic_of(|| subscribed().style(SubscriptionStyle::Progress))),
        ("unsubscribe_with", panic_of(|| subscribed().unsubscribe_with("u"))),
        ("result_alone", panic_of(|| subscribed().result_alone())),
    ];
    for (option, panic) in said {
        assert_eq!(
            panic,
            format!(
                "`{option}` is set too late: this was polled before, and is sent without; set it before that"
            )
        );
    }
}

/// It can be written, and neither cloned, nor sent to another thread, nor kept.
struct Counted<'a> {
    writes: &'a Cell<usize>,
    _stays: Rc<()>,
}

impl Serialize for Counted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.writes.set(self.writes.get() + 1);
        serializer.serialize_u64(7)
    }
}

fn can_be_spawned(_: &(impl Future + Send + Unpin + 'static)) {}

#[tokio::test(start_paused = true)]
async fn parameters_are_written_once_where_the_call_is_made_and_not_kept() {
    let (mut peer, session) = caller();
    let writes = Cell::new(0);
    let counted = Counted { writes: &writes, _stays: Rc::new(()) };
    let call = session.call::<i64>("a", (&counted,));
    can_be_spawned(&call);
    let notify = Notify::untyped(&session, "b", (&counted,));
    can_be_spawned(&notify);
    let batch = session.batch([session.call::<i64>("c", (&counted,))]);
    can_be_spawned(&batch);
    let subscribe = Subscribe::<_, Items<u8>>::untyped(&session, "d", (counted,));
    assert_eq!(writes.get(), 4);
    for (sends, message) in [
        (notify.map(drop).boxed(), r#"{"jsonrpc":"2.0","method":"b","params":[7]}"#),
        (call.map(drop).boxed(), r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[7]}"#),
        (batch.map(drop).boxed(), r#"[{"jsonrpc":"2.0","id":2,"method":"c","params":[7]}]"#),
        (subscribe.map(drop).boxed(), r#"{"jsonrpc":"2.0","id":3,"method":"d","params":[7]}"#),
    ] {
        drop(tokio::spawn(sends));
        peer.expect(message).await;
    }
    assert_eq!(writes.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_told_by_the_first_poll_whatever_is_said_of_it_before() {
    let (mut peer, session) = caller();
    let mut call = session.call::<i64>("m", 7).timeout(Duration::from_secs(1)).deadline(Instant::now());
    let told = (&mut call).await;
    assert!(matches!(&told, Err(CallError::Encode { method, .. }) if method == "m"), "{told:?}");
    assert_eq!(panic_of(|| (&mut call).now_or_never()), "a call was polled after it had ended");
    assert!(is_polled(&session.batch([call]).await, 0, "m"));
    let told = session.notify("m", 7).await;
    assert!(matches!(told, Err(CallError::Encode { .. })), "{told:?}");
    let told = session.subscribe::<Value>("m", 7).buffer(1).await.map(drop);
    assert!(matches!(told, Err(CallError::Encode { .. })), "{told:?}");
    let told = session.batch([session.call::<i64>("a", ()), session.call::<i64>("m", 7)]).await;
    let Err(BatchError::Encode { index: 1, method, .. }) = told else { panic!("{told:?}") };
    assert_eq!(method, "m");
    peer.expect_silence().await;
}
