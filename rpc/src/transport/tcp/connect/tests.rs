//! Simulated addresses: each answers, or fails, after a time of its own. Time is paused otherwise.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    rc::Rc,
};

use tokio::time::{Instant, sleep};

use super::*;

/// Behaviour of an address.
#[derive(Clone, Copy)]
enum Play {
    /// Answers after this many milliseconds.
    Answers(u64),
    Fails(u64),
    Silent,
}

/// The outcome: the connected address or the errors, its time, and the start time of each attempt.
struct Seen {
    outcome: Result<SocketAddr, ConnectAttempts>,
    after: u64,
    begun: Vec<(SocketAddr, u64)>,
    /// Number of attempts that were dropped while running.
    given_up: usize,
}

async fn played(plays: &[(&str, Play)]) -> Seen {
    struct Running(Rc<Cell<usize>>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let start = Instant::now();
    let elapsed = || u64::try_from(start.elapsed().as_millis()).unwrap();
    let begun = RefCell::new(Vec::new());
    let (running, given_up) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let addresses = plays.iter().map(|(address, _)| address.parse().unwrap()).collect();
    let outcome = race(addresses, |address| {
        begun.borrow_mut().push((address, elapsed()));
        let play = plays.iter().find(|(name, _)| name.parse() == Ok(address)).unwrap().1;
        running.set(running.get() + 1);
        given_up.set(given_up.get() + 1);
        let (guard, given_up) = (Running(Rc::clone(&running)), Rc::clone(&given_up));
        async move {
            let _running = guard;
            match play {
                Play::Answers(after) => sleep(Duration::from_millis(after)).await,
                Play::Fails(after) => sleep(Duration::from_millis(after)).await,
                Play::Silent => pending().await,
            }
            given_up.set(given_up.get() - 1);
            match play {
                Play::Fails(after) => {
                    Err(io::Error::new(io::ErrorKind::ConnectionRefused, format!("at {after}")))
                }
                _ => Ok(address),
            }
        }
    })
    .await;
    assert_eq!(running.get(), 0, "an attempt goes on");
    Seen { outcome, after: elapsed(), begun: begun.into_inner(), given_up: given_up.get() }
}

const V6: &str = "[2001:db8::1]:1";
const V6_TOO: &str = "[2001:db8::2]:1";
const V4: &str = "192.0.2.1:1";
const V4_TOO: &str = "192.0.2.2:1";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_address_that_answers_in_time_is_the_only_one_tried() {
    let seen = played(&[(V6, Play::Answers(249)), (V4, Play::Answers(0))]).await;
    assert_eq!((seen.outcome.unwrap(), seen.after), (address(V6), 249));
    assert_eq!(seen.begun, [(address(V6), 0)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_quarter_of_a_second_the_next_one_is_tried_too() {
    let seen = played(&[(V6, Play::Silent), (V4, Play::Answers(20))]).await;
    assert_eq!((seen.outcome.unwrap(), seen.after), (address(V4), 270));
    assert_eq!(seen.begun, [(address(V6), 0), (address(V4), 250)]);
    assert_eq!(seen.given_up, 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_one_goes_on_and_may_still_win() {
    let seen = played(&[(V6, Play::Answers(300)), (V4, Play::Answers(100))]).await;
    assert_eq!((seen.outcome.unwrap(), seen.after, seen.given_up), (address(V6), 300, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_wait_for_the_time() {
    let seen = played(&[(V6, Play::Fails(5)), (V4, Play::Fails(7)), (V6_TOO, Play::Answers(1))]).await;
    assert_eq!((seen.outcome.unwrap(), seen.after), (address(V6_TOO), 13));
    let times: Vec<u64> = seen.begun.iter().map(|(_, at)| *at).collect();
    assert_eq!(times, [0, 5, 12]);
}

#[tokio::test(start_paused = true)]
async fn the_time_begins_anew_with_each_attempt() {
    let seen = played(&[(V6, Play::Fails(100)), (V4, Play::Silent), (V6_TOO, Play::Answers(0))]).await;
    assert_eq!((seen.outcome.unwrap(), seen.after), (address(V6_TOO), 350));
}

#[tokio::test(start_paused = true)]
async fn the_families_take_turns() {
    let seen = played(&[
        (V6, Play::Fails(0)),
        (V6_TOO, Play::Fails(0)),
        (V4, Play::Fails(0)),
        (V4_TOO, Play::Fails(0)),
        (V6, Play::Fails(0)),
    ])
    .await;
    let order: Vec<SocketAddr> = seen.begun.iter().map(|(address, _)| *address).collect();
    assert_eq!(order, [V6, V4, V6_TOO, V4_TOO].map(address), "each once");

    let seen = played(&[(V4, Play::Fails(0)), (V4_TOO, Play::Fails(0)), (V6, Play::Fails(0))]).await;
    let order: Vec<SocketAddr> = seen.begun.iter().map(|(address, _)| *address).collect();
    assert_eq!(order, [V4, V6, V4_TOO].map(address), "the system's first one begins");
}

#[tokio::test(start_paused = true)]
async fn the_error_lists_every_address_in_the_order_of_the_attempts() {
    let seen = played(&[(V6, Play::Fails(900)), (V4, Play::Fails(10))]).await;
    assert_eq!(seen.after, 900, "the slower one is waited for");
    let error = seen.outcome.unwrap_err();
    assert_eq!(error.to_string(), "[2001:db8::1]:1: at 900; 192.0.2.1:1: at 10");
    assert_eq!(error.iter().map(|(address, _)| address).collect::<Vec<_>>(), [V6, V4].map(address));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_name_without_an_address_fails() {
    let seen = played(&[]).await;
    let error = io::Error::from(seen.outcome.unwrap_err());
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "it has no address"));
}
