//! jsonrpsee's HTTP client calls our server.

use jsonrpsee::{
    core::{
        client::{ClientT, Error},
        params::BatchRequestBuilder,
    },
    http_client::{HeaderMap, HeaderValue, HttpClient, HttpClientBuilder},
    rpc_params,
};
use rpc::{Context, ErrorObject, HttpOptions, Limits, Listen, Params, Router, Server, ServerHandle};

async fn serve() -> (HttpClientBuilder, String, ServerHandle) {
    let router = Router::new()
        .method("add", async |params: Params, _: Context| {
            let (a, b): (i64, i64) = params.parse()?;
            Ok::<_, ErrorObject>(a + b)
        })
        .method("div", async |params: Params, _: Context| {
            let (a, b): (i64, i64) = params.parse()?;
            a.checked_div(b).ok_or_else(|| ErrorObject::new(7, "division by zero"))
        })
        .method("repeat", async |params: Params, _: Context| {
            let (text, times): (String, usize) = params.parse()?;
            Ok::<_, ErrorObject>(text.repeat(times))
        })
        .method("token", async |_: Params, cx: Context| {
            let token = cx.http().and_then(|request| request.headers.get("authorization"));
            Ok::<_, ErrorObject>(token.and_then(|token| Some(token.to_str().ok()?.to_owned())))
        })
        .notification("log", async |_: Params, _: Context| {});
    let mut limits = Limits::server();
    limits.frame_size = 100_000;
    let listen = Listen::at("http://127.0.0.1:0").unwrap().http(HttpOptions::new());
    let server = Server::builder().service(router).limits(limits).bind(listen).await.unwrap().start();
    let url = server.endpoint().to_string();
    (HttpClient::builder(), url, server)
}

#[tokio::test]
async fn calls_errors_and_notifications() {
    let (client, url, server) = serve().await;
    let client = client.build(&url).unwrap();
    for n in 0..3 {
        assert_eq!(client.request::<i64, _>("add", rpc_params![n, 2]).await.unwrap(), n + 2);
    }
    let Err(Error::Call(error)) = client.request::<i64, _>("div", rpc_params![1, 0]).await else {
        panic!("no error")
    };
    assert_eq!((error.code(), error.message()), (7, "division by zero"));
    let Err(Error::Call(error)) = client.request::<i64, _>("nobody_has_this", rpc_params![]).await else {
        panic!("no error")
    };
    assert_eq!(error.code(), -32601);
    client.notification("log", rpc_params!["nobody answers"]).await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn batches() {
    let (client, url, server) = serve().await;
    let client = client.build(&url).unwrap();
    let mut batch = BatchRequestBuilder::new();
    batch.insert("add", rpc_params![1, 2]).unwrap();
    batch.insert("div", rpc_params![1, 0]).unwrap();
    batch.insert("add", rpc_params![3, 4]).unwrap();
    let answers = client.batch_request::<i64>(batch).await.unwrap();
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.code())).collect();
    assert_eq!(answers, [Ok(3), Err(7), Ok(7)]);
    server.shutdown().await;
}

#[tokio::test]
async fn headers_and_large_bodies() {
    let (client, url, server) = serve().await;
    let headers =
        HeaderMap::from_iter([("authorization".parse().unwrap(), HeaderValue::from_static("Bearer 17"))]);
    let client = client.set_headers(headers).build(&url).unwrap();
    assert_eq!(
        client.request::<Option<String>, _>("token", rpc_params![]).await.unwrap().unwrap(),
        "Bearer 17"
    );
    let long = client.request::<String, _>("repeat", rpc_params!["ab", 500_000]).await.unwrap();
    assert_eq!(long.len(), 1_000_000);
    // More than the server takes: it is told so by the status.
    let refused =
        client.request::<String, _>("repeat", rpc_params!["x".repeat(200_000), 1]).await.unwrap_err();
    assert!(matches!(&refused, Error::Transport(why) if format!("{why:?}").contains("413")), "{refused:?}");
    server.shutdown().await;
}
