//! JSON travels as it is written: numbers of any size, members in any order. Features of `serde_json` that some other crate switches on
//! (`arbitrary_precision` and `preserve_order`) change nothing of it: see the feature `someone-elses-serde-json`.

use rpc::{
    CallError, Connector, Context, ErrorObject, Limits, Params, Protocol, Router, RpcError, rpc_service,
};
use rpc_tests::Raw;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Numbers at the edges of their types, and what stands in no order.
const NUMBERS: &str = concat!(
    r#"[18446744073709551615,-9223372036854775808,9007199254740993,18446744073709551616,0.1,1.0,1.50,-0,-0.0,1e2,1E+2,"#,
    r#"1e400,123456789012345678901234567890.5e-7,{"z":1,"a":{"y":2.50,"b":[]},"m":3}]"#
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reading {
    zenith: f64,
    count: u64,
    below: i64,
    again: Option<Box<Reading>>,
}

impl Reading {
    fn new() -> Self {
        let inner = Self { zenith: 1.0, count: 9_007_199_254_740_993, below: -1, again: None };
        Self { zenith: 0.1, count: u64::MAX, below: i64::MIN, again: Some(Box::new(inner)) }
    }
}

const READING: &str = concat!(
    r#"{"zenith":0.1,"count":18446744073709551615,"below":-9223372036854775808,"#,
    r#""again":{"zenith":1.0,"count":9007199254740993,"below":-1,"again":null}}"#
);

#[rpc_service]
trait Meter {
    async fn read(&self, zenith: f64, count: u64, reading: Reading) -> (f64, u64, Reading);
    async fn fail(&self, zenith: f64, count: u64) -> Result<(), MeterError>;
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum MeterError {
    #[error("off by {zenith}")]
    #[rpc(code = 9_007_199_254_740_993)]
    Off { zenith: f64, count: u64, reading: Reading },
}

struct MyMeter;

impl Meter for MyMeter {
    async fn read(&self, zenith: f64, count: u64, reading: Reading) -> (f64, u64, Reading) {
        (zenith, count, reading)
    }

    async fn fail(&self, zenith: f64, count: u64) -> Result<(), MeterError> {
        Err(MeterError::Off { zenith, count, reading: Reading::new() })
    }
}

/// `echo` gives its parameters back as they came, `fail` sends them as the data of an error.
fn untyped() -> Router {
    Router::new().method("echo", async |params: Params, _: Context| params.parse::<Box<RawValue>>()).method(
        "fail",
        async |params: Params, _: Context| {
            let data: Box<RawValue> = params.parse()?;
            Err::<(), _>(ErrorObject::new(7, "no").with_raw_data(data))
        },
    )
}

#[tokio::test(start_paused = true)]
async fn untyped_json_comes_back_byte_for_byte() {
    let (mut peer, _session) = Raw::peer_of(untyped(), Limits::client());
    for id in ["1", "18446744073709551616", "1.50", "1e400", "-0", "123456789012345678901234567890.5e-7"] {
        let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{NUMBERS}}}"#);
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":{NUMBERS}}}"#);
        assert_eq!(peer.ask(&line).await, reply);
        assert_eq!(peer.ask(&format!("[{line}]")).await, format!("[{reply}]"));
        let line = format!(r#"{{"jsonrpc":"2.0","method":"fail","params":{NUMBERS},"id":{id}}}"#);
        let error = format!(r#"{{"code":7,"message":"no","data":{NUMBERS}}}"#);
        assert_eq!(peer.ask(&line).await, format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn typed_numbers_are_read_and_written_by_their_types() {
    let (mut peer, _session) = Raw::peer_of(MeterServer::new(MyMeter), Limits::client());
    for params in [
        format!("[0.1,18446744073709551615,{READING}]"),
        format!(r#"{{"zenith":0.1,"count":18446744073709551615,"reading":{READING}}}"#),
        format!(r#"{{"reading":{READING},"zenith":1e-1,"count":18446744073709551615}}"#),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"read","params":{params}}}"#);
        let reply = format!(r#"{{"jsonrpc":"2.0","id":1,"result":[0.1,18446744073709551615,{READING}]}}"#);
        assert_eq!(peer.ask(&line).await, reply);
    }
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"fail","params":[1,9007199254740993]}"#;
    let data = format!(r#"{{"zenith":1.0,"count":9007199254740993,"reading":{READING}}}"#);
    let error = format!(r#"{{"code":9007199254740993,"message":"off by 1","data":{data}}}"#);
    assert_eq!(peer.ask(line).await, format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#));
    // A number that is too large is too large however numbers are kept.
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"fail","params":[1,18446744073709551616]}"#;
    let answer = peer.ask(line).await;
    assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"#), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn typed_results_and_errors_come_back_as_they_were() {
    for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose] {
        let (here, there) = rpc::transport::memory(64 << 10);
        let server = Connector::over(there).protocol(protocol).service(MeterServer::new(MyMeter));
        let _server = server.connect().await.expect("a session");
        let session = Connector::over(here).protocol(protocol).connect().await.expect("a session");
        let meter = MeterClient::from(session);
        let read = meter.read(0.1, u64::MAX, Reading::new()).await.expect("a reading");
        assert_eq!(read, (0.1, u64::MAX, Reading::new()));
        let error = MeterError::Off { zenith: 1e300, count: u64::MAX, reading: Reading::new() };
        match meter.fail(1e300, u64::MAX).await {
            Err(CallError::Service(failed)) => assert_eq!(failed, error),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_sends_is_kept_as_it_came() {
    let (io, there) = rpc::transport::memory(64 << 10);
    let mut peer = Raw::over(io);
    let session = Connector::over(there).protocol(Protocol::Loose).connect().await.expect("a session");
    for (id, error, code, message) in [
        (1, r#"{"code":9007199254740993,"message":"m","data":DATA}"#, 9_007_199_254_740_993, "m"),
        (2, r#"{"data":DATA,"message":"m","code":-32000}"#, -32000, "m"),
        (3, r#"{"code":1.0,"message":18446744073709551616,"data":DATA}"#, -100, "18446744073709551616"),
        (4, r#"{"code":18446744073709551616,"message":1e400,"data":DATA}"#, -100, "1e400"),
    ] {
        let (outcome, ()) = tokio::join!(async { session.call::<()>("m", ()).await }, async {
            peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#)).await;
            let error = error.replace("DATA", NUMBERS);
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)).await;
        });
        let Err(CallError::Rpc(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.code().value(), error.message()), (code, message));
        assert_eq!(error.raw_data().expect("data").get(), NUMBERS);
    }
    let (outcome, ()) = tokio::join!(async { session.call::<Box<RawValue>>("m", ()).await }, async {
        assert!(peer.line().await.is_some());
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":5,"result":{NUMBERS}}}"#)).await;
    });
    assert_eq!(outcome.expect("a result").get(), NUMBERS);
    // What looks like the id of a call, and is none, however numbers are read.
    peer.send(r#"{"jsonrpc":2.0,"id":1.0,"method":"unknown"}"#).await;
    peer.expect(
        r#"{"jsonrpc":"2.0","id":1.0,"error":{"code":-32601,"message":"method `unknown` not found"}}"#,
    )
    .await;
}
