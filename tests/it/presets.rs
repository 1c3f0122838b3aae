//! A server that other machines can reach says by which limits.

use rpc::{Limits, Server};
use rpc_tests::{Event, Events, echo};
use tracing::Level;

const LISTENING: &str =
    "listening where other machines can connect: for the internet there is `Limits::public()`";

/// What is said when a server binds at `url`.
async fn said(url: &str, limits: Option<Limits>) -> Vec<Event> {
    let events = Events::capture();
    let builder = Server::builder().service(echo());
    let builder = match limits {
        Some(limits) => builder.limits(limits),
        None => builder,
    };
    let server = builder.bind(url).await.expect("a port is free");
    let said = events.of(LISTENING);
    if let [event] = &said[..] {
        assert_eq!(event.level, Level::INFO);
        assert_eq!(event.field("server.address"), server.endpoint().to_string());
    }
    said
}

#[tokio::test]
async fn a_server_that_binds_beyond_loopback_says_which_preset_it_has() {
    for (limits, name) in [
        (None, "server"),
        (Some(Limits::server()), "server"),
        (Some(Limits::public()), "public"),
        (Some(Limits::unlimited()), "unlimited"),
        (Some(Limits::client()), "client"),
        (Some(Limits::public().with_connections(5_000)), "custom"),
        // What means no limit is the same in whatever way it is written.
        (Some(Limits::unlimited().with_cost_hard(0.0).with_frame_size(0)), "unlimited"),
    ] {
        for url in ["tcp://0.0.0.0:0", "http://0.0.0.0:0"] {
            let said = said(url, limits.clone()).await;
            let [event] = &said[..] else { panic!("{name} at {url}: {said:?}") };
            assert_eq!(event.field("limits"), name);
        }
    }
}

#[tokio::test]
async fn one_that_only_this_machine_can_reach_says_nothing() {
    for url in ["tcp://127.0.0.1:0", "tcp://127.0.0.2:0", "tcp://localhost:0", "ws://127.0.0.1:0"] {
        assert!(said(url, None).await.is_empty(), "{url}");
    }
    assert!(said("memory:presets", None).await.is_empty());
}
