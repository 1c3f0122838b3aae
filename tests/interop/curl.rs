//! `curl`, as people use it: by default, over HTTP/2, with a large body, and by mistake.

use std::{process::Stdio, time::Duration};

use rpc::{Limits, Server, ServerHandle};
use rpc_tests::{CalcServer, MyCalc, echo};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

async fn served() -> ServerHandle {
    let mut limits = Limits::server();
    limits.frame_size = 4_000_000;
    let builder = Server::builder().service(CalcServer::new(MyCalc)).service(echo()).limits(limits);
    builder.bind("http://127.0.0.1:0").await.expect("a port").start()
}

/// What `curl` prints, with the status and the version of HTTP in two lines behind it.
async fn curl(server: &ServerHandle, options: &[&str], body: &str) -> (String, String, String) {
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "50", "--noproxy", "*"])
        .args(["--write-out", "\n%{http_code}\n%{http_version}"])
        .args(options)
        .arg(server.endpoint().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("curl is installed");
    let mut stdin = curl.stdin.take().expect("it is piped");
    // It need not want it.
    let _written = stdin.write_all(body.as_bytes()).await;
    drop(stdin);
    let output =
        timeout(Duration::from_secs(60), curl.wait_with_output()).await.expect("it ends").expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (text, version) = text.rsplit_once('\n').expect("a version");
    let (text, status) = text.rsplit_once('\n').expect("a status");
    (text.to_owned(), status.to_owned(), version.to_owned())
}

const JSON: [&str; 4] = ["--header", "content-type: application/json", "--data-binary", "@-"];

fn call(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

#[tokio::test]
async fn a_call() {
    let server = served().await;
    let (body, status, version) = curl(&server, &JSON, &call("add", &json!([1, 2]))).await;
    assert_eq!(
        (body.as_str(), status.as_str(), version.as_str()),
        (r#"{"jsonrpc":"2.0","id":1,"result":3}"#, "200", "1.1")
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_call_over_http_2() {
    let server = served().await;
    let options = [&JSON[..], &["--http2-prior-knowledge"]].concat();
    let (body, status, version) = curl(&server, &options, &call("ping", &json!([]))).await;
    assert_eq!(
        (body.as_str(), status.as_str(), version.as_str()),
        (r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#, "200", "2")
    );
    server.shutdown().await;
}

/// One that asks whether it may go on (`Expect: 100-continue`), and one that is chunked.
#[tokio::test]
async fn a_large_body() {
    let server = served().await;
    let text = "x".repeat(3_000_000);
    for more in [&[][..], &["--header", "transfer-encoding: chunked"]] {
        let options = [&JSON[..], more].concat();
        let (body, status, _) = curl(&server, &options, &call("echo", &json!([text]))).await;
        assert_eq!(status, "200");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(answer["result"][0], *text);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    let server = served().await;
    for more in [&[][..], &["--header", "expect:"], &["--header", "transfer-encoding: chunked"]] {
        let options = [&JSON[..], more].concat();
        let (body, status, _) = curl(&server, &options, &" ".repeat(5_000_000)).await;
        assert_eq!(status, "413", "{more:?}");
        assert!(body.contains("the limit is 4000000"), "{body}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_easily_done_wrong() {
    let server = served().await;
    // Without a header it says that it sends a form.
    let (body, status, _) = curl(&server, &["--data-binary", "@-"], &call("ping", &json!([]))).await;
    assert_eq!(status, "415");
    assert!(body.contains("application/x-www-form-urlencoded"), "{body}");
    let (_, status, _) = curl(&server, &[], "").await;
    assert_eq!(status, "405");
    let options = [&JSON[..], &["--header", "host: node.example.org"]].concat();
    let (body, status, _) = curl(&server, &options, &call("ping", &json!([]))).await;
    assert_eq!(status, "403");
    assert!(body.contains("node.example.org"), "{body}");
    server.shutdown().await;
}
