//! What goes out: the request line, the headers, and the body.

use rpc::{HttpClient, HttpClientBuilder, HttpClientError, OutgoingBatch, Protocol};
use rpc_tests::http::{HttpPeer, HttpRequest};

/// The requests that a client makes for a call, a notification, and another call.
async fn requests_of(with: impl FnOnce(HttpClientBuilder) -> HttpClientBuilder) -> Vec<HttpRequest> {
    let (mut peer, client) = HttpPeer::with(with);
    let served = async {
        let mut connection = peer.accept().await;
        let mut requests = Vec::new();
        while let Some(request) = connection.try_request().await {
            connection.answer(r#"{"jsonrpc":"2.0","id":1,"result":0,"error":null}"#).await;
            requests.push(request);
        }
        requests
    };
    let calls = async move {
        drop(client.call::<u8>("add", (1, 2)).await);
        client.notify("log", ("x",)).await.expect("nothing is wrong with it");
        drop(client.call::<u8>("ping", ()).await);
    };
    tokio::join!(served, calls).0
}

fn bodies(requests: &[HttpRequest]) -> Vec<&str> {
    requests.iter().map(|request| request.body.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_post_with_everything_that_http_asks_for() {
    let requests = requests_of(|builder| builder).await;
    let HttpRequest { line, headers, body } = &requests[0];
    assert_eq!(line, "POST /wallet/w?x=1 HTTP/1.1");
    let mut headers = headers.clone();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept: application/json",
            "content-length: 54",
            "content-type: application/json",
            "host: server.test:8332",
            concat!("user-agent: rpc/", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(body, r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#);
}

#[tokio::test(start_paused = true)]
async fn messages_are_those_of_the_version_and_ids_rise() {
    assert_eq!(
        bodies(&requests_of(|builder| builder).await),
        [
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","method":"log","params":["x"]}"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#,
        ]
    );
    assert_eq!(
        bodies(&requests_of(|builder| builder.protocol(Protocol::V1)).await),
        [
            r#"{"method":"add","params":[1,2],"id":1}"#,
            r#"{"method":"log","params":["x"],"id":null}"#,
            r#"{"method":"ping","params":[],"id":2}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_batch_go_out_in_one_request() {
    let (mut peer, client) = HttpPeer::of_client();
    let batch = OutgoingBatch::new().call("add", &(1, 2)).unwrap().notify("log", &("x",)).unwrap();
    let batch = batch.call("ping", &()).unwrap();
    let served = async {
        let answer = r#"[{"jsonrpc":"2.0","id":1,"result":3},{"jsonrpc":"2.0","id":2,"result":0}]"#;
        peer.accept().await.serve(|_| answer.to_owned()).await
    };
    let (request, replies) = tokio::join!(served, async { client.batch(batch).await });
    assert_eq!(replies.unwrap().len(), 2);
    assert_eq!(
        request.body,
        concat!(
            r#"[{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]},"#,
            r#"{"jsonrpc":"2.0","method":"log","params":["x"]},"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
        )
    );
}

#[tokio::test(start_paused = true)]
async fn credentials_go_out_with_every_request() {
    // RFC 7617, section 2; RFC 6750, section 2.1.
    for request in requests_of(|builder| builder.basic_auth("Aladdin", "open sesame")).await {
        assert_eq!(request.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    }
    for request in requests_of(|builder| builder.bearer_auth("mF_9.B5f-4.1JqM")).await {
        assert_eq!(request.header("authorization"), Some("Bearer mF_9.B5f-4.1JqM"));
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_added_and_replaced() {
    let requests = requests_of(|builder| {
        builder
            .header("X-Api-Key", "k")
            .header("content-type", "application/json-rpc")
            .header("host", "other.test")
            .user_agent("wallet/1")
    });
    for request in requests.await {
        for (name, value) in [
            ("x-api-key", "k"),
            ("content-type", "application/json-rpc"),
            ("host", "other.test"),
            ("user-agent", "wallet/1"),
        ] {
            assert_eq!(request.header(name), Some(value), "{request:?}");
            assert_eq!(request.headers.iter().filter(|line| line.starts_with(name)).count(), 1);
        }
    }
}

fn refusal(with: impl FnOnce(HttpClientBuilder) -> HttpClientBuilder) -> String {
    with(HttpClient::builder("http://server.test/").expect("nothing is wrong with it"))
        .build()
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn what_could_be_taken_for_another_request_is_refused() {
    for (name, value) in [("Content-Length", "1"), ("transfer-encoding", "chunked")] {
        let error = refusal(|builder| builder.header(name, value));
        assert_eq!(error, format!("the header `{name}` cannot be sent: it follows from the message"));
    }
    let error = refusal(|builder| builder.header("x", "secret\r\nhost: h"));
    assert_eq!(error, "the header `x` cannot be sent: its value is not printable, or not on one line");
    let error = refusal(|builder| builder.header("a b\r\n", "c"));
    assert_eq!(error, r"the header `a b\r\n` cannot be sent: that is no name of a header");
    let error = refusal(|builder| builder.basic_auth("a:b", "secret"));
    assert_eq!(error, "these credentials cannot be sent: a user's name has no colon");
    // The first mistake is told.
    let error = refusal(|builder| builder.bearer_auth("a b").basic_auth("a:b", "c").bearer_auth("good"));
    assert!(error.contains("a token has"), "{error}");
}

#[test]
fn urls_are_for_http_and_hold_no_credentials() {
    let error = HttpClient::new("http://ann:secret@server.test/").unwrap_err();
    assert!(matches!(error, HttpClientError::Endpoint(_)));
    let text = format!("{error} {error:?}");
    assert!(text.contains("a user and a password do not belong into it"), "{text}");
    assert!(!text.contains("secret") && !text.contains("ann"), "{text}");
    for (url, scheme) in [("tcp://127.0.0.1:1", "tcp"), ("ws://server.test/key", "ws"), ("unix:x", "unix")] {
        let error = rpc::chain(&HttpClient::new(url).unwrap_err()).to_string();
        assert_eq!(error, format!("`{scheme}:` is not spoken by an HTTP client: http and https are"));
    }
    let error = rpc::chain(&HttpClient::new("http://server.test/a<key>").unwrap_err()).to_string();
    assert!(error.starts_with("the path of the URL cannot be sent: ") && !error.contains("key"), "{error}");
}

#[tokio::test]
async fn a_session_is_not_carried_by_http() {
    let error = rpc::chain(&rpc::connect("http://127.0.0.1:1/").await.unwrap_err()).to_string();
    assert_eq!(error, "cannot connect to http://127.0.0.1:1/: HTTP carries no session: use an `HttpClient`");
}

#[test]
fn nothing_that_could_be_a_secret_is_shown() {
    let builder = HttpClient::builder("http://server.test/path-key").unwrap();
    let builder = builder.basic_auth("user-name", "pass-word").header("x-api-key", "header-key");
    let mut shown = format!("{builder:?}");
    let client = builder.build().unwrap();
    shown += &format!("{client:?} {}", client.server());
    // In the header it would be as Base64.
    for secret in ["path-key", "user-name", "pass-word", "header-key", "dXNlci"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("http://server.test"), "{shown}");
}
