//! How long a call waits: for its turn, for a connection, for the head of the answer and for its end.

use std::{io, time::Duration};

use rpc::{BatchError, Call, CallError, DeadlineCaller, HttpClient, HttpError, Limits, Notify};
use rpc_tests::http::HttpPeer;
use tokio::{io::DuplexStream, time::Instant};

fn is_timeout<T>(outcome: &Result<T, CallError>, seconds: u64) -> bool {
    matches!(outcome, Err(CallError::Timeout(after)) if *after == Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_wherever_the_server_stops() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 35\r\n\r\n{\"jsonrpc\":\"2.0\"";
    for sent in [0, 10, 38, 50] {
        let (mut peer, client) = HttpPeer::of_client();
        let began = Instant::now();
        let call = async { client.call::<u8>("add", (1, 2)).timeout(Duration::from_secs(7)).await };
        let (outcome, mut connection) = tokio::join!(call, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(&answer[..sent]).await;
            connection
        });
        assert!(is_timeout(&outcome, 7), "{outcome:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(7));
        connection.expect_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_is_that_of_the_limits_the_call_or_the_deadline() {
    let mut limits = Limits::client();
    limits.call_timeout = Some(Duration::from_secs(5));
    let (_peer, client) = HttpPeer::with(|builder| builder.limits(limits));
    assert!(is_timeout(&client.call::<u8>("m", ()).await, 5));
    assert!(is_timeout(&client.notify("m", ()).await, 5));
    assert!(is_timeout(&client.call::<u8>("m", ()).timeout(Duration::from_secs(9)).await, 9));
    let soon = Instant::now() + Duration::from_secs(2);
    assert!(is_timeout(&client.call::<u8>("m", ()).deadline(soon).await, 2));
    // Late already: nothing is sent.
    let (peer, client) = HttpPeer::of_client();
    let late = DeadlineCaller::new(client.clone(), Some(Instant::now()));
    assert!(is_timeout(&Call::<_, u8>::untyped(&late, "m", ()).await, 0));
    assert!(is_timeout(&Notify::untyped(&late, "m", ()).await, 0));
    let batch = rpc::Batch::over(&late, (Notify::untyped(&late, "m", ()),)).await;
    assert!(matches!(batch, Err(BatchError::Timeout(Duration::ZERO))), "{batch:?}");
    assert_eq!(peer.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_while_a_call_waits_for_its_turn() {
    let (mut peer, client) = HttpPeer::with(|builder| builder.exchanges(1));
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.call::<u8>("stuck", ()).without_timeout().await }
    });
    let mut connection = peer.accept().await;
    connection.request().await;
    assert!(is_timeout(&client.call::<u8>("m", ()).timeout(Duration::from_secs(3)).await, 3));
    // Nothing of a batch was sent, so it fails as a whole.
    let batch = client.batch((client.call::<u8>("m", ()).timeout(Duration::from_secs(3)),)).await;
    assert!(matches!(batch, Err(BatchError::Timeout(after)) if after == Duration::from_secs(3)), "{batch:?}");
    assert_eq!(peer.connections(), 1);
    stuck.abort();
}

#[tokio::test(start_paused = true)]
async fn connecting_has_a_time_of_its_own() {
    let mut limits = Limits::client();
    limits.handshake_timeout = Some(Duration::from_secs(4));
    let client = HttpClient::builder("http://server.test/")
        .unwrap()
        .limits(limits)
        .connect_with(std::future::pending::<io::Result<DuplexStream>>)
        .build()
        .unwrap();
    let began = Instant::now();
    let error = client.call::<u8>("m", ()).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(4));
    match &error {
        CallError::Http(HttpError::Connect { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::TimedOut);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        rpc::chain(&error).to_string(),
        "cannot connect to http://server.test: not within 4s (`handshake_timeout`)"
    );
    // The call's own time may be shorter.
    assert!(is_timeout(&client.call::<u8>("m", ()).timeout(Duration::from_secs(1)).await, 1));
}
