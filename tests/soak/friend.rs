//! Peers that mean well: whatever they ask for has to end well, unless their stream breaks.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use rpc::{Cancellation, Connector, Limits, Session};
use rpc_tests::{Counts, Ending, Fault, Faulty, Random, WorkServer, Worker, act};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::tally::{Tally, count};

/// How much a friend does at once: so much that the server's limits are never passed, batches and their members included.
const AT_ONCE: usize = 4;

/// Comes again and again.
pub(crate) async fn whole(
    url: String,
    mut random: Random,
    until: Instant,
    tally: Arc<Tally>,
) -> Result<(), String> {
    while Instant::now() < until {
        let connector = Connector::new(&url).map_err(|error| rpc::chain(&error).to_string())?;
        let (session, counts) = connect(connector, &mut random).await?;
        count(&tally.connections);
        for ending in acts(&session, &mut random, until, &tally).await {
            match ending {
                Ending::Good { .. } => count(&tally.good),
                Ending::Dropped => count(&tally.dropped),
                other => return Err(format!("over a stream that is whole: {other:?}")),
            }
        }
        leave(session, &counts, &mut random).await?;
    }
    Ok(())
}

/// The same over streams that are slow, and of which two of three break.
pub(crate) async fn broken(
    url: String,
    mut random: Random,
    until: Instant,
    tally: Arc<Tally>,
) -> Result<(), String> {
    let place = url.trim_start_matches("tcp://").to_owned();
    while Instant::now() < until {
        let stream = TcpStream::connect(&place).await.map_err(|error| rpc::chain(&error).to_string())?;
        let fault = (!random.once_in(3)).then(|| (Fault::any(&mut random), random.below(20_000)));
        let stream = Faulty::new(stream, random.split(), fault);
        let has_broken = stream.has_broken();
        let (session, counts) = connect(Connector::over(stream), &mut random).await?;
        count(&tally.connections);
        let endings = tokio::select! {
            endings = acts(&session, &mut random, until, &tally) => endings,
            never = give_up(&session, &has_broken) => match never {},
        };
        let broke = has_broken.load(Relaxed);
        for ending in endings {
            match ending {
                Ending::Good { .. } => count(&tally.good),
                Ending::Dropped => count(&tally.dropped),
                Ending::Closed(_) | Ending::Late(_) if broke => count(&tally.lost),
                other => return Err(format!("over a stream with {fault:?} (broke: {broke}): {other:?}")),
            }
        }
        leave(session, &counts, &mut random).await?;
    }
    Ok(())
}

/// Some faults nobody notices who only waits: then the friend has waited for long enough.
async fn give_up(session: &Session, has_broken: &AtomicBool) -> Infallible {
    while !has_broken.load(Relaxed) {
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(1)).await;
    session.start_close();
    std::future::pending().await
}

async fn connect(connector: Connector, random: &mut Random) -> Result<(Session, Arc<Counts>), String> {
    let counts = Arc::new(Counts::default());
    let mut limits = Limits::client();
    // Longer than all delays of a stream, and short enough for a phase to end.
    limits.call_timeout = Some(Duration::from_secs(15));
    limits.close_timeout = Some(Duration::from_secs(5));
    if random.once_in(2) {
        limits.calls_in_flight = 3;
    }
    let connector = connector.service(WorkServer::new(Worker(Arc::clone(&counts)))).limits(limits);
    let session = connector
        .cancellation(Cancellation::LSP)
        .connect()
        .await
        .map_err(|error| rpc::chain(&error).to_string())?;
    Ok((session, counts))
}

/// Does some things, a few at a time.
async fn acts(session: &Session, random: &mut Random, until: Instant, tally: &Tally) -> Vec<Ending> {
    let acts = (0..20 + random.below(200)).map(|_| (random.split(), tally.next_number())).collect::<Vec<_>>();
    stream::iter(acts)
        .take_while(|_| std::future::ready(Instant::now() < until))
        .map(|(random, n)| act(session, random, n))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Closes, or is gone without a word. Nothing of the session is left then.
async fn leave(session: Session, counts: &Counts, random: &mut Random) -> Result<(), String> {
    if random.once_in(2) {
        session.close().await;
    } else {
        session.abort();
        session.closed().await;
    }
    let left = [session.calls_in_flight(), session.requests_in_flight(), session.subscriptions()];
    drop(session);
    if left != [0; 3] {
        return Err(format!("calls, requests and subscriptions are left after the end: {left:?}"));
    }
    // What was woken by the end has its turn.
    for _ in 0..1_000 {
        if counts.alive() == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Err(format!("{} handlers or streams are left after the end of their session", counts.alive()))
}
