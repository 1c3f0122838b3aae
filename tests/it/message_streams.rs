//! Sessions over any stream and sink of messages.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    Sink, SinkExt, Stream, StreamExt,
    channel::mpsc::{self, Receiver, SendError, Sender},
};
use rpc::{
    CallError, CloseReason, Connector, Limits, Server, Session,
    framing::FrameError,
    transport::{MessageChannel, join_messages},
};
use rpc_tests::{
    CalcClient, CalcServer, Counts, DivError, MyCalc, WorkClient, WorkServer, Worker, echo, settled,
};

/// One end of two channels.
type End = (Receiver<Bytes>, Sender<Bytes>);

/// Two ends of a pair of channels that hold a few messages each.
fn channels() -> (End, End) {
    let ((to_right, from_left), (to_left, from_right)) = (mpsc::channel(4), mpsc::channel(4));
    ((from_right, to_right), (from_left, to_left))
}

fn end((from, to): (Receiver<Bytes>, Sender<Bytes>)) -> impl MessageChannel {
    join_messages(from.map(Ok::<_, SendError>), to)
}

/// A session that serves `echo`, and its other end.
async fn served(limits: Limits) -> (Receiver<Bytes>, Sender<Bytes>, Session) {
    let ((from, to), there) = channels();
    let connector = Connector::over_messages(end(there)).limits(limits).service(echo());
    (from, to, connector.connect().await.expect("connected already"))
}

fn call(id: u64, text: &str) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":["{text}"]}}"#).into()
}

fn answer(id: u64, text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":["{text}"]}}"#)
}

/// A message is whole, and nothing of a stream that some other program was made to send.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_json_is_answered_whatever_it_looks_like() {
    for text in ["POST / HTTP/1.1", "QUIT", "\x16\x03\x01\x02\0\x01\0"] {
        let (mut from, mut to, _session) = served(Limits::server()).await;
        to.send(text.into()).await.expect("it is there");
        let refusal = from.next().await.expect("an answer");
        assert!(String::from_utf8_lossy(&refusal).contains("-32700"), "{text}: {refusal:?}");
        to.send(call(1, "x")).await.expect("it is there");
        assert_eq!(from.next().await.expect("an answer"), answer(1, "x"));
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_call_each_other_and_subscribe() {
    let (here, there) = channels();
    let server = Server::builder()
        .service(CalcServer::new(MyCalc))
        .service(WorkServer::new(Worker(Arc::new(Counts::default()))))
        .build()
        .expect("no method twice")
        .start();
    let accepted = server.attach_messages(end(there));
    let session = Connector::over_messages(end(here)).service(CalcServer::new(MyCalc)).connect().await;
    let session = session.expect("connected already");
    for caller in [&session, &accepted] {
        let calc = CalcClient::from(caller.clone());
        assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
        let long = "ü".repeat(300_000);
        assert_eq!(calc.greet(&long).await.expect("a greeting"), format!("Hello, {long}"));
        assert!(matches!(calc.div(1, 0).await, Err(CallError::Service(DivError::ByZero))));
        let sums = futures::future::join_all((0..300).map(|n| calc.add_later(n, 1).into_future())).await;
        assert!(sums.into_iter().zip(1..).all(|(sum, expected)| sum.expect("a sum") == expected));
    }
    let counted = WorkClient::from(session.clone()).count(5, 500).await.expect("subscribed");
    let counted: Vec<u64> = counted.map(|item| item.expect("a number")).collect().await;
    assert_eq!(counted, (5..500).collect::<Vec<_>>());
    assert_eq!(session.close().await.to_string(), "closed by this side");
    assert!(matches!(accepted.closed().await, CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn each_item_is_one_message_and_nothing_is_put_around_it() {
    let (mut from, mut to, session) = served(Limits::unlimited()).await;
    to.send(call(1, "a\\nb")).await.expect("it is read");
    assert_eq!(from.next().await.expect("an answer"), answer(1, "a\\nb"));
    to.send("\n".into()).await.expect("it is read");
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"#;
    let answered = from.next().await.expect("an error");
    assert!(answered.starts_with(error.as_bytes()), "{answered:?}");
    to.send(Bytes::new()).await.expect("it is read");
    let answered = from.next().await.expect("an error");
    assert!(answered.starts_with(error.as_bytes()), "{answered:?}");
    assert_eq!(session.statistics().messages_received, 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_dropped_and_counted() {
    let mut limits = Limits::public();
    limits.frame_size = 100;
    let (mut from, mut to, session) = served(limits).await;
    for id in 1..=3 {
        to.send(call(id, &"x".repeat(1_500))).await.expect("it is read");
        let refusal = from.next().await.expect("a refusal");
        let refusal = String::from_utf8_lossy(&refusal);
        let error = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"#);
        assert!(refusal.starts_with(&error) && refusal.contains("the limit is 100 "), "{refusal}");
        // An answer is not answered.
        to.send(answer(id, &"x".repeat(1_500)).into()).await.expect("it is read");
        to.send(call(id, "y")).await.expect("it is read");
        assert_eq!(from.next().await.expect("an answer"), answer(id, "y"));
    }
    assert_eq!(session.statistics().errors, 6);
    // Ten are too many.
    while to.send(call(0, &"x".repeat(1_500))).await.is_ok() {}
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_message_far_over_the_limit_ends_the_session() {
    let mut limits = Limits::public();
    limits.frame_size = 100;
    let (mut from, mut to, session) = served(limits).await;
    to.send(call(7, &"x".repeat(1_700))).await.expect("it is read");
    let refusal = from.next().await.expect("a refusal");
    assert!(refusal.starts_with(br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"#), "{refusal:?}");
    assert_eq!(from.next().await, None);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Frame(FrameError::TooLarge { limit: 100, .. })), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_messages_is_not_read_from_and_given_up() {
    let mut limits = Limits::server();
    (limits.outgoing_bytes, limits.frame_size) = (10_000, 10_000);
    limits.send_timeout = Some(Duration::from_secs(20));
    let (from, mut to, session) = served(limits).await;
    let mut asked = 0;
    while let Ok(Ok(())) =
        tokio::time::timeout(Duration::from_secs(1), to.send(call(asked, &"x".repeat(1000)))).await
    {
        asked += 1;
        assert!(asked < 100, "it goes on reading");
    }
    assert!(asked > 10);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::SendTimeout { .. }), "{reason}");
    drop(from);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_the_peers_and_what_it_asked_is_answered() {
    let (mut from, mut to, session) = served(Limits::unlimited()).await;
    to.send(call(1, "last")).await.expect("it is read");
    to.close_channel();
    assert_eq!(from.next().await.expect("an answer"), answer(1, "last"));
    assert!(matches!(session.closed().await, CloseReason::Peer));
    assert_eq!(from.next().await, None);
}

/// Gives what it has, then fails; takes nothing.
struct Failing(Vec<Bytes>);

impl Stream for Failing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(Some(self.0.pop().ok_or_else(|| io::ErrorKind::HostUnreachable.into())))
    }
}

impl Sink<Bytes> for Failing {
    type Error = &'static str;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("the sink is full"))
    }

    fn start_send(self: Pin<&mut Self>, _: Bytes) -> Result<(), &'static str> {
        Err("it was never ready")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_stream_or_the_sink_ends_the_session_and_is_its_cause() {
    let session = Connector::over_messages(Failing(vec![])).connect().await.expect("connected already");
    let CloseReason::Io(error) = session.closed().await else { panic!("another reason") };
    assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);

    let asked = Connector::over_messages(Failing(vec![call(1, "x")])).service(echo());
    let session = asked.connect().await.expect("connected already");
    let CloseReason::Io(error) = session.closed().await else { panic!("another reason") };
    assert_eq!(error.to_string(), "the sink is full");
}

/// Keeps what it is sent; `None` is a flush.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Option<Bytes>>>>);

impl Sink<Bytes> for Kept {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Bytes) -> io::Result<()> {
        self.0.lock().expect("no panic").push(Some(message));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().expect("no panic").push(None);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_together_is_sent_before_one_flush() {
    let (mut to, from) = mpsc::channel::<Bytes>(64);
    for id in 0..40 {
        to.try_send(call(id, "x")).expect("there is room");
    }
    let kept = Kept::default();
    let channel = join_messages(from.map(Ok::<_, io::Error>), kept.clone());
    let _session = Connector::over_messages(channel).service(echo()).connect().await.expect("connected");
    settled().await;
    let kept = std::mem::take(&mut *kept.0.lock().expect("no panic"));
    let sent: Vec<_> = kept.into_iter().skip_while(Option::is_none).collect();
    let expected: Vec<_> = (0..40).map(|id| Some(Bytes::from(answer(id, "x")))).collect();
    assert_eq!(sent[..40], expected);
    assert!(sent[40..].iter().all(Option::is_none));
}
