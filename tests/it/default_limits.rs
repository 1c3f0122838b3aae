//! What the default limits do to a client that keeps to the protocol, or is confused: nothing. And to floods.

use std::time::Duration;

use futures::future::join_all;
use rpc::{CloseReason, Limits, testing};
use rpc_tests::{Events, Raw, echo};
use tokio::time::Instant;
use tracing::Level;

const UNKNOWN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#;
const UNREADABLE: &str = r#"{"jsonrpc":"2.0","id":1,"method":}"#;

#[tokio::test(start_paused = true)]
async fn half_an_hour_of_small_calls_is_not_slowed_down_and_costs_nothing() {
    const ROUNDS: u32 = 1_800;
    let pause = Duration::from_secs(1);
    let events = Events::capture_down_to(Level::WARN);
    let (session, peer) = testing::pair((), echo());
    assert_eq!((session.limits(), peer.limits()), (Limits::client(), Limits::server()));
    let started = Instant::now();
    for round in 0..ROUNDS {
        // Every other one is answered by a task.
        let calls = (0..64_u32).map(|n| {
            let method = if n % 2 == 0 { "echo" } else { "later" };
            session.call::<(u32,)>(method, (n,)).into_future()
        });
        for (n, outcome) in join_all(calls).await.into_iter().enumerate() {
            assert!(matches!(outcome, Ok((echoed,)) if echoed as usize == n), "{outcome:?} in round {round}");
        }
        assert_eq!(started.elapsed(), pause * round, "round {round} took its time");
        // Where bytes have a price, it is charged once they come to 1: with aiorpcX's every tenth round or so.
        assert_eq!((peer.cost(), session.cost()), (0.0, 0.0), "in round {round}");
        tokio::time::sleep(pause).await;
    }
    assert_eq!(peer.statistics().messages_received, u64::from(64 * ROUNDS));
    assert!(events.all().is_empty(), "{:?}", events.all());
}

/// One that asks for what is not there ten times a second, and garbles one message in twenty.
#[tokio::test(start_paused = true)]
async fn a_confused_client_is_answered_for_hours() {
    let events = Events::capture_down_to(Level::WARN);
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let started = Instant::now();
    for n in 0..40_000_u32 {
        let (line, code) = if n % 20 == 0 { (UNREADABLE, "-32700") } else { (UNKNOWN, "-32601") };
        let answer = peer.ask(line).await;
        assert!(answer.contains(code), "{answer}");
        assert_eq!(started.elapsed(), Duration::from_millis(100) * n);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(session.cost() < 2.0, "{}", session.cost());
    assert!(events.all().is_empty(), "{:?}", events.all());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_errors_is_slowed_down_to_what_is_forgiven() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let started = Instant::now();
    let flood = async |peer: &mut Raw<_>, errors: usize| {
        for _ in 0..errors {
            assert!(peer.ask(UNKNOWN).await.contains("-32601"));
        }
    };
    // 2,000 of cost.
    flood(&mut peer, 20_000).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    // In ten minutes 1,667 are forgiven, which is 16,667 errors. With 36 ms for each, 0.018 of the way to the hard limit, no
    // more is charged than is forgiven: that is a cost of 144 over the soft limit, and 1,440 errors.
    while started.elapsed() < Duration::from_secs(600) {
        flood(&mut peer, 100).await;
    }
    let (errors, cost) = (session.statistics().errors, session.cost());
    assert!((37_600..38_600).contains(&errors), "{errors} errors");
    assert!((2_100.0..2_200.0).contains(&cost), "{cost}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_what_cannot_be_read_ends_the_session() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    for _ in 0..9_999 {
        assert!(peer.ask(UNREADABLE).await.contains("-32700"));
    }
    assert!(!session.is_closed());
    peer.send(UNREADABLE).await;
    assert!(peer.rest().await.last().expect("a farewell").contains("-101"));
    assert!(matches!(session.closed().await, CloseReason::Cost { limit: 10_000.0, .. }));
}
