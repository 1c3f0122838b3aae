//! How often a typed call allocates. Counts do not wobble, so this is where a change that makes calls dearer shows first.

mod bounded;
mod declared;
mod one_shot;

use futures::FutureExt;
use rpc::{Context, Limits, rpc_service, testing};

#[rpc_service]
trait Api {
    async fn add(&self, a: i64, b: i64) -> i64;

    fn sub(&self, a: i64, b: i64) -> i64;

    async fn later(&self, a: i64) -> i64;

    async fn name(&self, id: u64) -> String;

    fn none(&self) -> u8;

    #[rpc(params = "by_name")]
    fn strict(&self, a: i64, #[rpc(context)] cx: &Context) -> i64;

    #[rpc(params = "by_name", allow_unknown)]
    fn tolerant(&self, a: i64, #[rpc(context)] cx: &Context) -> i64;
}

struct Numbers;

impl Api for Numbers {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    fn sub(&self, a: i64, b: i64) -> i64 {
        a - b
    }

    async fn later(&self, a: i64) -> i64 {
        tokio::task::yield_now().await;
        a
    }

    async fn name(&self, id: u64) -> String {
        format!("a name that is longer than what a reply keeps in place: {id}")
    }

    fn none(&self) -> u8 {
        0
    }

    fn strict(&self, a: i64, _: &Context) -> i64 {
        a
    }

    fn tolerant(&self, a: i64, cx: &Context) -> i64 {
        a + cx.unknown_params().count() as i64
    }
}

const CALLS: u64 = 1_000;

/// Allocations a call, client and server together, once everything that is made only once has been made.
fn allocations_a_call(call: impl AsyncFn(&ApiClient, i64)) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = runtime.block_on(async {
        let (session, _peer) =
            testing::pair_with((), Limits::client(), ApiServer::new(Numbers), Limits::server());
        ApiClient::from(session)
    });
    let run = || {
        runtime.block_on(async {
            for n in 0..CALLS {
                call(&client, n as i64).await;
            }
        });
    };
    run();
    allocation_counter::measure(run).count_total as f64 / CALLS as f64
}

/// What a run allocates besides its calls, shared out among them.
const SLACK: f64 = 0.02;

#[test]
fn a_call_of_a_plain_fn_allocates_nothing_on_either_side() {
    let counted =
        allocations_a_call(async |client, n| assert_eq!(client.sub(n, 1).await.expect("a reply"), n - 1));
    assert!(counted < SLACK, "{counted} allocations a call");
}

#[test]
fn a_call_without_parameters_allocates_nothing_either() {
    let counted = allocations_a_call(async |client, _| assert_eq!(client.none().await.expect("a reply"), 0));
    assert!(counted < SLACK, "{counted} allocations a call");
}

#[test]
fn to_let_unknown_members_pass_allocates_nothing_where_none_come() {
    let strict =
        allocations_a_call(async |client, n| assert_eq!(client.strict(n).await.expect("a reply"), n));
    let tolerant =
        allocations_a_call(async |client, n| assert_eq!(client.tolerant(n).await.expect("a reply"), n));
    assert!((tolerant - strict).abs() < SLACK, "{strict} and {tolerant} allocations a call");
}

#[test]
fn a_call_of_an_async_fn_allocates_the_handlers_future_and_nothing_else() {
    let counted =
        allocations_a_call(async |client, n| assert_eq!(client.add(n, 1).await.expect("a reply"), n + 1));
    assert!((1.0..1.0 + SLACK).contains(&counted), "{counted} allocations a call");
}

#[test]
fn a_long_reply_allocates_only_what_the_handler_and_the_caller_keep() {
    // The future, the handler's text, and the caller's.
    let counted = allocations_a_call(async |client, n| assert!(client.name(n as u64).await.is_ok()));
    let handlers_text = allocation_counter::measure(|| drop(Numbers.name(1).now_or_never())).count_total;
    assert!(counted < 2.0 + handlers_text as f64 + SLACK, "{counted} allocations a call");
}

#[test]
fn a_handler_that_waits_costs_its_task_and_a_future_around_it() {
    let counted =
        allocations_a_call(async |client, n| assert_eq!(client.later(n).await.expect("a reply"), n));
    assert!(counted <= 3.0 + SLACK, "{counted} allocations a call");
}
