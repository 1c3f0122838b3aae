//! Errors that are the same type on both sides, and what else can go wrong with a call.
//!
//! `cargo run --example typed_errors`

use std::{collections::BTreeSet, error::Error, num::ParseIntError, sync::Mutex, time::Duration};

use rpc::{CallError, ErrorCode, RpcError, Session, rpc_service, testing};
use serde_json::value::RawValue;

/// The codes are the protocol: other languages see them, so they are written down and not counted. The texts are for
/// people, and may change.
#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum BookingError {
    /// No fields: a code and a text, without `data`.
    #[error("the house is closed")]
    #[rpc(code = 1)]
    Closed,

    /// Named fields travel in `data` as an object: `{"seat":12,"free":[3,7]}`.
    #[error("seat {seat} is taken")]
    #[rpc(code = 2)]
    Taken { seat: u32, free: Vec<u32> },

    /// One unnamed field is `data` itself.
    #[error("`{0}` is no seat")]
    #[rpc(code = 3)]
    NoSeat(String),
}

/// Errors of other types become ours with `?`, as everywhere in Rust. What is not converted cannot leak.
impl From<ParseIntError> for BookingError {
    fn from(error: ParseIntError) -> Self {
        Self::NoSeat(error.to_string())
    }
}

#[rpc_service]
trait Theatre {
    async fn book(&self, seat: &str) -> Result<u32, BookingError>;
    async fn review(&self) -> String;
}

#[derive(Default)]
struct House {
    taken: Mutex<BTreeSet<u32>>,
}

impl Theatre for House {
    async fn book(&self, seat: &str) -> Result<u32, BookingError> {
        let seat = seat.parse()?;
        let mut taken = self.taken.lock().expect("nobody panics while holding it");
        match seat {
            1..=8 if taken.insert(seat) => Ok(seat),
            1..=8 => {
                Err(BookingError::Taken { seat, free: (1..=8).filter(|s| !taken.contains(s)).collect() })
            }
            13 => Err(BookingError::Closed),
            _ => Err(BookingError::NoSeat(seat.to_string())),
        }
    }

    async fn review(&self) -> String {
        std::future::pending().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (session, house): (Session, Session) = testing::pair((), TheatreServer::new(House::default()));
    let theatre = TheatreClient::from(session.clone());

    // The method's own errors: match on them, with their fields.
    println!("booked seat {}", theatre.book("5").await?);
    for seat in ["5", "five", "99", "13"] {
        match theatre.book(seat).await {
            Err(CallError::Service(BookingError::Taken { seat, free })) => {
                println!("seat {seat} is taken, but {free:?} are free");
            }
            Err(CallError::Service(error)) => println!("no: {error}"),
            other => return Err(format!("unexpected: {other:?}").into()),
        }
    }

    // The same error as it travels, for those who call without the trait.
    let error = session.call::<u32>("book", ("5",)).await;
    if let Err(CallError::Rpc(object)) = error {
        let data = object.raw_data().map(RawValue::get);
        println!("on the wire: code {}, message {:?}, data {data:?}", object.code(), object.message());
    }

    // Errors that are none of the method's own have a place of their own: the peer has no such method …
    match session.call::<u32>("sell", ()).await {
        Err(CallError::Rpc(error)) if error.code() == ErrorCode::METHOD_NOT_FOUND => println!("{error}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    // … or there is no answer in time …
    match theatre.review().timeout(Duration::from_millis(20)).await {
        Err(CallError::Timeout(after)) => println!("no review within {after:?}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    // … or the connection ends: every call that waits is told why, and every later one too.
    let (review, ()) = tokio::join!(async { theatre.review().await }, async { house.abort() });
    match review {
        Err(CallError::Closed { reason, .. }) => println!("no review: {}", rpc::chain(&reason)),
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    Ok(())
}
