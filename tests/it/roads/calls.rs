//! The parts of the conversation that need no more than somebody who calls: they are held over HTTP as well.

use futures::future::join_all;
use rpc::{Batch, CallError, Caller, Limits, Protocol, rpc_service};
use rpc_tests::{CalcClient, DivError, WorkClient};

use super::{
    road::{Road, Versions},
    sides::{Side, Sides},
};

/// What nobody serves.
#[rpc_service]
trait Missing {
    async fn missing(&self);
}

pub(super) fn clients<C: Caller + Clone>(caller: &C) -> (CalcClient<C>, WorkClient<C>) {
    (CalcClient::from(caller.clone()), WorkClient::from(caller.clone()))
}

pub(super) async fn calls_and_notifications<S: Side>(road: &Road<S>, versions: Versions) {
    let sides = road.open(versions).await;
    for (caller, counts) in sides.pairs() {
        let (calc, work) = clients(caller);
        assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
        let long = "ü\"\n".repeat(road.longest / 6);
        assert_eq!(calc.greet(&long).await.expect("a greeting"), format!("Hello, {long}"));
        work.note(5).await.expect("sent");
        let sums = join_all((0..200).map(|n| calc.add_later(n, 1).into_future())).await;
        let sums: Vec<i64> = sums.into_iter().map(|sum| sum.expect("a sum")).collect();
        assert_eq!(sums, (1..=200).collect::<Vec<_>>());
        // It was sent before the calls, and started before them.
        assert_eq!(counts.noted(), 5);
    }
    sides.end().await;
}

pub(super) async fn typed_errors<S: Side>(road: &Road<S>, versions: Versions) {
    let sides = road.open(versions).await;
    for (caller, _) in sides.pairs() {
        let (calc, _) = clients(caller);
        assert_eq!(calc.div(7, 2).await.expect("a quotient"), 3);
        let error = calc.div(1, 0).await.expect_err("a division by zero");
        assert!(matches!(error, CallError::Service(DivError::ByZero)), "{error:?}");
        let unknown = MissingClient::from(caller.clone()).missing().await.expect_err("it is unknown");
        assert!(matches!(&unknown, CallError::Rpc(error) if error.code().value() == -32601), "{unknown:?}");
    }
    sides.end().await;
}

pub(super) async fn batches<S: Side>(road: &Road<S>, versions: Versions) {
    let sides = road.open(versions).await;
    for (caller, counts) in sides.pairs() {
        let (calc, work) = clients(caller);
        // A version is detected by what is said first.
        calc.ping().await.expect("a pong");
        let members = (calc.add(1, 2), work.note(1), calc.div(1, 0), calc.greet("Ann"));
        let batch = Batch::over(caller, members).await;
        if versions.1 == Protocol::V1 {
            batch.expect_err("1.0 has no batches");
            continue;
        }
        let (sum, (), quotient, greeting) = batch.expect("it is answered");
        assert_eq!(sum.expect("a sum"), 3);
        assert!(matches!(quotient, Err(CallError::Service(DivError::ByZero))), "{quotient:?}");
        assert_eq!(greeting.expect("a greeting"), "Hello, Ann");
        assert_eq!(counts.noted(), 1);
        let calls: Vec<_> = (0..50).map(|n| work.double(n)).collect();
        let doubled = Batch::try_over(caller, calls).await.expect("all of them went well");
        assert_eq!(doubled, (0..50).map(|n| n * 2).collect::<Vec<_>>());
    }
    sides.end().await;
}

pub(super) async fn replies_over_the_limit<S: Side>(road: &Road<S>, versions: Versions) {
    let (mut client, mut server) = (Limits::client(), Limits::server());
    for limits in [&mut client, &mut server] {
        limits.reply_size = 10_000;
    }
    let sides = road.open_with(versions, client, server).await;
    for (caller, _) in sides.pairs() {
        let (calc, work) = clients(caller);
        assert_eq!(work.long(9_000).await.expect("it fits").len(), 9_000);
        let error = work.long(11_000).await.expect_err("it is too long");
        assert!(matches!(&error, CallError::Rpc(error) if error.code().value() == -32603), "{error:?}");
        assert_eq!(calc.add(1, 2).await.expect("it goes on"), 3);
    }
    sides.end().await;
}
