//! Our HTTP client calls jsonrpsee's server.

mod calculator;

use jsonrpsee::server::{Server, ServerConfig, ServerHandle};
use rpc::{BatchError, CallError, ErrorCode, HttpClient, HttpError, Limits, Protocol, rpc_service};

use calculator::{DivError, calculator};

#[rpc_service]
trait Calc {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;
    async fn repeat(&self, text: &str, times: usize) -> String;
    #[rpc(notification)]
    async fn log(&self, line: &str);
    async fn nobody_has_this(&self);
}

/// Serves while the handle lives.
async fn serve() -> (String, ServerHandle) {
    let config = ServerConfig::builder().max_request_body_size(100_000).build();
    let server = Server::builder().set_config(config).build("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    (url, server.start(calculator()))
}

#[tokio::test]
async fn calls_errors_and_notifications() {
    let (url, _server) = serve().await;
    for http2_only in [false, true] {
        let builder = HttpClient::builder(&url).unwrap();
        let builder = if http2_only { builder.http2_only() } else { builder };
        let calc = CalcClient::from(builder.build().unwrap());
        assert_eq!(calc.add(1, 2).await.unwrap(), 3);
        assert_eq!(calc.div(6, 3).await.unwrap(), 2);
        let error = calc.div(5, 0).await.unwrap_err();
        assert!(
            matches!(error, CallError::Service(DivError::ByZero { dividend: 5 })),
            "with its data: {error:?}"
        );
        calc.log("nobody answers").await.unwrap();
        let error = calc.nobody_has_this().await.unwrap_err();
        assert!(
            matches!(&error, CallError::Rpc(error) if error.code() == ErrorCode::METHOD_NOT_FOUND),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn batches() {
    let (url, _server) = serve().await;
    let http = HttpClient::new(&url).unwrap();
    let calc = CalcClient::from(http.clone());
    let (sum, (), quotient) = http.batch((calc.add(1, 2), calc.log("x"), calc.div(5, 0))).await.unwrap();
    assert_eq!(sum.unwrap(), 3);
    assert!(matches!(quotient, Err(CallError::Service(DivError::ByZero { dividend: 5 }))));
    let sums = http.try_batch((0..50).map(|n| calc.add(n, n)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(sums, (0..50).map(|n| 2 * n).collect::<Vec<_>>());
    http.try_batch((calc.log("x"), calc.log("y"))).await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_either_side() {
    let (url, _server) = serve().await;
    // jsonrpsee refuses with 413 and plain text, or an error of JSON-RPC.
    let calc = CalcClient::from(HttpClient::new(&url).unwrap());
    let error = calc.repeat(&"x".repeat(200_000), 1).await.unwrap_err();
    assert!(
        matches!(error, CallError::Http(HttpError::Status { status: 413, .. }) | CallError::Rpc(_)),
        "{error:?}"
    );

    let mut limits = Limits::client();
    limits.frame_size = 1_000;
    let http = HttpClient::builder(&url).unwrap().limits(limits).build().unwrap();
    let calc = CalcClient::from(http.clone());
    let error = calc.repeat("x", 2_000).await.unwrap_err();
    assert!(matches!(error, CallError::Http(HttpError::TooLarge { limit: 1_000, .. })), "{error:?}");
    let error = http.try_batch((calc.repeat("x", 600), calc.repeat("x", 600))).await.unwrap_err();
    assert!(matches!(error, BatchError::Http(HttpError::TooLarge { .. })), "{error:?}");
    assert_eq!(calc.repeat("x", 900).await.unwrap().len(), 900);
}

#[tokio::test]
async fn many_calls_at_once() {
    let (url, _server) = serve().await;
    let calc = CalcClient::from(HttpClient::new(&url).unwrap());
    let calls = (0..500).map(|n| calc.add(n, 1).into_future());
    let sums = futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(sums, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_version_that_jsonrpsee_does_not_speak() {
    let (url, _server) = serve().await;
    let http = HttpClient::builder(&url).unwrap().protocol(Protocol::V1).build().unwrap();
    let error = CalcClient::from(http).add(1, 2).await.unwrap_err();
    // It answers in 2.0 that it does not understand.
    assert!(matches!(error, CallError::Rpc(_) | CallError::Protocol { .. }), "{error:?}");
}
