//! What is served to whatever comes, and the runtime that it is served on.

use rpc::{Context, Dispatcher, ErrorObject, Limits, Params, Protocol, Router};
use rpc_tests::{CalcServer, MyCalc};
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};

/// Handlers that answer at once and later, look at their parameters and do not, succeed and fail.
pub(crate) fn router() -> Router {
    Router::new()
        .method("echo", async |params: Params, _: Context| params.parse::<Box<RawValue>>())
        .method("later", async |params: Params, _: Context| {
            tokio::task::yield_now().await;
            params.parse::<Box<RawValue>>()
        })
        .method("none", async |_: Params, _: Context| Ok::<_, ErrorObject>(()))
        .method("fail", async |params: Params, _: Context| {
            let data: Box<RawValue> = params.parse()?;
            Err::<(), _>(ErrorObject::new(1, "as you wish").with_raw_data(data))
        })
}

/// A typed service.
pub(crate) fn calc() -> CalcServer<MyCalc> {
    CalcServer::new(MyCalc)
}

/// Nothing but what one message may be is bounded.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::unlimited();
    (limits.batch_length, limits.reply_size) = (100, 10_000_000);
    limits
}

/// Both services, without a session.
pub(crate) fn dispatcher(protocol: Protocol) -> Dispatcher {
    let builder = Dispatcher::builder().service(router()).service(calc());
    builder.protocol(protocol).limits(limits()).build().expect("no method is served twice")
}

/// Runs `future` to its end, in time that stands still.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
