//! What batches are made of, and what they give.

use std::{collections::BTreeMap, time::Duration};

use rpc::{BatchError, CallError, OutgoingBatch, Unsupported, testing};
use rpc_tests::{CalcClient, CalcServer, DivError, MyCalc, is_pending};
use serde_json::Value;
use tokio::time::Instant;

use super::{batch, caller};

#[tokio::test(start_paused = true)]
async fn a_tuple_gives_a_result_of_its_own_type_for_each_member() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let calc = CalcClient::from(session.clone());

    let (one,) = session.batch((calc.add(1, 2),)).await.expect("sent");
    assert_eq!(one.expect("a sum"), 3);

    let (sum, hello) = session.batch((calc.add_later(1, 2), calc.greet("Ann"))).await.expect("sent");
    assert_eq!((sum.expect("a sum"), hello.expect("a text").as_str()), (3, "Hello, Ann"));

    let (a, b, c, (), e, f, g, h, i, (), k, l) = session
        .batch((
            calc.add(1, 1),
            calc.greet("b"),
            calc.div(6, 2),
            calc.log("a notification has no reply"),
            calc.div(1, 0),
            calc.ping(),
            session.call::<Value>("add", (7, 7)),
            session.call::<Value>("unknown", ()),
            calc.add_later(9, 9),
            session.notify("unknown", ()),
            calc.add(11, 11),
            calc.add_later(12, 12),
        ))
        .await
        .expect("sent");
    assert_eq!([a, i, k, l].map(|sum| sum.expect("a sum")), [2, 18, 22, 24]);
    assert_eq!(b.expect("a text"), "Hello, b");
    assert_eq!(c.expect("a quotient"), 3);
    assert!(matches!(e, Err(CallError::Service(DivError::ByZero))), "{e:?}");
    assert_eq!(f.expect("a text"), "pong");
    assert_eq!(g.expect("a sum"), 14);
    assert!(matches!(&h, Err(CallError::Rpc(error)) if error.code().value() == -32601), "{h:?}");
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vec_and_an_array_give_as_many_results_as_they_have_calls() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let calc = CalcClient::from(session.clone());
    let sums = session.batch((0..50).map(|n| calc.add_later(n, n)).collect::<Vec<_>>()).await.expect("sent");
    let sums: Vec<i64> = sums.into_iter().map(|sum| sum.expect("a sum")).collect();
    assert_eq!(sums, (0..50).map(|n| 2 * n).collect::<Vec<_>>());

    let [whole, none] = session.batch([calc.div(4, 2), calc.div(4, 0)]).await.expect("sent");
    assert_eq!(whole.expect("a quotient"), 2);
    assert!(matches!(none, Err(CallError::Service(DivError::ByZero))));

    let whole = session.try_batch([calc.div(4, 2), calc.div(9, 3)]).await.expect("both");
    assert_eq!(whole, [2, 3]);
    assert_eq!(session.try_batch(vec![calc.div(4, 2)]).await.expect("one"), [2]);
    assert_eq!(session.try_batch((calc.ping(), calc.log(""), calc.add(1, 1))).await.expect("all").2, 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_be_awaited_on_any_task_whatever_its_members_borrow() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let task = tokio::spawn(async move {
        let calc = CalcClient::from(session.clone());
        let names = ["Ann".to_owned(), "Bob".to_owned()];
        let hellos = session.batch(names.iter().map(|name| calc.greet(name)).collect::<Vec<_>>()).await;
        let pair = session.batch((calc.greet(&names[0]), calc.log(&names[1]), calc.div(1, 1))).await;
        let [sum] = session.try_batch([session.call::<i64>("add", [1, 2].as_slice())]).await.expect("a sum");
        let untyped = OutgoingBatch::new().call("greet", &[&names[0]]).expect("a text");
        (hellos.expect("sent").len(), pair.expect("sent").2.expect("one"), sum, session.batch(untyped).await)
    });
    let (hellos, quotient, sum, untyped) = task.await.expect("no panic");
    assert_eq!((hellos, quotient, sum, untyped.expect("sent").len()), (2, 1, 3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_calls_of_many_tasks_at_once_all_get_their_own() {
    let (session, peer) = testing::pair((), CalcServer::new(MyCalc));
    let tasks = (0..8i64).map(|task| {
        let calc = CalcClient::from(session.clone());
        let session = session.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                let number = 1000 * task + n;
                let calls: Vec<_> = (0..n % 7 + 1).map(|more| calc.add_later(number, more)).collect();
                for (more, sum) in session.batch(calls).await.expect("sent").into_iter().enumerate() {
                    // The server may be busy with the others.
                    match sum {
                        Ok(sum) => assert_eq!(sum, number + more as i64),
                        Err(error) => assert!(rpc::chain(&error).to_string().contains("too many"), "{error}"),
                    }
                }
                assert_eq!(calc.add(number, 1).await.expect("a sum"), number + 1);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    assert_eq!((session.calls_in_flight(), peer.requests_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_message_in_the_order_of_its_members() {
    let (mut peer, session) = caller();
    let mut sent = Box::pin(
        session
            .batch((
                session.call::<i64>("a", (1,)),
                session.notify("b", ()),
                session.call::<i64>("c", Value::from_iter([("x", 1)])),
            ))
            .into_future(),
    );
    peer.expect_silence().await;
    assert!(is_pending(&mut sent));
    let expected = batch([
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"b"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"c","params":{"x":1}}"#,
    ]);
    peer.expect(&expected).await;
    assert_eq!(session.calls_in_flight(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_notifications_waits_for_nothing() {
    let (mut peer, session) = caller();
    let notified = session.batch([("a", 1), ("b", 2)].map(|(method, n)| session.notify(method, (n,)))).await;
    assert_eq!(notified.expect("sent"), [(), ()]);
    let note = |method, params| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
    peer.expect(&batch([note("a", "[1]"), note("b", "[2]")])).await;
    session.try_batch((session.notify("c", ()),)).await.expect("sent");
    peer.expect(&batch([r#"{"jsonrpc":"2.0","method":"c"}"#])).await;
    assert_eq!(session.calls_in_flight(), 0);
    // It is not what an answer to a batch as a whole could mean.
    let mut call = Box::pin(session.call::<i64>("m", ()).into_future());
    assert!(is_pending(&mut call));
    peer.send("[]").await;
    assert!(peer.line().await.is_some());
    assert!(is_pending(&mut call));
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_members_is_an_error_and_nothing_is_sent() {
    let (mut peer, session) = caller();
    let none = vec![session.call::<i64>("m", ())].into_iter().skip(1).collect::<Vec<_>>();
    let outcome = session.batch(none).await;
    assert!(matches!(outcome, Err(BatchError::Unsupported(Unsupported::EmptyBatch))), "{outcome:?}");
    let outcome = session.try_batch(OutgoingBatch::new()).await;
    assert!(matches!(outcome, Err(BatchError::Unsupported(Unsupported::EmptyBatch))), "{outcome:?}");
    peer.expect_silence().await;
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_to_fail_says_which_member_did() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let calc = CalcClient::from(session.clone());
    let outcome = session.try_batch((calc.add(1, 2), calc.log("x"), calc.div(1, 0), calc.div(2, 0))).await;
    let Err(BatchError::Member { index, method, source }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((index, method.as_str()), (2, "div"));
    let source = source.downcast::<CallError<DivError>>().expect("the error of the method");
    assert!(matches!(*source, CallError::Service(DivError::ByZero)));

    let outcome =
        session.try_batch(vec![session.call::<Value>("unknown", ()), session.call("ping", ())]).await;
    let Err(BatchError::Member { index: 0, method, source }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(method, "unknown");
    let source = source.downcast::<CallError>().expect("the error of the call");
    assert!(matches!(&*source, CallError::Rpc(error) if error.code().value() == -32601), "{source}");

    // A result of another type is a failure too.
    let outcome =
        session.try_batch((session.call::<i64>("add", (1, 2)), session.call::<i64>("ping", ()))).await;
    let Err(BatchError::Member { index: 1, source, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(*source.downcast::<CallError>().expect("of the call"), CallError::Decode { .. }));
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_be_written_keeps_the_whole_batch_from_being_sent() {
    let (mut peer, session) = caller();
    let unwritable = || BTreeMap::from([((1, 2), 3)]);
    let outcome = session
        .batch((
            session.call::<i64>("a", ()),
            session.notify("b", ()),
            session.call::<i64>("c", unwritable()),
        ))
        .await;
    let Err(BatchError::Encode { index: 2, method, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(method, "c");
    let outcome = session.try_batch((session.notify("n", unwritable()),)).await;
    assert!(matches!(outcome, Err(BatchError::Encode { index: 0, .. })), "{outcome:?}");
    let outcome = OutgoingBatch::new().notify("a", &()).expect("no parameters").call("b", &unwritable());
    assert!(matches!(outcome, Err(BatchError::Encode { index: 1, .. })), "{outcome:?}");
    // Neither are scalars parameters.
    let outcome = session.batch([session.call::<i64>("a", 5)]).await;
    assert!(matches!(outcome, Err(BatchError::Encode { index: 0, .. })), "{outcome:?}");
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_untyped_batch_gives_a_reply_for_each_call() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let put_together = || {
        OutgoingBatch::new()
            .call("add", &(1, 2))?
            .notify("log", &("x",))?
            .call("add_later", &Value::from_iter([("a", 3), ("b", 4)]))
    };
    let batch = put_together().expect("all can be written");
    let shape: Vec<_> = batch.items().iter().map(|item| (item.outgoing().method(), item.is_call())).collect();
    assert_eq!(shape, [("add", true), ("log", false), ("add_later", true)]);
    assert_eq!(batch.items()[2].outgoing().params(), Some(r#"{"a":3,"b":4}"#));

    let replies = session.batch(batch).await.expect("sent");
    let sums: Vec<i64> =
        replies.into_iter().map(|reply| reply.expect("a reply").decode().expect("a sum")).collect();
    assert_eq!(sums, [3, 7]);

    let batch = put_together().expect("all can be written");
    let batch = batch.notify("log", &("y",)).expect("a text").call("div", &(1, 0)).expect("numbers");
    let outcome = session.try_batch(batch).await;
    let Err(BatchError::Member { index: 4, method, source }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (method.as_str(), rpc::chain(&*source).to_string().contains("division by zero")),
        ("div", true)
    );
}

#[tokio::test(start_paused = true)]
async fn each_member_has_a_timeout_of_its_own() {
    let (mut peer, session) = caller();
    let start = Instant::now();
    let calls = (
        session.call::<i64>("a", ()).timeout(Duration::from_secs(1)),
        session.call::<i64>("b", ()),
        session.call::<i64>("c", ()).without_timeout(),
    );
    let (outcome, ()) = tokio::join!(async { session.batch(calls).await }, async {
        assert!(peer.line().await.is_some());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(session.calls_in_flight(), 2, "the first one is over");
        tokio::time::sleep(Duration::from_secs(58)).await;
        assert_eq!(session.calls_in_flight(), 1, "the second one is over too");
        // Late ones are no fault of the peer's.
        let replies = [1, 2, 3].map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id}}}"#));
        peer.send(&batch(replies)).await;
    });
    let (a, b, c) = outcome.expect("sent");
    assert!(matches!(a, Err(CallError::Timeout(after)) if after.as_secs() == 1), "{a:?}");
    assert!(matches!(b, Err(CallError::Timeout(after)) if after.as_secs() == 30), "{b:?}");
    assert_eq!(c.expect("a reply"), 3);
    assert_eq!(start.elapsed().as_secs(), 60);
}
