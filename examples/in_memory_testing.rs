//! How to test a service, and code that calls one: over a real session that never leaves memory, with time that only
//! passes when nothing else is left to do.
//!
//! `cargo test --example in_memory_testing` runs the tests at the end of this file, and
//! `cargo run --example in_memory_testing` the program that they test.

use std::{error::Error, time::Duration};

use rpc::{CallError, RpcError, rpc_service, testing};

#[rpc_service]
trait Weather {
    async fn temperature(&self, city: &str) -> Result<i32, NoStation>;
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
#[error("no station in {city}")]
#[rpc(code = 1)]
struct NoStation {
    city: String,
}

/// The service that is tested.
struct Stations;

impl Weather for Stations {
    async fn temperature(&self, city: &str) -> Result<i32, NoStation> {
        match city {
            "Oslo" => Ok(-4),
            "Lima" => Ok(21),
            _ => Err(NoStation { city: city.to_owned() }),
        }
    }
}

/// The caller that is tested: it does not know, nor care, what is at the other end.
async fn advice(weather: &WeatherClient, city: &str) -> String {
    match weather.temperature(city).timeout(Duration::from_secs(5)).await {
        Ok(..=0) => "take a coat".to_owned(),
        Ok(_) => "go as you are".to_owned(),
        Err(CallError::Service(error)) => format!("look out of the window: {error}"),
        Err(error) => format!("nobody knows: {}", rpc::chain(&error)),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (session, _stations) = testing::pair((), WeatherServer::new(Stations));
    let weather = WeatherClient::from(session);
    for city in ["Oslo", "Lima", "Rome"] {
        println!("{city}: {}", advice(&weather, city).await);
    }
    println!("now try: cargo test --example in_memory_testing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use rpc::{Router, Session};

    use super::*;

    /// A client of `service`, and the session that serves it.
    fn connected(service: impl rpc::Service) -> (WeatherClient, Session) {
        let (here, there) = testing::pair((), service);
        (WeatherClient::from(here), there)
    }

    /// The service behind its real client: names, parameters and errors have been through JSON and back.
    #[tokio::test]
    async fn a_city_without_a_station_is_named() {
        let (weather, _serving) = connected(WeatherServer::new(Stations));
        assert_eq!(weather.temperature("Oslo").await.unwrap(), -4);
        let error = weather.temperature("Rome").await.unwrap_err();
        assert!(matches!(error, CallError::Service(NoStation { city }) if city == "Rome"));
    }

    /// To test a caller, serve it whatever the test is about: a stand-in is a few lines.
    #[tokio::test]
    async fn below_zero_one_takes_a_coat() {
        struct Always(i32);
        impl Weather for Always {
            async fn temperature(&self, _: &str) -> Result<i32, NoStation> {
                Ok(self.0)
            }
        }
        for (degrees, expected) in [(0, "take a coat"), (1, "go as you are")] {
            let (weather, _serving) = connected(WeatherServer::new(Always(degrees)));
            assert_eq!(advice(&weather, "Oslo").await, expected);
        }
    }

    /// Paused time jumps ahead when everybody waits: the five seconds take none, and are exactly five.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_more_than_five_seconds() {
        struct Asleep;
        impl Weather for Asleep {
            async fn temperature(&self, _: &str) -> Result<i32, NoStation> {
                std::future::pending().await
            }
        }
        let (weather, _serving) = connected(WeatherServer::new(Asleep));
        let began = tokio::time::Instant::now();
        assert_eq!(advice(&weather, "Oslo").await, "nobody knows: no reply within 5s");
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    /// The other end is a session, too: it can be closed at the worst moment.
    #[tokio::test]
    async fn a_connection_that_is_lost_is_no_weather() {
        let (weather, serving) = connected(WeatherServer::new(Stations));
        serving.abort();
        assert_eq!(advice(&weather, "Oslo").await, "nobody knows: the session is closed: closed by the peer");
    }

    /// And a peer that does not know the trait is a router away.
    #[tokio::test]
    async fn a_peer_without_the_method_is_no_weather() {
        let (weather, _serving) = connected(Router::new());
        let advice = advice(&weather, "Oslo").await;
        assert!(advice.starts_with("nobody knows: the peer answered with an error"), "{advice}");
    }
}
