//! What a side does to one that serves [`Work`](crate::Work): everything that a session offers, in an order that follows from a seed.

use std::{convert::Infallible, error::Error, fmt::Debug, ops::Range, time::Duration};

use futures::StreamExt;
use rpc::{CallError, CloseReason, ErrorCode, Progress, Session, Subscription, SubscriptionError};
use tokio::time::{sleep, timeout};

use crate::{Random, WorkClient, WorkError};

/// How a thing that was done has ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// With what it was to give.
    Good {
        /// What a notification, if it was one, was to note; else 0.
        noted: u64,
    },
    /// It was dropped before its end.
    Dropped,
    /// The session has ended.
    Closed(String),
    /// No reply came in time.
    Late(String),
    /// In a way that no fault explains.
    Wrong(String),
}

const GOOD: Ending = Ending::Good { noted: 0 };

/// Does one thing of many, whose number is `n`.
pub async fn act(session: &Session, mut random: Random, n: u64) -> Ending {
    let work = WorkClient::from(session.clone());
    sleep(Duration::from_millis(random.below(60))).await;
    let ms = random.below(20);
    match random.below(11) {
        0 | 1 => value(work.double(n).await, &(n * 2)),
        2 => value(work.later(n, ms).await, &n),
        3 => {
            let size = random.below(3_000) as usize;
            value(work.long(size).await, &"x".repeat(size))
        }
        4 => value(work.back(n, ms).await, &n),
        5 => match work.note(n).await {
            Ok(()) => Ending::Good { noted: n },
            Err(error) => value(Err::<(), _>(error), &()),
        },
        6 => batch(session, &work, n, ms).await,
        7 => {
            let patience = Duration::from_millis(random.below(40));
            match timeout(patience, work.later(n, ms).into_future()).await {
                Ok(outcome) => value(outcome, &n),
                Err(_) => Ending::Dropped,
            }
        }
        8 => sum(&work, n..n + random.below(30), random.below(60)).await,
        kind => {
            let end = n + random.below(30);
            let taken = random.below(2 * (end - n) + 2);
            let begun = if kind == 9 { work.count(n, end).await } else { work.status(n, end + 1).await };
            let end = if kind == 9 { end } else { end + 1 };
            match begun {
                Ok(items) => items_of(items, n..end, taken).await,
                Err(error) => value(Err::<(), _>(error), &()),
            }
        }
    }
}

async fn batch(session: &Session, work: &WorkClient, n: u64, ms: u64) -> Ending {
    let members = (work.double(n), work.note(n), work.back(n, ms), work.later(n, ms));
    let (double, (), back, later) = match session.batch(members).await {
        Ok(outcomes) => outcomes,
        Err(error) => return Ending::Closed(error.to_string()),
    };
    for ending in [value(double, &(n * 2)), value(back, &n), value(later, &n)] {
        if ending != GOOD {
            return ending;
        }
    }
    Ending::Good { noted: n }
}

/// Follows some work for `taken` reports, and drops it then; or to its end, where there are fewer.
async fn sum(work: &WorkClient, of: Range<u64>, taken: u64) -> Ending {
    let mut reports = match work.sum(of.start, of.end).await {
        Ok(reports) => reports,
        Err(error) => return value(Err::<(), _>(error), &()),
    };
    let mut next = of.start;
    for _ in 0..taken {
        match reports.next().await {
            Some(Ok(Progress::Step(step))) if step == next && step < of.end => next += 1,
            Some(Ok(Progress::Done(sum))) if next == of.end && sum == of.clone().sum::<u64>() => return GOOD,
            Some(Err(SubscriptionError::Closed(reason))) => return closed(&reason),
            Some(Err(SubscriptionError::Timeout(after))) => {
                return Ending::Late(format!("no report within {after:?}"));
            }
            Some(Err(SubscriptionError::Rpc(error))) if error.code() == ErrorCode::SERVER_BUSY => {
                return Ending::Closed(error.to_string());
            }
            other => return Ending::Wrong(format!("{next} of {of:?} is {other:?}")),
        }
    }
    Ending::Dropped
}

/// Takes `taken` items, and drops the subscription then; or all, where there are fewer.
async fn items_of(mut items: Subscription<u64>, expected: Range<u64>, taken: u64) -> Ending {
    let mut next = expected.start;
    for _ in 0..taken {
        match items.next().await {
            Some(Ok(item)) if item == next && item < expected.end => next += 1,
            Some(Err(SubscriptionError::Closed(reason))) => return closed(&reason),
            None if next == expected.end => return GOOD,
            other => return Ending::Wrong(format!("{next} of {expected:?} is {other:?}")),
        }
    }
    Ending::Dropped
}

fn value<T: PartialEq + Debug, E: Error + Explained + 'static>(
    outcome: Result<T, CallError<E>>,
    expected: &T,
) -> Ending {
    match outcome {
        Ok(value) if value == *expected => GOOD,
        Ok(value) => Ending::Wrong(format!("{value:?} in place of {expected:?}")),
        Err(CallError::Closed { reason, .. }) => closed(&reason),
        Err(CallError::Timeout(after)) => Ending::Late(format!("no reply within {after:?}")),
        // What a side answers that is closing because it has seen the end of the other one's bytes, or that gave a handler up.
        Err(CallError::Rpc(error)) if error.code() == ErrorCode::SERVER_BUSY => {
            Ending::Closed(error.to_string())
        }
        Err(CallError::Service(error)) if error.is_explained() => Ending::Closed(error.to_string()),
        Err(other) => Ending::Wrong(other.to_string()),
    }
}

/// Errors of the services that are there because the stream broke.
trait Explained {
    fn is_explained(&self) -> bool;
}

impl Explained for WorkError {
    fn is_explained(&self) -> bool {
        true
    }
}

impl Explained for Infallible {
    fn is_explained(&self) -> bool {
        match *self {}
    }
}

fn closed(reason: &CloseReason) -> Ending {
    match reason {
        CloseReason::Peer
        | CloseReason::Io(_)
        | CloseReason::Local
        | CloseReason::SendTimeout { .. }
        | CloseReason::FrameTimeout { .. } => Ending::Closed(reason.to_string()),
        other => Ending::Wrong(other.to_string()),
    }
}
