//! Connections: kept and used again, given up when the server closes them, and never a reason to do a call twice.

use std::{io, net::Ipv4Addr, time::Duration};

use futures::future::join_all;
use rpc::{CallError, HttpClient, HttpError, Limits};
use rpc_tests::{
    http::{HttpPeer, HttpRequest, response},
    settled,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::call_over;

const THREE: &str = r#"{"jsonrpc":"2.0","id":1,"result":3}"#;

/// An answer to whatever call it was.
fn three(request: &HttpRequest) -> String {
    let request: serde_json::Value = serde_json::from_str(&request.body).expect("nothing is wrong with it");
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": 3 }).to_string()
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_calls_that_follow_each_other() {
    let (mut peer, client) = HttpPeer::of_client();
    let served = async {
        let mut connection = peer.accept().await;
        for _ in 0..5 {
            connection.serve(three).await;
        }
        connection
    };
    let clone = client.clone();
    let calls = async {
        for client in [&client, &clone, &client, &clone, &client] {
            assert_eq!(client.call::<u8>("add", (1, 2)).await.unwrap(), 3);
        }
    };
    let (_connection, ()) = tokio::join!(served, calls);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_http_does_not_cost_the_connection() {
    let (mut peer, client) = HttpPeer::of_client();
    let served = async {
        let mut connection = peer.accept().await;
        for status in ["401 Unauthorized", "503 Busy", "404 "] {
            connection.request().await;
            connection.write(response(status, "", "no")).await;
        }
        connection.serve(three).await;
        connection
    };
    let calls = async {
        for _ in 0..3 {
            client.call::<u8>("add", (1, 2)).await.unwrap_err();
        }
        client.call::<u8>("add", (1, 2)).await
    };
    let (_connection, outcome) = tokio::join!(served, calls);
    assert_eq!(outcome.unwrap(), 3);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_may_close_between_calls() {
    let (mut peer, client) = HttpPeer::of_client();
    for round in 1..=3 {
        let call = async { client.call::<u8>("add", (1, 2)).await };
        let (outcome, ()) = tokio::join!(call, async {
            let mut connection = peer.accept().await;
            let request = connection.request().await;
            // Said, or not.
            let headers = if round == 2 { "connection: close\r\n" } else { "" };
            connection.write(response("200 OK", headers, &three(&request))).await;
        });
        assert_eq!(outcome.unwrap(), 3);
        assert_eq!(peer.connections(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_goes_out_on_another_connection() {
    let (mut peer, client) = HttpPeer::of_client();
    let call = async || client.call::<u8>("add", (1, 2)).await;
    let (outcome, connection) = tokio::join!(call(), async {
        let mut connection = peer.accept().await;
        connection.serve(three).await;
        connection
    });
    outcome.unwrap();
    settled().await;
    // The call finds the connection before anybody has seen that it is closed.
    drop(connection);
    let (outcome, _) = tokio::join!(call(), async { peer.accept().await.serve(three).await });
    assert_eq!(outcome.unwrap(), 3);
    assert_eq!(peer.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_been_carried_out_is_not_made_again() {
    for answered in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"jsonrpc\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"jso\r\n",
    ] {
        let (mut peer, client) = HttpPeer::of_client();
        // The connection has been used before: it is the case in which some clients try again.
        let mut connection = {
            let (outcome, connection) =
                tokio::join!(async { client.call::<u8>("add", (1, 2)).await }, async {
                    let mut connection = peer.accept().await;
                    connection.serve(three).await;
                    connection
                });
            outcome.unwrap();
            connection
        };
        let (outcome, ()) = tokio::join!(async { client.call::<u8>("pay", (1, 2)).await }, async {
            connection.request().await;
            connection.write(answered).await;
            drop(connection);
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, CallError::Http(HttpError::Broken { .. })), "{answered}: {error:?}");
        settled().await;
        assert_eq!(peer.connections(), 1, "{answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_closes_its_connection() {
    for answered in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let (mut peer, client) = HttpPeer::of_client();
        let call = tokio::spawn(async move { client.call::<u8>("add", (1, 2)).await });
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(answered).await;
        settled().await;
        call.abort();
        connection.expect_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_exchanges_are_under_way_and_the_others_follow_in_order() {
    let (mut peer, client) = HttpPeer::with(|builder| builder.exchanges(2));
    let names: Vec<String> = (0..6).map(|n| format!("m{n}")).collect();
    let calls = join_all(names.iter().map(|name| async { client.call::<u8>(name, ()).await }));
    let served = async {
        let (mut first, mut second) = (peer.accept().await, peer.accept().await);
        let mut order = Vec::new();
        for _ in 0..3 {
            let requests = [first.request().await, second.request().await];
            settled().await;
            for (connection, request) in [&mut first, &mut second].into_iter().zip(&requests) {
                connection.answer(&three(request)).await;
                settled().await;
            }
            order.extend(requests.map(|request| request.body));
        }
        (order, first, second)
    };
    let (outcomes, (order, ..)) = tokio::join!(calls, served);
    assert!(outcomes.into_iter().all(|outcome| matches!(outcome, Ok(3))));
    for (body, name) in order.iter().zip(&names) {
        assert!(body.contains(&format!(r#""{name}""#)), "{order:?}");
    }
    assert_eq!(peer.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn limits_of_calls_and_of_bytes_hold_for_exchanges_as_well() {
    let large = "x".repeat(1000);
    for (calls_in_flight, outgoing_bytes) in [(1, usize::MAX), (usize::MAX, 1500)] {
        let mut limits = Limits::client();
        (limits.calls_in_flight, limits.outgoing_bytes) = (calls_in_flight, outgoing_bytes);
        let (mut peer, client) = HttpPeer::with(|builder| builder.limits(limits));
        let calls = join_all((0..3).map(|_| async { client.call::<u8>("m", (&large,)).await }));
        let served = async {
            let mut connection = peer.accept().await;
            for _ in 0..3 {
                let request = connection.request().await;
                settled().await;
                connection.answer(&three(&request)).await;
            }
            connection
        };
        let (outcomes, _connection) = tokio::join!(calls, served);
        assert!(outcomes.into_iter().all(|outcome| matches!(outcome, Ok(3))));
        assert_eq!(peer.connections(), 1, "one after the other");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_to_the_next() {
    let (mut peer, client) = HttpPeer::with(|builder| builder.exchanges(1));
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.call::<u8>("stuck", ()).await }
    });
    let mut connection = peer.accept().await;
    connection.request().await;
    let call = async { client.call::<u8>("add", (1, 2)).await };
    let (outcome, ()) = tokio::join!(call, async {
        settled().await;
        assert_eq!(peer.connections(), 1);
        stuck.abort();
        peer.accept().await.serve(three).await;
    });
    assert_eq!(outcome.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_used_is_closed() {
    let (mut peer, client) = HttpPeer::with(|builder| builder.idle_timeout(Duration::from_secs(5)));
    let call = async { client.call::<u8>("add", (1, 2)).await };
    let (outcome, mut connection) = tokio::join!(call, async {
        let mut connection = peer.accept().await;
        connection.serve(three).await;
        connection
    });
    outcome.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(call_over(&mut connection, &client, &THREE.replace(":1", ":2")).await.unwrap(), json!(3));
    let unused = tokio::time::Instant::now();
    connection.expect_end().await;
    // It is looked at now and then.
    assert!((5..=10).contains(&unused.elapsed().as_secs()), "{:?}", unused.elapsed());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_connections_are_kept() {
    let (mut peer, client) = HttpPeer::with(|builder| builder.idle_connections(1));
    let calls = join_all((0..3).map(|_| async { client.call::<u8>("m", ()).await }));
    let (_, mut connections) = tokio::join!(calls, async {
        let mut connections = vec![peer.accept().await, peer.accept().await, peer.accept().await];
        for connection in &mut connections {
            connection.serve(three).await;
        }
        connections
    });
    let ended = join_all(connections.iter_mut().map(|connection| {
        let closed = async { connection.try_request().await.is_none() };
        async { tokio::time::timeout(Duration::from_secs(1), closed).await.is_ok() }
    }));
    assert_eq!(ended.await.iter().filter(|closed| **closed).count(), 2);
    drop(client);
}

#[tokio::test]
async fn nobody_answers_at_the_address() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = HttpClient::new(&url).unwrap();
    let error = client.call::<u8>("add", (1, 2)).await.unwrap_err();
    match &error {
        CallError::Http(HttpError::Connect { url: at, source }) => {
            assert_eq!((at, source.kind()), (&url, io::ErrorKind::ConnectionRefused));
        }
        other => panic!("{other:?}"),
    }
    assert!(rpc::chain(&error).to_string().starts_with(&format!("cannot connect to {url}: ")), "{error}");
}
