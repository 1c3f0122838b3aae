//! A handler that calls on passes failures on by `?`: errors of the peer's as they are, others
//! without what they say of the inside, and with whether the call was carried out.

use std::{io, sync::Arc, time::Duration};

use rpc::{
    CallError, CloseReason, ErrorCode, ErrorObject, Executed, HttpClient, HttpError, Limits, ProtocolError,
    RpcError, Session, Unsupported, framing::FrameError, rpc_service, testing,
};
use rpc_tests::{Events, Raw, settled};
use serde::de::Error as _;

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum ShopError {
    #[error("only {0} are left")]
    #[rpc(code = 7)]
    Left(u32),
}

#[rpc_service]
trait Shop {
    async fn buy(&self, count: u32) -> Result<u32, ShopError>;

    async fn count(&self) -> u32;
}

/// It has nothing of its own: every call goes on to another.
#[rpc_service]
trait Counter {
    async fn buy(&self, count: u32) -> Result<u32, ErrorObject>;

    async fn stock(&self) -> Result<u32, ErrorObject>;
}

struct Clerk(ShopClient);

impl Counter for Clerk {
    async fn buy(&self, count: u32) -> Result<u32, ErrorObject> {
        Ok(self.0.buy(count).await?)
    }

    async fn stock(&self) -> Result<u32, ErrorObject> {
        Ok(self.0.count().timeout(Duration::from_secs(3)).await?)
    }
}

/// A clerk who calls on by `session`.
fn counter(session: Session) -> CounterClient {
    let (front, _) = testing::pair((), CounterServer::new(Clerk(ShopClient::from(session))));
    CounterClient::from(front)
}

fn object<T: std::fmt::Debug>(outcome: Result<T, CallError<ErrorObject>>) -> ErrorObject {
    match outcome {
        Err(CallError::Service(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_peers_is_passed_on_as_it_is() {
    struct Owner;
    impl Shop for Owner {
        async fn buy(&self, _: u32) -> Result<u32, ShopError> {
            Err(ShopError::Left(2))
        }

        async fn count(&self) -> u32 {
            panic!("not today")
        }
    }

    let (back, _shop) = testing::pair((), ShopServer::new(Owner));
    let counter = counter(back);
    let declared = object(counter.buy(3).await);
    assert_eq!(declared, ShopError::Left(2).to_error_object());
    assert_eq!(declared.executed(), Executed::Yes);
    let other = object(counter.stock().await);
    assert_eq!((other.code(), other.message()), (ErrorCode::INTERNAL_ERROR, "internal error"));
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_internal_errors_and_the_log_has_the_causes() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let counter = counter(session.clone());
    let late = object(counter.stock().await);
    assert_eq!(
        (late.code(), late.message()),
        (ErrorCode::INTERNAL_ERROR, "another peer did not answer in time")
    );
    assert_eq!(late.raw_data().map(serde_json::value::RawValue::get), Some(r#"{"executed":null}"#));
    assert!(peer.line().await.is_some_and(|line| line.contains("count")));
    settled().await;

    let logged = events.of("a handler passes on the failure of a call of its own");
    assert_eq!(logged.len(), 1, "{:?}", events.all());
    assert_eq!(logged[0].field("error"), "no reply within 3s");
    session.abort();
    let closed = object(counter.stock().await);
    assert_eq!(
        (closed.code(), closed.message()),
        (ErrorCode::INTERNAL_ERROR, "the session with another peer is closed")
    );
    let logged = events.of("a handler passes on the failure of a call of its own");
    assert_eq!(
        logged[1].field("error"),
        "the session is closed, and the call was not sent: aborted by this side"
    );
}

/// Whether the call was carried out is the same on both sides of the handler.
#[test]
fn whether_it_was_carried_out_is_passed_on() {
    let secret = || "getsecret".to_owned();
    let json = || serde_json::Error::custom("getsecret");
    let lost = || CloseReason::Io(Arc::new(io::Error::other("getsecret")));
    let refused = |status| HttpError::Status {
        url: secret(),
        status,
        text: secret(),
        headers: rpc::HttpHeaders::default(),
    };
    let http: fn(HttpError) -> CallError = CallError::Http;
    for error in [
        CallError::Timeout(Duration::from_secs(1)),
        CallError::Closed { reason: lost(), sent: true },
        CallError::Encode { method: secret(), source: json() },
        CallError::Frame { method: secret(), source: FrameError::Invalid(secret()) },
        CallError::Unsupported { method: secret(), source: Unsupported::Calls },
        CallError::Decode { method: secret(), source: json() },
        CallError::Protocol { method: secret(), source: ProtocolError::MalformedReply { reason: secret() } },
        http(HttpError::Connect { url: secret(), source: Arc::new(io::Error::other("getsecret")) }),
        http(HttpError::Broken { url: secret(), source: "getsecret".into() }),
        http(refused(403)),
        http(refused(500)),
        http(HttpError::TooLarge { url: secret(), declared: None, limit: 1 }),
    ] {
        let (shown, executed) = (format!("{error:?}"), error.executed());
        let object = ErrorObject::from(error);
        assert_eq!(object.code(), ErrorCode::INTERNAL_ERROR, "{shown}");
        assert_eq!(object.executed(), executed, "{shown}: {object:?}");
        let says = object.data::<serde_json::Value>().expect("data").expect("JSON");
        let says = says.as_object().expect("an object");
        assert!(says.len() == 1 && says.contains_key("executed"), "{shown}: {object:?}");
        assert!(!format!("{object:?}").contains("getsecret"), "{shown}: {object:?}");
        assert!(object.message().len() < 60, "{object:?}");
    }
}

/// A server that cannot be reached is not named: its URL may hold a password.
#[tokio::test]
async fn no_url_is_passed_on() {
    let client = HttpClient::builder("http://server.test/ducks").expect("a URL").basic_auth("ann", "ducks");
    let client = client
        .connect_with(|| async { Err::<tokio::io::DuplexStream, _>(io::Error::other("no route")) })
        .build()
        .expect("a client");
    let error = client.call::<u8>("add", ()).await.expect_err("there is no way");
    let object = ErrorObject::from(error);
    assert_eq!((object.message(), object.executed()), ("another server cannot be reached", Executed::No));
    assert!(!format!("{object:?}").contains("server.test"), "{object:?}");
}

/// Reasons can be compared. No two of these are the same, and each is the same as its clone.
#[test]
fn reasons_to_close_are_compared() {
    let io = |kind, text: &str| CloseReason::Io(Arc::new(io::Error::new(kind, text.to_owned())));
    let second = Duration::from_secs(1);
    let reasons = || {
        vec![
            CloseReason::Local,
            CloseReason::Aborted,
            CloseReason::Peer,
            CloseReason::PeerClosed { code: 1000, reason: "a".into() },
            CloseReason::PeerClosed { code: 1000, reason: "b".into() },
            CloseReason::PeerClosed { code: 1001, reason: "a".into() },
            CloseReason::Shutdown,
            io(io::ErrorKind::BrokenPipe, "a"),
            io(io::ErrorKind::BrokenPipe, "b"),
            io(io::ErrorKind::TimedOut, "a"),
            CloseReason::Io(Arc::new(io::ErrorKind::BrokenPipe.into())),
            CloseReason::Frame(FrameError::MissingLength),
            CloseReason::Frame(FrameError::RepeatedLength),
            CloseReason::WrongProtocol { protocol: "HTTP", found: "a".into() },
            CloseReason::WrongProtocol { protocol: "HTTP", found: "b".into() },
            CloseReason::WrongProtocol { protocol: "TLS", found: "a".into() },
            CloseReason::SendTimeout { unsent: 1, after: second },
            CloseReason::SendTimeout { unsent: 2, after: second },
            CloseReason::SendTimeout { unsent: 1, after: 2 * second },
            CloseReason::Idle { after: second },
            CloseReason::Idle { after: 2 * second },
            CloseReason::Silent { after: second },
            CloseReason::Silent { after: 2 * second },
            CloseReason::FrameTimeout { received: 1, after: second },
            CloseReason::FrameTimeout { received: 2, after: second },
            CloseReason::FrameTimeout { received: 1, after: 2 * second },
            CloseReason::OutgoingFull { unsent: 1, limit: 1 },
            CloseReason::OutgoingFull { unsent: 2, limit: 1 },
            CloseReason::OutgoingFull { unsent: 1, limit: 2 },
            CloseReason::Cost { cost: 1.0, limit: 1.0 },
            CloseReason::Cost { cost: 2.0, limit: 1.0 },
            CloseReason::Cost { cost: 1.0, limit: 2.0 },
            CloseReason::NoSession,
            CloseReason::Panicked { message: "a".into() },
            CloseReason::Panicked { message: "b".into() },
            CloseReason::RuntimeStopped,
        ]
    };
    for (i, a) in reasons().iter().enumerate() {
        for (j, b) in reasons().iter().enumerate() {
            assert_eq!(a == b, i == j, "{a:?}, {b:?}");
        }
    }
}
