//! TCP: names with several addresses, and what can be chosen about sockets.

use std::{io, net::TcpListener as StdListener, time::Duration};

use rpc::{
    BindError, ConnectError, Connector, Endpoint, Listen, Server,
    transport::tcp::{ConnectAttempts, TcpOptions},
};
use rpc_tests::{FullListener, echo, soon};
use tokio::time::Instant;

/// A port at which nobody listens any more.
fn free_port() -> u16 {
    let listener = StdListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn a_server_listens_at_every_address_of_a_name() {
    let server = Server::builder().service(echo()).bind("tcp://localhost:0").await.expect("a port is free");
    let endpoints = server.endpoints().to_vec();
    let addresses: Vec<_> =
        endpoints.iter().map(|endpoint| endpoint.socket_addr().expect("no name")).collect();
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    assert!(addresses.iter().all(|address| address.port() == addresses[0].port() && address.port() != 0));
    let running = server.start();
    let by_name: Endpoint = format!("tcp://localhost:{}", addresses[0].port()).parse().expect("a URL");
    for url in endpoints.iter().chain([&by_name]) {
        let session = soon(rpc::connect(&url.to_string())).await.expect("it listens");
        assert_eq!(session.peer(), url);
        let echoed: Vec<u32> = soon(session.call("echo", [1]).into_future()).await.expect("it answers");
        assert_eq!(echoed, [1]);
    }
    soon(running.shutdown()).await;
}

#[tokio::test]
async fn the_error_of_a_name_lists_each_of_its_addresses() {
    let port = free_port();
    let error = soon(rpc::connect(&format!("tcp://localhost:{port}"))).await.expect_err("nobody listens");
    let told = rpc::chain(&error).to_string();
    let ConnectError::Io { source, .. } = error else { panic!("{told}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let attempts = source.get_ref().and_then(|error| error.downcast_ref::<ConnectAttempts>());
    let attempts: Vec<_> = attempts.expect("a name was tried").iter().collect();
    let mut expected = Vec::new();
    for (address, error) in attempts {
        assert!(address.ip().is_loopback() && address.port() == port);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        expected.push(format!("{address}: {error}"));
    }
    assert!(!expected.is_empty());
    assert_eq!(told, format!("cannot connect to tcp://localhost:{port}: {}", expected.join("; ")));
}

#[tokio::test]
async fn the_error_of_an_address_is_the_systems_own() {
    let port = free_port();
    let error = soon(rpc::connect(&format!("tcp://127.0.0.1:{port}"))).await.expect_err("nobody listens");
    let ConnectError::Io { source, .. } = error else { panic!("{error}") };
    assert!(source.raw_os_error().is_some(), "{source}");
}

/// Only Linux has all of 127.0.0.0/8 without being told.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_address_to_connect_from_can_be_chosen() {
    let server =
        Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
    let mut options = TcpOptions::default();
    options.local_address = Some("127.0.0.2".parse().expect("an address"));
    let port = server.endpoint().port().expect("a port");
    for host in ["127.0.0.1", "localhost"] {
        let connector = Connector::new(&format!("tcp://{host}:{port}")).expect("a URL");
        let session = soon(connector.tcp(options.clone()).connect()).await.expect("it listens");
        let echoed: Vec<u32> = soon(session.call("echo", [1]).into_future()).await.expect("it answers");
        assert_eq!(echoed, [1]);
        let there = server.sessions().pop().expect("it is connected");
        assert_eq!(there.peer().host().as_deref(), Some("127.0.0.2"));
        soon(session.close()).await;
        soon(there.closed()).await;
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn an_address_of_the_other_family_cannot_be_connected_from() {
    let mut options = TcpOptions::default();
    options.local_address = Some("::1".parse().expect("an address"));
    let connector = Connector::new(&format!("tcp://127.0.0.1:{}", free_port())).expect("a URL").tcp(options);
    let error = rpc::chain(&soon(connector.connect()).await.expect_err("IPv4 from IPv6")).to_string();
    assert!(error.contains(": it cannot be connected to from ::1: "), "{error}");
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up() {
    let full = FullListener::new();
    let address = full.address();

    tokio::time::pause();
    for seconds in [10, 3] {
        let mut options = TcpOptions::default();
        if seconds != 10 {
            options.connect_timeout = Some(Duration::from_secs(seconds));
        }
        let start = Instant::now();
        let connector = Connector::new(&format!("tcp://{address}")).expect("a URL").tcp(options);
        let error = rpc::chain(&connector.connect().await.expect_err("there is no room")).to_string();
        let told = format!("no answer within {seconds}s (`connect_timeout`)");
        assert_eq!(error, format!("cannot connect to tcp://{address}: {told}"));
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn as_many_peers_wait_to_be_accepted_as_the_backlog_says() {
    // On this machine the system connects at once where there is room, and not at all where there is none.
    let (patience, no_room) = (Duration::from_secs(10), Duration::from_millis(300));
    for (backlog, limit, all_have_room) in [(None, patience, true), (Some(1), no_room, false)] {
        let mut listen = Listen::at("tcp://127.0.0.1:0").expect("a URL");
        if let Some(backlog) = backlog {
            listen = listen.backlog(backlog);
        }
        // It is not started: nobody is accepted.
        let server = Server::builder().service(()).bind(listen).await.expect("a port is free");
        let address = server.endpoint().socket_addr().expect("an address");
        let connected: Result<Vec<_>, _> =
            (0..16).map(|_| std::net::TcpStream::connect_timeout(&address, limit)).collect();
        assert_eq!(connected.is_ok(), all_have_room, "{backlog:?}: {connected:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn servers_share_a_port_where_each_says_so() {
    let shared = |url: &str| Listen::at(url).expect("a URL").reuse_port(true);
    let first =
        Server::builder().service(()).bind(shared("tcp://127.0.0.1:0")).await.expect("a port is free");
    let url = first.endpoint().to_string();
    drop(Server::builder().service(()).bind(shared(&url)).await.expect("it is shared"));
    let error = Server::builder().service(()).bind(&url).await.expect_err("it does not say so");
    assert!(
        matches!(&error, BindError::Io { source, .. } if source.kind() == io::ErrorKind::AddrInUse),
        "{error}"
    );
}
