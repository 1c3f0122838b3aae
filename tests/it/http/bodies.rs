//! A body is one message, of no more bytes than a frame may have.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, channel::mpsc, stream};
use http::{HeaderMap, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, SizeHint};
use rpc::{HttpService, Limits};
use rpc_tests::{CalcServer, Events, MyCalc, echo, settled};
use tower::ServiceExt;
use tracing::Level;

use super::kit::{Answer, mounted, mounted_with, posted};

const ADD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#;

fn limited(bytes: usize) -> Limits {
    let mut limits = Limits::server();
    limits.frame_size = bytes;
    limits
}

async fn send<B>(service: &HttpService, body: B) -> Answer
where
    B: Body<Error: std::fmt::Display, Data: Send> + Send + 'static,
{
    let request: Request<B> = posted().body(body).expect("a request");
    match service.clone().oneshot(request).await {
        Ok(response) => Answer::read(response).await,
        Err(never) => match never {},
    }
}

/// A body of unknown length that comes in these pieces.
fn in_pieces(
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> impl Body<Data = Bytes, Error = Infallible> + Send + 'static {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece))))
}

#[tokio::test]
async fn a_body_may_come_in_any_pieces_and_say_nothing_of_its_length() {
    let service = mounted(CalcServer::new(MyCalc));
    for size in [1, 2, 7, 1000] {
        let pieces = ADD.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let answer = send(&service, in_pieces(stream::iter(pieces))).await;
        assert_eq!(answer.json()["result"], 3, "{size}");
    }
    let with_trailers =
        in_pieces(stream::iter([Bytes::from(ADD)])).with_trailers(async { Some(Ok(HeaderMap::new())) });
    assert_eq!(send(&service, with_trailers).await.json()["result"], 3);
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_taken_and_one_more_byte_is_not() {
    let service = mounted_with(CalcServer::new(MyCalc), limited(ADD.len()));
    assert_eq!(send(&service, Full::<Bytes>::from(ADD)).await.json()["result"], 3);
    let longer = format!("{ADD} ");
    let why = format!("{} bytes: the limit is {}", longer.len(), ADD.len());
    send(&service, Full::<Bytes>::from(longer)).await.expect_refusal(
        StatusCode::PAYLOAD_TOO_LARGE,
        -32600,
        &why,
    );
}

/// Says that it is larger than may be, and counts how often it is asked for more.
struct Declared {
    asked: Arc<AtomicUsize>,
}

impl Body for Declared {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked.fetch_add(1, SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::MAX)
    }
}

#[tokio::test]
async fn one_that_says_it_is_too_large_is_not_read_at_all() {
    let asked = Arc::new(AtomicUsize::new(0));
    let service = mounted(CalcServer::new(MyCalc));
    let events = Events::capture();
    let answer = send(&service, Declared { asked: Arc::clone(&asked) }).await;
    let told: Vec<_> =
        events.all().into_iter().filter(|event| event.message.contains("Limits::frame_size")).collect();
    let [event] = &told[..] else { panic!("{told:?}") };
    assert_eq!((event.level, event.field("limit")), (Level::WARN, "1000000"));
    assert_eq!(event.field("size"), u64::MAX.to_string());
    answer.expect_refusal(
        StatusCode::PAYLOAD_TOO_LARGE,
        -32600,
        "18446744073709551615 bytes: the limit is 1000000",
    );
    assert_eq!(asked.load(SeqCst), 0);
}

#[tokio::test]
async fn the_connection_is_not_kept_for_what_is_left_of_one() {
    let service = mounted_with(CalcServer::new(MyCalc), limited(10));
    for (version, expected) in
        [(Version::HTTP_10, Some("close")), (Version::HTTP_11, Some("close")), (Version::HTTP_2, None)]
    {
        let request = posted().version(version).body(Full::<Bytes>::from(ADD)).expect("a request");
        let Ok(response) = service.clone().oneshot(request).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let told = response.headers().get(header::CONNECTION).map(|value| value.to_str().expect("text"));
        assert_eq!(told, expected, "{version:?}");
    }
}

#[tokio::test]
async fn one_that_does_not_say_it_is_read_until_it_is_too_large_and_no_further() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let endless = stream::repeat_with(move || {
        counted.fetch_add(400, SeqCst);
        Bytes::from(vec![b' '; 400])
    });
    let service = mounted_with(CalcServer::new(MyCalc), limited(1000));
    let answer = send(&service, in_pieces(endless)).await;
    answer.expect_refusal(StatusCode::PAYLOAD_TOO_LARGE, -32600, "more bytes: the limit is 1000");
    // Two pieces fit, the third is the one too many.
    assert_eq!(taken.load(SeqCst), 1200);
}

#[tokio::test(start_paused = true)]
async fn one_that_drips_in_is_given_up() {
    let service = mounted(CalcServer::new(MyCalc));
    let (drip, body) = mpsc::unbounded();
    let answer = tokio::spawn(async move { send(&service, in_pieces(body)).await });
    for piece in ADD.as_bytes().chunks(1).take(35) {
        // The last ones come too late.
        let _is_gone = drip.unbounded_send(Bytes::copy_from_slice(piece));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    settled().await;
    assert!(answer.is_finished());
    answer.await.expect("no panic").expect_refusal(StatusCode::REQUEST_TIMEOUT, -32600, "within 30s");
}

#[tokio::test]
async fn one_that_breaks_off_is_refused() {
    let service = mounted(CalcServer::new(MyCalc));
    let broken = StreamBody::new(stream::iter([
        Ok(Frame::data(Bytes::from_static(b"{"))),
        Err(std::io::Error::other("the line is cut")),
    ]));
    send(&service, broken).await.expect_refusal(StatusCode::BAD_REQUEST, -32600, "could not be read");
}

#[tokio::test]
async fn large_answers_are_sent_whole() {
    let service = mounted_with(echo(), limited(4_000_000));
    let text = "x".repeat(3_000_000);
    let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#);
    let answer = send(&service, Full::<Bytes>::from(call)).await;
    assert_eq!(answer.json()["result"][0], text);
}
