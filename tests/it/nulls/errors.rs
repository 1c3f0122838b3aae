//! Errors whose fields are null, empty or absent come back as themselves.

use std::{collections::BTreeMap, future::ready};

use futures::{Stream, StreamExt, stream};
use rpc::{
    Batch, CallError, Caller, Connector, Context, Dispatcher, ErrorObject, HttpClient, Limits, Params,
    Progress, Protocol, Router, RpcError, Server, Session, Subscription, SubscriptionError, rpc_service,
    testing,
};
use rpc_tests::{Raw, soon};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    DIALECTS,
    missing::{Limit, Missing, Nothing, Sparse, all},
    sessions,
};

fn errors() -> impl Iterator<Item = (usize, Missing)> {
    all().into_iter().map(|(error, _)| error).enumerate()
}

/// An error that is a struct.
#[derive(Debug, Clone, PartialEq, thiserror::Error, RpcError)]
#[error("gone")]
#[rpc(code = 30)]
struct Gone(Option<u32>);

/// Each method fails in the way of this number.
#[rpc_service]
trait Failing {
    async fn fail(&self, number: usize) -> Result<(), Missing>;
    fn fail_now(&self, number: usize) -> Result<Option<u32>, Missing>;
    async fn gone(&self) -> Result<(), Gone>;
    #[rpc(subscription)]
    async fn refused(&self, number: usize) -> Result<impl Stream<Item = u8>, Missing>;
    #[rpc(subscription)]
    async fn ended(&self, number: usize) -> impl Stream<Item = Result<u8, Missing>>;
    #[rpc(subscription, style = "electrum")]
    async fn status(&self, number: usize) -> impl Stream<Item = Result<u8, Missing>>;
    #[rpc(subscription, style = "progress")]
    async fn work(&self, number: usize) -> impl Stream<Item = Result<Progress<u8, u8>, Missing>>;
}

struct Service;

fn error(number: usize) -> Missing {
    all().swap_remove(number).0
}

impl Failing for Service {
    async fn fail(&self, number: usize) -> Result<(), Missing> {
        tokio::task::yield_now().await;
        Err(error(number))
    }

    fn fail_now(&self, number: usize) -> Result<Option<u32>, Missing> {
        Err(error(number))
    }

    async fn gone(&self) -> Result<(), Gone> {
        Err(Gone(None))
    }

    async fn refused(&self, number: usize) -> Result<impl Stream<Item = u8>, Missing> {
        Err::<stream::Empty<u8>, _>(error(number))
    }

    async fn ended(&self, number: usize) -> impl Stream<Item = Result<u8, Missing>> {
        stream::iter([Ok(1), Err(error(number))])
    }

    async fn status(&self, number: usize) -> impl Stream<Item = Result<u8, Missing>> {
        stream::iter([Ok(1), Err(error(number))])
    }

    async fn work(&self, number: usize) -> impl Stream<Item = Result<Progress<u8, u8>, Missing>> {
        stream::iter([Ok(Progress::Step(1)), Err(error(number))])
    }
}

fn service() -> FailingServer<Service> {
    FailingServer::new(Service)
}

#[track_caller]
fn is_itself<T: std::fmt::Debug, E: PartialEq + std::error::Error + 'static>(
    outcome: Result<T, CallError<E>>,
    expected: &E,
) {
    match outcome {
        Err(CallError::Service(error)) => assert_eq!(error, *expected),
        other => panic!("{expected:?} became {other:?}"),
    }
}

/// Over any caller.
async fn calls_fail_as_they_do<C: Caller>(failing: &FailingClient<C>) {
    for (number, error) in errors() {
        is_itself(failing.fail(number).await, &error);
        is_itself(failing.fail_now(number).await, &error);
    }
    is_itself(failing.gone().await, &Gone(None));
}

async fn batches_fail_as_they_do<C: Caller>(caller: &C, failing: &FailingClient<C>) {
    for (number, error) in errors() {
        let calls = (failing.fail(number), failing.fail_now(number), failing.gone());
        let (later, now, gone) = Batch::over(caller, calls).await.expect("it was sent");
        is_itself(later, &error);
        is_itself(now, &error);
        is_itself(gone, &Gone(None));
    }
}

#[test]
fn an_error_is_itself_without_travelling() {
    for (error, data) in all() {
        let object = error.to_error_object();
        assert_eq!(object.data::<Value>().map(|data| data.expect("JSON")), data);
        assert_eq!(Missing::from_error_object(&object), Some(error));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_over_sessions_in_every_dialect() {
    for dialects in DIALECTS {
        let (session, _serving) = sessions(dialects, service()).await;
        let failing = FailingClient::from(session.clone());
        calls_fail_as_they_do(&failing).await;
        if dialects.1 != Protocol::V1 {
            batches_fail_as_they_do(&session, &failing).await;
        }
    }
}

#[tokio::test]
async fn calls_over_http_in_every_dialect() {
    for (there, here) in DIALECTS {
        let server = Server::builder().service(service()).protocol(there).bind("http://127.0.0.1:0").await;
        let server = server.expect("it is free");
        let url = server.endpoint().to_string();
        let handle = server.start();
        let client = HttpClient::builder(&url).expect("a URL").protocol(here).build().expect("a client");
        let failing = FailingClient::from(client.clone());
        soon(calls_fail_as_they_do(&failing)).await;
        if here != Protocol::V1 {
            soon(batches_fail_as_they_do(&client, &failing)).await;
        }
        drop((client, failing));
        soon(handle.shutdown()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_dispatcher_in_every_dialect() {
    for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose, Protocol::Detect] {
        let dispatcher = Dispatcher::builder().service(service()).protocol(protocol).build();
        let dispatcher = dispatcher.expect("a dispatcher");
        let failing = FailingClient::from(dispatcher.clone());
        calls_fail_as_they_do(&failing).await;
        if protocol != Protocol::V1 {
            batches_fail_as_they_do(&dispatcher, &failing).await;
        }
    }
}

#[tokio::test]
async fn calls_that_a_script_answers() {
    for (number, error) in errors() {
        let script = testing::Script::new().expect("fail", (number,)).fails(error.clone());
        is_itself(FailingClient::from(script).fail(number).await, &error);
    }
}

async fn last<T: DeserializeOwned>(stream: Subscription<T, Missing>) -> SubscriptionError<Missing> {
    let mut items: Vec<_> = soon(stream.collect()).await;
    items.pop().expect("its end").err().expect("an error")
}

#[tokio::test(start_paused = true)]
async fn subscriptions_in_every_dialect() {
    let ended_with = |ended: SubscriptionError<Missing>, expected: &Missing| match ended {
        SubscriptionError::Service(error) => assert_eq!(error, *expected),
        other => panic!("{expected:?} became {other:?}"),
    };
    for dialects in DIALECTS {
        // The items of these styles have members with names, which 1.0 has not.
        if dialects.1 == Protocol::V1 {
            continue;
        }
        let (session, _serving) = sessions(dialects, service()).await;
        let failing = FailingClient::from(session);
        for (number, error) in errors() {
            is_itself(failing.refused(number).await.map(drop), &error);
            ended_with(last(failing.ended(number).await.expect("begun")).await, &error);
            ended_with(last(failing.status(number).await.expect("begun")).await, &error);
            ended_with(last(failing.work(number).await.expect("begun")).await, &error);
        }
    }
}

/// What a peer of another language sees has not changed: `null` stands where a field is null.
#[tokio::test(start_paused = true)]
async fn on_the_wire_fields_have_their_shape() {
    let (mut peer, _session) = Raw::peer_of(service(), Limits::client());
    for (number, (error, data)) in all().into_iter().enumerate() {
        let object = error.to_error_object();
        let (code, message) = (object.code().value(), object.message());
        let data = data.map_or_else(String::new, |data| format!(r#","data":{data}"#));
        let answer =
            peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"fail","params":[{number}]}}"#)).await;
        let error = format!(r#"{{"code":{code},"message":"{message}"{data}}}"#);
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#));
    }
}

/// What comes of a reply that is this error.
async fn answered(protocol: Protocol, error: &str) -> CallError<Missing> {
    let (mut peer, session) = Raw::peer_with(|connector| connector.protocol(protocol)).await;
    let failing = FailingClient::from(session);
    let reply = match protocol {
        Protocol::V1 => format!(r#"{{"result":null,"error":{error},"id":1}}"#),
        _ => format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#),
    };
    let answer = async {
        peer.line().await.expect("a request");
        peer.send(&reply).await;
    };
    let (outcome, ()) = tokio::join!(async { failing.fail(0).await }, answer);
    outcome.expect_err("an error")
}

/// Peers leave out what is null, and write null for what is none.
#[tokio::test(start_paused = true)]
async fn absent_and_null_are_read_as_the_type_has_it() {
    for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose] {
        for (error, expected) in [
            (r#"{"code":1,"message":"m","data":{}}"#, Missing::Named { what: None }),
            (r#"{"code":1,"message":"m","data":null}"#, Missing::Named { what: None }),
            (r#"{"code":1,"message":"m"}"#, Missing::Named { what: None }),
            (r#"{"code":2,"message":"m"}"#, Missing::Value(None)),
            (r#"{"code":2,"message":"m","data": null }"#, Missing::Value(None)),
            (r#"{"data":null,"message":"m","code":3}"#, Missing::Unit(())),
            (r#"{"code":4,"message":"m"}"#, Missing::UnitStruct(Nothing)),
            (r#"{"code":5,"message":"m"}"#, Missing::Json(Value::Null)),
            (r#"{"code":8,"message":"m"}"#, Missing::Newtype(Limit(None))),
            (
                r#"{"code":14,"message":"m","data":{"f":{}}}"#,
                Missing::Many {
                    a: None,
                    b: (),
                    c: Value::Null,
                    d: Limit(None),
                    e: Nothing,
                    f: Sparse { what: None, list: vec![] },
                },
            ),
            (r#"{"code":15,"message":"m","data":null}"#, Missing::Bare),
            (r#"{"code":16,"message":"m","data":[]}"#, Missing::NoFields()),
            (r#"{"code":17,"message":"m","data":{}}"#, Missing::NoMembers {}),
        ] {
            is_itself::<(), _>(Err(answered(protocol, error).await), &expected);
        }
        // What null cannot be is none of these errors: the caller has the object.
        for error in [r#"{"code":18,"message":"m","data":null}"#, r#"{"code":18,"message":"m"}"#] {
            match answered(protocol, error).await {
                CallError::Rpc(object) => {
                    assert!(object.data::<String>().is_none(), "{error}");
                    let raw = object.raw_data().map(ToString::to_string);
                    assert_eq!(raw.as_deref(), error.contains("data").then_some("null"));
                }
                other => panic!("{error} became {other:?}"),
            }
        }
    }
}

/// An untyped error is itself, too: null and no data are two things.
#[tokio::test(start_paused = true)]
async fn untyped_errors_keep_data_of_null() {
    let none = || ErrorObject::new(7, "no");
    let null = none().with_data(&()).expect("it can be written");
    assert_ne!(none(), null);
    for dialects in DIALECTS {
        for error in [none(), null.clone()] {
            let fails = error.clone();
            let router =
                Router::new().method("fail", move |_: Params, _: Context| ready(Err::<(), _>(fails.clone())));
            let (session, _serving) = sessions(dialects, router).await;
            match session.call::<()>("fail", ()).await {
                Err(CallError::Rpc(came)) => assert_eq!(came, error),
                other => panic!("{error:?} became {other:?}"),
            }
        }
    }
}

/// A text has no place for a code, nor for data: no error comes back as itself.
#[tokio::test(start_paused = true)]
async fn errors_that_travel_as_texts_are_untyped() {
    let (io, other) = rpc::transport::memory(64 << 10);
    let server = Connector::over(other).protocol(Protocol::V1).text_errors().service(service());
    let _serving = server.connect().await.expect("serves");
    let session: Session = Connector::over(io).protocol(Protocol::V1).connect().await.expect("calls");
    let failing = FailingClient::from(session);
    for (number, error) in errors() {
        match failing.fail(number).await {
            Err(CallError::Rpc(object)) => {
                assert_eq!(object, ErrorObject::new(-100, error.to_string()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum Unwritable {
    #[error("value")]
    #[rpc(code = 1)]
    Value(Option<BTreeMap<(u8, u8), u8>>),
    #[error("named")]
    #[rpc(code = 2)]
    Named { what: Option<BTreeMap<(u8, u8), u8>> },
}

/// It must not arrive as another error of the same code, whose field is none.
#[test]
fn an_error_whose_fields_cannot_be_written_is_an_internal_error() {
    let map = || Some(BTreeMap::from([((1, 2), 3)]));
    for error in [Unwritable::Value(map()), Unwritable::Named { what: map() }] {
        let object = error.to_error_object();
        assert_eq!(object, ErrorObject::new(-32603, "internal error"));
        assert_eq!(Unwritable::from_error_object(&object), None);
    }
}
