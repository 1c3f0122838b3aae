//! One conversation over every framing.

use std::time::Duration;

use rpc::{
    CallError, CloseReason, Connector, Context, ErrorObject, Limits, Params, Protocol, ProtocolError, Router,
    Session,
    framing::{
        BitcoinFramer, BitcoinMessage, CodecFramer, ContentLengthFramer, FrameError, Framer, JsonFramer,
        LengthPrefixedFramer, NetstringFramer, NewlineFramer,
    },
};
use rpc_tests::{
    CalcClient, CalcServer, Choppy, DivError, FramedPeer, MyCalc, echo, frames::framed, settled, soon,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};
use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

/// Runs a test body over each framing.
macro_rules! over_every_framing {
    ($body:ident) => {
        mod $body {
            use super::*;

            over_every_framing! { $body:
                newline = NewlineFramer::new();
                content_length = ContentLengthFramer::new();
                prefix_u16_be = LengthPrefixedFramer::u16_be();
                prefix_u16_le = LengthPrefixedFramer::u16_le();
                prefix_u32_be = LengthPrefixedFramer::u32_be();
                prefix_u32_le = LengthPrefixedFramer::u32_le();
                prefix_u64_be = LengthPrefixedFramer::u64_be();
                prefix_u64_le = LengthPrefixedFramer::u64_le();
                netstring = NetstringFramer::new();
                values = JsonFramer::new();
                values_unseparated = JsonFramer::new().unseparated();
                values_with_blank_lines = JsonFramer::new().blank_lines();
                codec_of_lengths = CodecFramer::new(LengthDelimitedCodec::new());
                codec_of_lines = CodecFramer::text(LinesCodec::new());
            }
        }
    };
    ($body:ident: $($name:ident = $framer:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            super::$body($framer).await;
        }
    )*};
}

mod oversized;

over_every_framing!(both_sides_call_each_other);
over_every_framing!(a_frame_over_the_limit_is_dropped_and_the_session_goes_on);
over_every_framing!(messages_arrive_whole_in_drips);
over_every_framing!(only_a_frame_that_is_under_way_is_timed);

async fn pair(framer: &impl Framer, protocol: Protocol) -> (Session, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let connector = |io| Connector::over(io).framer(framer.clone()).protocol(protocol);
    let there = connector(there).limits(Limits::server()).service(CalcServer::new(MyCalc)).service(echo());
    let here = connector(here).service(CalcServer::new(MyCalc));
    (here.connect().await.expect("connected"), there.connect().await.expect("connected"))
}

async fn both_sides_call_each_other(framer: impl Framer) {
    for protocol in [Protocol::V2, Protocol::V1] {
        let (one, other) = pair(&framer, protocol).await;
        for session in [&one, &other] {
            let calc = CalcClient::from(session.clone());
            assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
            let long = "ü".repeat(20_000);
            assert_eq!(calc.greet(&long).await.expect("a greeting"), format!("Hello, {long}"));
            assert!(matches!(calc.div(1, 0).await, Err(CallError::Service(DivError::ByZero))));
            calc.log("unanswered").await.expect("sent");
            let sums = futures::future::join_all((0..200).map(|n| calc.add_later(n, 1).into_future())).await;
            let sums: Vec<i64> = sums.into_iter().map(|sum| sum.expect("a sum")).collect();
            assert_eq!(sums, (1..=200).collect::<Vec<_>>());
            if protocol == Protocol::V2 {
                let (sum, greeting) =
                    session.batch((calc.add(1, 2), calc.greet("Ann"))).await.expect("answered");
                assert_eq!((sum.expect("a sum"), greeting.expect("one").as_str()), (3, "Hello, Ann"));
            }
        }
        one.close().await;
        assert!(matches!(other.closed().await, CloseReason::Peer));
    }
}

async fn a_frame_over_the_limit_is_dropped_and_the_session_goes_on(framer: impl Framer) {
    let (io, there) = rpc::transport::memory(4 << 10);
    let mut limits = Limits::public();
    limits.frame_size = 10_000;
    let session =
        Connector::over(there).framer(framer.clone()).limits(limits).service(echo()).connect().await;
    let session = session.expect("connected");
    let mut peer = FramedPeer::new(io, framer);
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{}"]}}"#, "x".repeat(20_000));
    let short = r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":["y"]}"#;
    for _ in 0..2 {
        peer.send(&long).await;
        peer.send(short).await;
        let refusal = peer.message().await.expect("a refusal");
        assert!(refusal.starts_with(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"#), "{refusal}");
        assert_eq!(peer.message().await.as_deref(), Some(r#"{"jsonrpc":"2.0","id":2,"result":["y"]}"#));
    }

    // Ten are too many.
    for _ in 0..10 {
        peer.send(&long).await;
    }
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Cost { .. }), "{reason:?}");
}

async fn messages_arrive_whole_in_drips(framer: impl Framer) {
    for step in [1, 2, 7] {
        let (here, there) = rpc::transport::memory(64 << 10);
        let connector = |io| Connector::over(Choppy::new(io, vec![step, 0])).framer(framer.clone());
        let _there = connector(there).service(CalcServer::new(MyCalc)).connect().await.expect("connected");
        let here = connector(here).connect().await.expect("connected");
        let calc = CalcClient::from(here);
        assert_eq!(calc.greet("}\"{\\").await.expect("a greeting"), "Hello, }\"{\\");
        let sums = futures::future::join_all((0..50).map(|n| calc.add(n, 1).into_future())).await;
        assert!(sums.into_iter().zip(1..).all(|(sum, expected)| sum.expect("a sum") == expected));
    }
}

async fn only_a_frame_that_is_under_way_is_timed(framer: impl Framer) {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let mut limits = Limits::unlimited();
    (limits.frame_size, limits.frame_timeout) = (1000, Some(Duration::from_secs(10)));
    let connector = Connector::over(there).framer(framer.clone()).limits(limits).service(echo());
    let session = connector.connect().await.expect("connected");
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{}"]}}"#, "x".repeat(2000));
    let short = r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":["y"]}"#;
    for message in [short, &long, short] {
        io.write_all(&framed(&framer, &[message])).await.expect("the session reads");
        sleep(Duration::from_secs(60)).await;
        assert!(!session.is_closed(), "no frame is under way");
    }
    let frame = framed(&framer, &[short]);
    io.write_all(&frame[..frame.len() / 2]).await.expect("the session reads");
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::FrameTimeout { .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fits_into_no_frame_is_an_error_of_its_call() {
    let (here, _there) = pair(&LengthPrefixedFramer::u16_be(), Protocol::V2).await;
    let calc = CalcClient::from(here.clone());
    let long = "x".repeat(65_536);
    let Err(CallError::Frame { method, source }) = calc.greet(&long).await else { panic!("it was sent") };
    assert_eq!(method, "greet");
    assert!(matches!(source, FrameError::TooLarge { size: 65_537.., limit: 65_535 }), "{source}");
    let notified = here.notify("log", (&long,)).await;
    assert!(matches!(notified, Err(CallError::Frame { .. })), "{notified:?}");
    let subscribed = here.subscribe::<String>("watch", (&long,)).await;
    assert!(matches!(subscribed, Err(CallError::Frame { .. })), "{subscribed:?}");
    let half = "x".repeat(40_000);
    let batch = here.batch((calc.greet(&half), calc.greet(&half))).await;
    assert!(matches!(batch, Err(rpc::BatchError::Frame(FrameError::TooLarge { .. }))), "{batch:?}");
    assert_eq!(here.calls_in_flight(), 0, "nothing is left behind");
    assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
}

/// `repeat` gives a text of so many bytes at once, `repeat_later` after others had a turn.
fn repeating() -> Router {
    Router::new().method("repeat", async |params: Params, _: Context| repeated(&params)).method(
        "repeat_later",
        async |params: Params, _: Context| {
            tokio::task::yield_now().await;
            repeated(&params)
        },
    )
}

fn repeated(params: &Params) -> Result<String, ErrorObject> {
    params.parse::<(usize,)>().map(|(bytes,)| "x".repeat(bytes))
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_fits_into_no_frame_becomes_an_error() {
    let (here, there) = rpc::transport::memory(1 << 10);
    let framer = LengthPrefixedFramer::u8();
    let there = Connector::over(there).framer(framer.clone()).service(repeating()).connect().await;
    let here = Connector::over(here).framer(framer).connect().await.expect("connected");
    for method in ["repeat", "repeat_later"] {
        let refused: Result<String, CallError> = here.call(method, (255,)).await;
        let Err(CallError::Rpc(error)) = refused else { panic!("{refused:?}") };
        let size = r#"{"jsonrpc":"2.0","id":1,"result":""}"#.len() + 255;
        assert_eq!(
            error.message(),
            format!(
                "the reply cannot be sent: a frame of {size} bytes or more is over the limit of 255 bytes"
            )
        );
        let fits: String = here.call(method, (200,)).await.expect("a text");
        assert_eq!(fits.len(), 200);
        let batch =
            here.batch([here.call::<String>(method, (100,)), here.call::<String>(method, (100,))]).await;
        assert!(batch.expect("sent").iter().all(Result::is_err), "the replies fit into no frame together");
    }
    drop(there);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_fits_into_no_frame_goes_without_its_id() {
    for method in ["repeat", "repeat_later"] {
        let framer = LengthPrefixedFramer::u8();
        let (mut io, there) = rpc::transport::memory(1 << 10);
        let session = Connector::over(there).framer(framer.clone()).service(repeating()).connect().await;
        let id = "1".repeat(150);
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[255]}}"#);
        io.write_all(&framed(&framer, &[&request])).await.expect("the session reads");
        let message = "the reply cannot be sent: a frame of 440 bytes or more is over the limit of 255 bytes";
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":-32603,"message":"{message}"}}}}"#);
        let mut bytes = vec![0; answer.len() + 1];
        soon(io.read_exact(&mut bytes)).await.expect("the session answers");
        assert_eq!(String::from_utf8_lossy(&bytes[1..]), answer);
        drop(session);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_makes_no_sense_ends_the_session_and_says_why() {
    async fn reason(framer: impl Framer, bytes: &str) -> String {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let session =
            Connector::over(there).framer(framer).service(echo()).connect().await.expect("connected");
        let call = session.call::<()>("echo", ());
        io.write_all(bytes.as_bytes()).await.expect("the session reads");
        let Err(CallError::Closed { reason: told, .. }) = call.await else { panic!("nobody has answered") };
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::Frame(_)), "{reason}");
        assert_eq!(told.to_string(), reason.to_string());
        reason.to_string()
    }
    assert_eq!(
        reason(ContentLengthFramer::new(), "Content-Length: -5\r\n\r\n").await,
        "`-5` is no length of a frame in bytes"
    );
    assert_eq!(
        reason(ContentLengthFramer::new(), &"x".repeat(5000)).await,
        "the headers of a frame have not ended within 4096 bytes"
    );
    assert_eq!(reason(NetstringFramer::new(), "02:{},").await, "`02:` is no length of a frame in bytes");
    assert_eq!(
        reason(JsonFramer::new(), "{}nonsense").await,
        "a JSON object or array was expected, and `n` came"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_checksum_costs_less_than_a_frame_that_cannot_be_read() {
    let framer = BitcoinFramer::new(BitcoinFramer::SIGNET);
    let (mut io, there) = rpc::transport::memory(1 << 10);
    let connector = Connector::over(there).framer(framer.clone()).limits(Limits::public());
    let session = connector.connect().await.expect("connected");
    let mut message = Vec::new();
    BitcoinMessage { command: "tx", payload: b"paid" }.write(&mut message);
    let mut damaged = framed(&framer, &[message]);
    *damaged.last_mut().expect("a payload") ^= 1;
    io.write_all(&damaged).await.expect("the session reads");
    settled().await;
    assert_eq!(session.cost().round(), 100.0);
    assert!(!session.is_closed());
}
