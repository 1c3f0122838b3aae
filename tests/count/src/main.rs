//! Makes a number of calls, both sides in one thread, so that their instructions can be counted: see `run` beside it.
//!
//! The clock stands still: what is counted does not depend on how long it takes.

use std::sync::{Arc, mpsc};

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _, future::try_join_all, stream};
use rpc::{Limits, Server, Session, rpc_service};

/// How many tasks call at once in `pipelined` and `later`.
const CALLERS: u64 = 64;

/// How many calls a batch has.
const BATCH: u64 = 20;

#[rpc_service]
trait Api {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn later(&self, a: i64) -> i64;
    #[rpc(subscription)]
    async fn count(&self, to: u64) -> impl Stream<Item = u64>;
}

struct Service;

impl Api for Service {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn later(&self, a: i64) -> i64 {
        tokio::task::yield_now().await;
        a
    }

    async fn count(&self, to: u64) -> impl Stream<Item = u64> {
        stream::iter(0..to)
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, scheme, calls] = &args[..] else {
        bail!("usage: rpc-count SCENARIO SCHEME CALLS");
    };
    let calls: u64 = calls.parse().context("CALLS is a number")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    // While a thread is blocked, the paused clock does not run ahead to the next timer.
    let (hold, held) = mpsc::channel::<()>();
    runtime.block_on(async {
        let blocked = tokio::task::spawn_blocking(move || held.recv().is_ok());
        let result = run(scenario, scheme, calls).await;
        drop(hold);
        blocked.await?;
        result
    })
}

async fn run(scenario: &str, scheme: &str, calls: u64) -> Result<()> {
    let address = format!("{scheme}://127.0.0.1:0");
    let server =
        Server::builder().service(ApiServer::new(Service)).limits(Limits::server()).bind(&*address).await?;
    let url = server.endpoint().to_string();
    let _running = server.start();
    let session = rpc::connect(&url).await?;
    let api = Arc::new(ApiClient::from(session.clone()));
    match scenario {
        "sequential" => {
            for number in 0..calls as i64 {
                api.add(number, 1).await?;
            }
        }
        "pipelined" => {
            at_once(calls, move |number| {
                let api = Arc::clone(&api);
                async move { Ok(api.add(number, 1).await?) }
            })
            .await?;
        }
        "later" => {
            at_once(calls, move |number| {
                let api = Arc::clone(&api);
                async move { Ok(api.later(number).await?) }
            })
            .await?;
        }
        "batch" => batches(&session, &api, calls).await?,
        "subscription" => {
            let items = api.count(calls).buffer(1 << 20).await?;
            let items: Vec<_> = items.collect().await;
            assert_eq!(items.len() as u64, calls);
        }
        _ => bail!("there is no scenario `{scenario}`: sequential, pipelined, later, batch, subscription"),
    }
    Ok(())
}

/// Has as many tasks as there are callers make the calls.
async fn at_once<F>(calls: u64, call: impl Fn(i64) -> F + Clone + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<i64>> + Send,
{
    let callers = (0..CALLERS).map(|_| {
        let call = call.clone();
        tokio::spawn(async move {
            for number in 0..(calls / CALLERS) as i64 {
                call(number).await?;
            }
            anyhow::Ok(())
        })
    });
    try_join_all(callers).await?.into_iter().collect()
}

async fn batches(session: &Session, api: &ApiClient, calls: u64) -> Result<()> {
    for _ in 0..calls / BATCH {
        let calls: Vec<_> = (0..BATCH as i64).map(|number| api.add(number, 1)).collect();
        let replies = session.batch(calls).await?;
        assert_eq!(replies.len() as u64, BATCH);
    }
    Ok(())
}
