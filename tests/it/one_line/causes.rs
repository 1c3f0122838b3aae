//! Each cause of an error is shown in one line, too, where the error was made by this crate.

use std::error::Error;

use rpc::{
    CloseReason, Connector, Context, Endpoint, HttpClient, Params, Router,
    transport::websocket::{WebSocket, WebSocketClient},
};
use rpc_tests::Failing;
use serde_json::Value;

use super::{EVIL, error_shown, evil_io, evil_object, is_clean};

/// Each cause by itself, as what prints errors asks for them.
fn causes_shown(error: &(dyn Error + 'static)) {
    error_shown(error);
    let causes = std::iter::successors(Some(error), |&error| error.source());
    for cause in causes {
        assert!(is_clean(&cause.to_string()), "{}", cause.to_string().escape_debug());
    }
}

/// What a peer has sent, as the cause of an error.
#[tokio::test(start_paused = true)]
async fn causes_are_shown_in_one_line() {
    #[derive(Debug, serde::Deserialize)]
    enum Known {
        A,
    }

    let router = Router::new()
        .method("echo", async |params: Params, _: Context| params.parse::<(Value,)>())
        .method("fail", async |_: Params, _: Context| Err::<(), _>(evil_object()));
    let (session, _peer) = rpc::testing::pair((), router);
    for (method, params) in [("echo", (EVIL,)), ("fail", (EVIL,))] {
        let error = session.call::<(Known,)>(method, params).await.expect_err("it is unknown");
        causes_shown(&error);
    }
    let error = session.call::<u8>("echo", (1,)).await.expect_err("it is a list");
    let plain = rpc::chain(&error).to_string();
    assert!(plain.contains("invalid type: sequence"), "it says what it said: {plain}");
    assert!(matches!(Known::A, Known::A));

    let session = Connector::over(Failing::with(evil_io)).connect().await.expect("it is open");
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Io(_)), "{reason:?}");
    causes_shown(&reason);
    causes_shown(&session.call::<u8>("m", ()).await.expect_err("it is closed"));

    let url: Endpoint = "ws://localhost/".parse().expect("a URL");
    let options = WebSocketClient::new();
    let handshake = WebSocket::connect(Failing::with(evil_io), &url, &options);
    causes_shown(&handshake.await.expect_err("it fails"));

    let client = HttpClient::builder("http://localhost/").expect("a URL");
    let client = client.connect_with(|| async { Ok(Failing::with(evil_io)) }).build().expect("a client");
    causes_shown(&client.call::<u8>("m", ()).await.expect_err("it fails"));
    let client = HttpClient::builder("http://localhost/").expect("a URL");
    let client = client.connect_with(|| async { Err::<Failing, _>(evil_io()) }).build().expect("a client");
    causes_shown(&client.call::<u8>("m", ()).await.expect_err("there is no connection"));
}
