//! Connecting to where nobody answers, and giving up.

use std::time::Duration;

use futures::FutureExt;
use rpc::{ConnectError, Connector, Limits, Server, transport::tcp::TcpOptions};
use rpc_tests::{FullListener, echo, soon};
use tokio::time::Instant;

#[tokio::test]
async fn connecting_is_given_up_after_the_handshake_timeout() {
    let full = FullListener::new();
    let address = full.address();

    tokio::time::pause();
    for seconds in [30, 7] {
        let mut limits = Limits::client();
        if seconds != 30 {
            limits.handshake_timeout = Some(Duration::from_secs(seconds));
        }
        let start = Instant::now();
        // Each address has a time of its own, which is shorter.
        let mut tcp = TcpOptions::default();
        tcp.connect_timeout = None;
        let connector = Connector::new(&format!("tcp://{address}")).expect("a URL").limits(limits).tcp(tcp);
        let error = connector.connect().await.expect_err("there is no room");
        assert!(
            matches!(error, ConnectError::Timeout { limit, .. } if limit.as_secs() == seconds),
            "{error:?}"
        );
        assert_eq!(start.elapsed().as_secs(), seconds);
        let told = format!("cannot connect to tcp://{address}: not within {seconds}s (`handshake_timeout`)");
        assert_eq!(error.to_string(), told);
    }
}

#[tokio::test]
async fn connecting_that_is_dropped_anywhere_leaves_nothing_behind() {
    let server =
        Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
    let url = server.endpoint().to_string();
    let metrics = tokio::runtime::Handle::current().metrics();
    let tasks = metrics.num_alive_tasks();
    let mut connected = false;
    for polls in 0..100 {
        let mut connecting = Box::pin(Connector::new(&url).expect("a URL").service(echo()).connect());
        for _ in 0..polls {
            match (&mut connecting).now_or_never() {
                Some(session) => {
                    session.expect("it listens").close().await;
                    connected = true;
                    break;
                }
                None => tokio::task::yield_now().await,
            }
        }
        drop(connecting);
        // A connection that was there is closed, and its session ends on the other side.
        soon(async {
            while metrics.num_alive_tasks() > tasks || !server.sessions().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        if connected {
            assert!(polls > 1, "it was given up at least once");
            soon(server.shutdown()).await;
            return;
        }
    }
    panic!("it has never come to its end");
}
