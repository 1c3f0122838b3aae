//! Sides that were told different URLs: one speaks what the other does not. Each learns so in time, and the server goes on.

use std::time::Duration;

use rpc::{Connector, HttpClient, Limits, Listen, Server, ServerHandle};
use rpc_tests::{Authority, CalcClient, CalcServer, MyCalc, soon};

const SCHEMES: [&str; 6] = ["tcp", "tls", "ws", "wss", "http", "https"];

fn limits(limits: Limits) -> Limits {
    // Some wait for what never comes.
    let soon = Some(Duration::from_millis(200));
    let mut limits = limits;
    (limits.handshake_timeout, limits.call_timeout) = (soon, soon);
    limits
}

/// Whether they understand each other.
fn belong(client: &str, server: &str) -> bool {
    client == server || [("ws", "http"), ("wss", "https")].contains(&(client, server))
}

fn speaks_tls(scheme: &str) -> bool {
    ["tls", "wss", "https"].contains(&scheme)
}

async fn listening(scheme: &str, authority: &Authority) -> ServerHandle {
    let mut listen = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
    if speaks_tls(scheme) {
        listen = listen.tls(authority.issue(&["127.0.0.1"]).server());
    }
    let server = Server::builder().service(CalcServer::new(MyCalc)).limits(limits(Limits::server()));
    server.bind(listen).await.expect("a port is free").start()
}

/// A sum, or why there is none.
async fn asked(scheme: &str, server: &ServerHandle, authority: &Authority) -> Result<i64, String> {
    let url = format!("{scheme}://{}", server.endpoint().socket_addr().expect("an address"));
    let limits = limits(Limits::client());
    if ["http", "https"].contains(&scheme) {
        let builder = HttpClient::builder(&url).expect("a URL").limits(limits);
        let builder = if speaks_tls(scheme) { builder.tls(authority.trusted()) } else { builder };
        let client = CalcClient::from(builder.build().expect("nothing is wrong with it"));
        return client.add(1, 2).await.map_err(|error| rpc::chain(&error).to_string());
    }
    let connector = Connector::new(&url).expect("a URL").limits(limits);
    let connector = if speaks_tls(scheme) { connector.tls(authority.trusted()) } else { connector };
    let session = connector.connect().await.map_err(|error| rpc::chain(&error).to_string())?;
    CalcClient::from(session).add(1, 2).await.map_err(|error| rpc::chain(&error).to_string())
}

#[tokio::test]
async fn sides_that_speak_different_things_say_so_in_time_and_the_server_goes_on() {
    let authority = Authority::new();
    for there in SCHEMES {
        let server = listening(there, &authority).await;
        for here in SCHEMES {
            let outcome = soon(asked(here, &server, &authority)).await;
            assert_eq!(outcome.is_ok(), belong(here, there), "{here} to {there}: {outcome:?}");
            if let Err(told) = outcome {
                // Where the server says what it speaks, that is what is told.
                if !speaks_tls(here) && speaks_tls(there) && here != "http" && here != "ws" {
                    assert!(told.contains("the peer speaks TLS"), "{here} to {there}: {told}");
                }
                if speaks_tls(here) && matches!(there, "http") {
                    assert!(told.contains("does not speak TLS"), "{here} to {there}: {told}");
                }
            }
            assert_eq!(soon(asked(there, &server, &authority)).await, Ok(3), "{there} after {here}");
        }
        soon(server.shutdown()).await;
    }
}
