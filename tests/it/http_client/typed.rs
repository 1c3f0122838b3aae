//! Generated clients over HTTP, to a server of hyper's.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
};

use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rpc::{CallError, Dispatcher, HttpClient, Progress, Protocol, RpcError, Unsupported, rpc_service};
use rpc_tests::{CalcClient, CalcServer, DivError, MyCalc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

/// Serves as long as the test runs, HTTP/1.1 and 2. Gives the address.
async fn serve(dispatcher: Dispatcher) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("nothing is wrong with it");
    let address = listener.local_addr().expect("nothing is wrong with it");
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.expect("nothing is wrong with it");
            tokio::spawn(serve_connection(io, dispatcher.clone()));
        }
    });
    address
}

/// Serves one connection. Handlers find the version of HTTP among the extensions.
pub(super) async fn serve_connection(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    dispatcher: Dispatcher,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let dispatcher = dispatcher.clone();
        async move {
            let version = request.version();
            let body = request.into_body().collect().await.expect("nothing is wrong with it").to_bytes();
            let extensions = rpc::Extensions::default();
            extensions.insert(version);
            let reply = dispatcher.dispatch_with(&body, extensions).await.unwrap_or_default();
            Ok::<_, Infallible>(Response::new(Full::new(reply)))
        }
    });
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await);
}

async fn clients(protocol: Protocol) -> [HttpClient; 2] {
    let dispatcher = Dispatcher::builder()
        .service(CalcServer::new(MyCalc))
        .protocol(protocol)
        .build()
        .expect("nothing is wrong with it");
    let url = format!("http://{}/", serve(dispatcher).await);
    let builder = || HttpClient::builder(&url).expect("nothing is wrong with it").protocol(protocol);
    [
        builder().build().expect("nothing is wrong with it"),
        builder().http2_only().build().expect("nothing is wrong with it"),
    ]
}

#[tokio::test]
async fn calls_and_their_errors_are_typed() {
    for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose] {
        for http in clients(protocol).await {
            let calc = CalcClient::from(http);
            assert_eq!(calc.add(1, 2).await.unwrap(), 3);
            assert_eq!(calc.add_later(1, 2).await.unwrap(), 3);
            assert_eq!(calc.greet("Ann").await.unwrap(), "Hello, Ann");
            assert_eq!(calc.div(6, 3).await.unwrap(), 2);
            let error = calc.div(1, 0).await.unwrap_err();
            assert!(matches!(error, CallError::Service(DivError::ByZero)), "{protocol:?}: {error:?}");
            calc.log("x").await.unwrap();
        }
    }
}

#[tokio::test]
async fn batches_are_typed() {
    for http in clients(Protocol::V2).await {
        let calc = CalcClient::from(http.clone());
        let (sum, (), quotient, hello) =
            http.batch((calc.add(1, 2), calc.log("x"), calc.div(1, 0), calc.greet("Ann"))).await.unwrap();
        assert_eq!(sum.unwrap(), 3);
        assert!(matches!(quotient, Err(CallError::Service(DivError::ByZero))));
        assert_eq!(hello.unwrap(), "Hello, Ann");
        let sums = http.try_batch((0..100).map(|n| calc.add(n, n)).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(sums, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn many_calls_at_once_find_their_replies() {
    for http in clients(Protocol::V2).await {
        let calc = CalcClient::from(http);
        let calls = (0..300).map(|n| calc.add_later(n, 1).into_future());
        let sums = futures::future::try_join_all(calls).await.unwrap();
        assert_eq!(sums, (1..=300).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn large_calls_and_replies_come_through() {
    let name = "x".repeat(900_000);
    for http in clients(Protocol::V2).await {
        assert_eq!(CalcClient::from(http).greet(&name).await.unwrap().len(), name.len() + 7);
    }
}

#[rpc_service]
trait News {
    #[rpc(subscription)]
    async fn headlines(&self) -> impl Stream<Item = String>;
}

#[tokio::test]
async fn a_subscription_says_that_http_has_none() {
    let http = HttpClient::new("http://127.0.0.1:1/").unwrap();
    let error = NewsClient::from(http).headlines().await.unwrap_err();
    match &error {
        CallError::Unsupported { method, source: Unsupported::Subscriptions } => {
            assert_eq!(method, "headlines");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        rpc::chain(&error).to_string(),
        "`headlines` cannot be called: nothing comes unasked over HTTP, so there are no subscriptions: use a connection that stays open"
    );
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum WorkError {
    #[error("there is nothing to do")]
    #[rpc(code = 7)]
    Nothing,
    #[error("it has failed")]
    #[rpc(code = 8)]
    Failed,
}

#[rpc_service]
trait Work {
    #[rpc(subscription, style = "progress")]
    async fn count(&self, to: u32) -> impl Stream<Item = Progress<u32, u32>>;
    #[rpc(subscription, style = "mcp_progress", name = "tools/call")]
    async fn tool(&self, name: &str) -> impl Stream<Item = Progress<Vec<u8>, String>>;
    #[rpc(subscription, style = "progress")]
    async fn fail(&self) -> impl Stream<Item = Result<Progress<u32, u32>, WorkError>>;
    #[rpc(subscription, style = "progress")]
    async fn refuse(&self, all: bool) -> Result<impl Stream<Item = Progress<u32, u32>>, WorkError>;
    #[rpc(subscription, style = "progress")]
    async fn both(&self) -> Result<impl Stream<Item = Result<Progress<u32, u32>, WorkError>>, WorkError>;
}

struct Worker;

impl Work for Worker {
    async fn count(&self, to: u32) -> impl Stream<Item = Progress<u32, u32>> {
        stream::iter(1..=to).map(Progress::Step).chain(stream::iter([Progress::Done(to)]))
    }

    async fn tool(&self, name: &str) -> impl Stream<Item = Progress<Vec<u8>, String>> {
        // No member of a report: where reports are sent, this is a mistake of the service's.
        stream::iter([Progress::Step(vec![1]), Progress::Done(name.to_uppercase())])
    }

    async fn fail(&self) -> impl Stream<Item = Result<Progress<u32, u32>, WorkError>> {
        stream::iter([Ok(Progress::Step(1)), Err(WorkError::Failed)])
    }

    async fn refuse(&self, all: bool) -> Result<impl Stream<Item = Progress<u32, u32>>, WorkError> {
        (!all).then(|| stream::iter([Progress::Done(1)])).ok_or(WorkError::Nothing)
    }

    async fn both(&self) -> Result<impl Stream<Item = Result<Progress<u32, u32>, WorkError>>, WorkError> {
        Ok(stream::iter([Ok(Progress::Done(2))]))
    }
}

async fn expect_results_alone(http: impl rpc::Caller) {
    let work = WorkClient::from(http);
    assert_eq!(work.count(3).result_alone().await.expect("a result"), 3);
    assert_eq!(work.tool("saw").result_alone().await.expect("a result"), "SAW");
    let failed = work.fail().result_alone().await.expect_err("it fails");
    assert!(matches!(failed, CallError::Service(WorkError::Failed)), "{failed:?}");
    assert_eq!(work.refuse(false).result_alone().await.expect("a result"), 1);
    let refused = work.refuse(true).result_alone().await.expect_err("it fails");
    assert!(matches!(refused, CallError::Service(WorkError::Nothing)), "{refused:?}");
    assert_eq!(work.both().result_alone().await.expect("a result"), 2);
}

#[tokio::test]
async fn work_that_would_report_gives_its_result_alone() {
    let dispatcher = Dispatcher::builder().service(WorkServer::new(Worker)).build().expect("one service");
    expect_results_alone(dispatcher.clone()).await;
    let (session, _peer) = rpc::testing::pair((), WorkServer::new(Worker));
    expect_results_alone(session).await;
    let http = HttpClient::new(&format!("http://{}/", serve(dispatcher).await)).unwrap();
    let error = WorkClient::from(http.clone()).count(3).await.unwrap_err();
    assert!(matches!(error, CallError::Unsupported { source: Unsupported::Progress, .. }), "{error:?}");
    expect_results_alone(http).await;
}
