//! Code of the user's that uses the session which runs it: a log subscriber, a waker, a framer, a drop. None of it hangs, because none
//! of it runs under a lock.

mod nosy;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context as Cx, Poll},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt};
use rpc::{
    Cancellation, CloseReason, Connector, Context, ErrorObject, KeepAlive, Limits, Message, MessageSession,
    MethodInfo, OutgoingBatch, Overflow, Params, Protocol, Router, Session, SubscriptionInfo,
    SubscriptionStyle, framing::FrameError, testing,
};
use rpc_tests::{Gate, Raw, settled, soon, waiting};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf};

use nosy::{Nosy, NosyFramer, nosily, unless_it_hangs, use_all, use_it, used, watch};

/// `wait`, `numbers` that come one by one and without an end, and `large`.
fn service(gate: &Gate) -> Router {
    let numbers = SubscriptionInfo::new(SubscriptionStyle::PubSub, "number").with_unsubscribe("unnumber");
    waiting(gate)
        .subscription(
            MethodInfo::request("numbers").with_subscription(numbers),
            async |params: Params, _: Context| {
                let (size,): (usize,) = params.parse()?;
                let numbers = futures::stream::iter(["x".repeat(size)]);
                Ok::<_, ErrorObject>(numbers.chain(futures::stream::pending()))
            },
        )
        .method("large", async |_: Params, _: Context| Ok::<_, ErrorObject>("x".repeat(2_000)))
        .method("large_later", async |_: Params, _: Context| {
            tokio::task::yield_now().await;
            Ok::<_, ErrorObject>("x".repeat(2_000))
        })
}

/// Two sessions that speak to each other, and are used by whatever is run.
async fn watched(with: impl Fn(Connector) -> Connector, gate: &Gate) -> (Session, Session) {
    let (here, there) = rpc::transport::memory(1 << 20);
    let connect = async |io| {
        let session = with(Connector::over(io).service(service(gate))).connect().await.expect("connected");
        watch(&session);
        session
    };
    (connect(here).await, connect(there).await)
}

/// All kinds of messages, in both directions, and all ends of calls.
async fn converse(client: &Session, server: &Session, gate: &Gate) {
    let echoed: Value = nosily(client.call("echo", (1,)).into_future()).await.expect("a reply");
    assert_eq!(echoed, serde_json::json!([1]));
    nosily(client.notify("echo", (1,)).into_future()).await.expect("sent");
    let batch = OutgoingBatch::new().call("later", &(1,)).and_then(|batch| batch.notify("echo", &(2,)));
    nosily(client.batch(batch.expect("written")).into_future()).await.expect("replies");
    assert!(nosily(client.call::<Value>("none", ()).into_future()).await.is_err());

    // Ended by its timeout, by being dropped, and answered by a task.
    let waits = client.call::<Value>("wait", (1,)).timeout(Duration::from_secs(1));
    assert!(nosily(waits.into_future()).await.is_err());
    let dropped = client.call::<Value>("wait", (2,)).into_future();
    assert!(tokio::time::timeout(Duration::from_secs(1), nosily(dropped)).await.is_err());
    let waits = nosily(client.call::<Value>("wait", (3,)).into_future());
    let (answered, ()) = tokio::join!(waits, async {
        settled().await;
        gate.open();
    });
    answered.expect("a reply");

    // Subscriptions, to their ends.
    let subscribe =
        || client.subscribe::<String>("numbers", (3,)).unsubscribe_with("unnumber").overflow(Overflow::Wait);
    let mut numbers = nosily(subscribe().into_future()).await.expect("it begins");
    nosily(numbers.next()).await.expect("an item").expect("a text");
    assert!(tokio::time::timeout(Duration::from_secs(1), nosily(numbers.next())).await.is_err());
    drop(numbers);
    let mut numbers = nosily(subscribe().into_future()).await.expect("it begins");
    nosily(numbers.next()).await.expect("an item").expect("a text");
    let (ended, ()) = tokio::join!(nosily(numbers.next()), async {
        settled().await;
        server.start_close();
    });
    ended.expect("an error").expect_err("the session has ended");
    soon(nosily(client.closed())).await;
    soon(nosily(server.closed())).await;
}

#[test]
fn a_subscriber_of_the_log_may_use_the_session_that_it_is_told_about() {
    unless_it_hangs(|| async {
        let _guard = tracing::subscriber::set_default(Nosy);
        tracing::callsite::rebuild_interest_cache();
        for protocol in [Protocol::V2, Protocol::Loose] {
            let gate = Gate::closed();
            let with = |connector: Connector| {
                connector
                    .protocol(protocol)
                    .cancellation(Cancellation::LSP)
                    .keep_alive(KeepAlive::call("echo"))
            };
            let (client, server) = watched(with, &gate).await;
            let before = used();
            converse(&client, &server, &gate).await;
            assert!(used() > before, "nothing was logged");
        }
    });
}

/// What is logged only where something goes wrong.
#[test]
fn a_subscriber_of_the_log_may_use_a_session_that_cannot_say_something() {
    unless_it_hangs(|| async {
        let _guard = tracing::subscriber::set_default(Nosy);
        tracing::callsite::rebuild_interest_cache();
        // A cancellation that 1.0 cannot express, which is found out when it is detected.
        let (mut peer, session) =
            Raw::peer_with(|connector| connector.protocol(Protocol::Detect).cancellation(Cancellation::LSP))
                .await;
        peer.send(r#"{"method":"news","params":[],"id":null}"#).await;
        settled().await;
        watch(&session);
        drop_after_sending(&session).await;
        // A cancellation for which there is no room.
        let mut limits = Limits::client();
        limits.outgoing_bytes = 1;
        let (here, there) = rpc::transport::memory(16);
        let narrow = Connector::over(there).limits(limits).cancellation(Cancellation::LSP);
        let narrow = narrow.connect().await.expect("connected");
        watch(&narrow);
        drop_after_sending(&narrow).await;
        drop(here);
        // Items that come before the reply which begins their subscription, and do not fit.
        let mut limits = Limits::client();
        limits.subscription_items = 1;
        let (mut early, session) = Raw::peer_of((), limits);
        watch(&session);
        let begins = session.clone();
        let begins = tokio::spawn(async move { begins.subscribe::<u8>("s", ()).await.is_ok() });
        early.line().await.expect("it is asked for");
        for _ in 0..3 {
            early.send(r#"{"jsonrpc":"2.0","method":"i","params":{"subscription":"x","result":7}}"#).await;
        }
        early.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
        assert!(begins.await.expect("no panic"));
        // Replies that are not asked for, and a number of calls in flight that changes.
        peer.send(r#"{"id":77,"result":1,"error":null}"#).await;
        let mut limits = Limits::client();
        limits.calls_in_flight = 50;
        let (here, there) = rpc::transport::memory(1 << 16);
        let calls = testing::session(here, (), limits);
        let _server = testing::session(there, rpc_tests::echo(), Limits::unlimited());
        watch(&calls);
        for _ in 0..100 {
            calls.call::<Value>("echo", (1,)).await.expect("a reply");
        }
    });
}

async fn drop_after_sending(session: &Session) {
    let call = session.call::<Value>("a", ("x".repeat(100),)).into_future();
    let waited = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(waited.is_err(), "{waited:?}");
    settled().await;
}

#[test]
fn a_waker_may_use_the_session_that_wakes_clones_or_drops_it() {
    unless_it_hangs(|| async {
        let gate = Gate::closed();
        let (client, server) = watched(|connector| connector, &gate).await;
        converse(&client, &server, &gate).await;
    });
}

#[test]
fn wakers_of_those_who_wait_for_room_a_place_or_the_end_of_a_request_may_use_the_session() {
    unless_it_hangs(|| async {
        let mut limits = Limits::client();
        limits.outgoing_bytes = 300;
        limits.calls_in_flight = 2;
        limits.target_response_time = None;
        let (mut peer, session) = Raw::narrow_peer_of(16, (), limits);
        watch(&session);
        let calls = futures::future::join_all((0..5).map(|_| {
            nosily(
                session.call::<Value>("m", ("x".repeat(200),)).timeout(Duration::from_secs(10)).into_future(),
            )
        }));
        let replies = async {
            for id in 1..=5 {
                peer.line().await.expect("a call");
                peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
            }
        };
        let (replies, ()) = tokio::join!(calls, replies);
        assert!(replies.iter().all(Result::is_ok), "{replies:?}");

        // One who waits until a request is over, which is answered, taken back, or too late.
        let contexts: Arc<Mutex<Vec<Context>>> = Arc::default();
        let kept = Arc::clone(&contexts);
        let router = Router::new().method("keep", move |_: Params, cx: Context| {
            kept.lock().expect("no panic").push(cx);
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, ErrorObject>(())
            }
        });
        for request_timeout in [100, 3_000] {
            let mut limits = Limits::server();
            limits.request_timeout = Some(Duration::from_millis(request_timeout));
            let (client, server) = testing::pair_with((), Limits::client(), router.clone(), limits);
            watch(&server);
            let call = client.call::<()>("keep", ()).into_future();
            let over = async {
                settled().await;
                let context = contexts.lock().expect("no panic").pop().expect("it runs");
                nosily(context.cancelled()).await;
            };
            drop(tokio::join!(call, over));
        }
    });
}

/// A subscription whose peer ends it, loses items of it, or is gone; and work that is not heard of.
#[test]
fn wakers_of_readers_may_use_the_session_however_a_subscription_ends() {
    unless_it_hangs(|| async {
        for end in [
            r#"{"jsonrpc":"2.0","method":"rpc.ended","params":{"subscription":"x"}}"#,
            r#"{"jsonrpc":"2.0","method":"rpc.lost","params":{"subscription":"x","items":3}}"#,
            r#"{"jsonrpc":"2.0","method":"i","params":{"subscription":"x","result":1}}"#,
            "",
        ] {
            let (mut peer, session) = Raw::peer_of((), Limits::client());
            watch(&session);
            let (items, ()) = tokio::join!(session.subscribe::<u8>("s", ()).into_future(), async {
                peer.line().await.expect("it is asked for");
                peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
            });
            let (mut items, before) = (items.expect("it begins"), used());
            tokio::join!(nosily(items.next()), async {
                settled().await;
                match end {
                    "" => session.abort(),
                    end => peer.send(end).await,
                }
            });
            assert!(used() > before, "no waker was woken");
        }
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        watch(&session);
        let work = session.subscribe::<rpc::Progress<Value, Value>>("work", ());
        let work = work.style(SubscriptionStyle::Progress).timeout(Duration::from_secs(5));
        assert!(nosily(work.into_future()).await.is_err(), "neither a report nor an end");
        peer.line().await.expect("it is asked for");
    });
}

#[test]
fn a_framer_may_use_the_session_whose_messages_it_frames() {
    unless_it_hangs(|| async {
        let gate = Gate::closed();
        let with = |connector: Connector| {
            connector
                .framer(NosyFramer::new(usize::MAX))
                .cancellation(Cancellation::LSP)
                .keep_alive(KeepAlive::call("echo"))
        };
        let (client, server) = watched(with, &gate).await;
        let before = used();
        converse(&client, &server, &gate).await;
        assert!(used() > before, "nothing was framed");
    });
}

/// What does not fit is told where it can be, and leaves nothing behind; the messages around it are sent in order.
#[test]
fn a_framer_of_the_users_that_refuses_a_message_has_it_refused() {
    unless_it_hangs(|| async {
        let gate = Gate::closed();
        let with = |connector: Connector| connector.framer(NosyFramer::new(1_000));
        let (client, server) = watched(with, &gate).await;
        let large = "x".repeat(2_000);
        let refused = client.call::<Value>("echo", (&large,)).await;
        assert!(matches!(refused, Err(rpc::CallError::Frame { .. })), "{refused:?}");
        assert!(matches!(client.notify("echo", (&large,)).await, Err(rpc::CallError::Frame { .. })));
        let batch = OutgoingBatch::new().call("echo", &(&large,)).expect("written");
        assert!(matches!(client.batch(batch).await, Err(rpc::BatchError::Frame(_))));
        let refused = client.subscribe::<Value>("numbers", (&large,)).await.map(drop);
        assert!(matches!(refused, Err(rpc::CallError::Frame { .. })), "{refused:?}");
        assert_eq!((client.calls_in_flight(), client.subscriptions()), (0, 0));
        // Replies in place and from a task become errors, an item is left out.
        for method in ["large", "large_later"] {
            let error = client.call::<Value>(method, ()).await.expect_err("it does not fit");
            assert!(rpc::chain(&error).to_string().contains("the reply cannot be sent"), "{error}");
        }
        let mut numbers = client.subscribe::<String>("numbers", (2_000,)).await.expect("it begins");
        assert!(tokio::time::timeout(Duration::from_secs(1), numbers.next()).await.is_err());
        assert_eq!(client.call::<Value>("echo", (7,)).await.expect("a reply"), serde_json::json!([7]));
        assert!(!server.is_closed());
    });
}

/// A message of the application's own.
struct Text(String);

impl Message for Text {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        use_all();
        Ok(Self(String::from_utf8_lossy(frame).into_owned()))
    }
    fn write(&self, out: &mut Vec<u8>) {
        use_all();
        out.extend_from_slice(self.0.as_bytes());
    }
}

#[test]
fn messages_of_the_applications_own_may_use_the_session_that_carries_them() {
    unless_it_hangs(|| async {
        let (here, there) = rpc::transport::memory(1 << 16);
        let connect = async |io: DuplexStream| {
            let connector = Connector::over(io).framer(NosyFramer::new(1_000));
            let session = connector
                .connect_messages(async |session: MessageSession<Text>, text: Text| {
                    if text.0 == "ask" {
                        session.send(&Text("answer".into())).await.ok();
                    }
                })
                .await
                .expect("connected");
            watch(session.session());
            session
        };
        let (client, server) = (connect(here).await, connect(there).await);
        client.send(&Text("ask".into())).await.expect("sent");
        assert!(client.send(&Text("x".repeat(2_000))).await.is_err(), "it does not fit");
        settled().await;
        assert_eq!(client.session().statistics().messages_received, 1);
        assert_eq!(server.session().statistics().messages_received, 1);
    });
}

/// Looks for another value when it is dropped.
struct Nostalgic(Arc<OnceLock<Session>>);

impl Drop for Nostalgic {
    fn drop(&mut self) {
        if let Some(session) = self.0.get() {
            session.extensions().insert(1_u8);
            use_it(session);
        }
    }
}

#[test]
fn what_is_kept_with_a_session_may_use_it_when_it_is_replaced() {
    unless_it_hangs(|| async {
        let (session, _peer) = testing::pair((), ());
        let known = Arc::new(OnceLock::from(session.clone()));
        for _ in 0..2 {
            session.extensions().insert(Nostalgic(Arc::clone(&known)));
        }
        drop(session.extensions().remove::<Nostalgic>());
        assert_eq!(session.extensions().get::<u8>().as_deref(), Some(&1));
    });
}

/// A handler's future that uses its session when it is dropped, and a stream that does.
struct Clingy(Session);

impl Drop for Clingy {
    fn drop(&mut self) {
        use_it(&self.0);
    }
}

impl Stream for Clingy {
    type Item = u8;

    fn poll_next(self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Option<u8>> {
        Poll::Pending
    }
}

#[test]
fn a_handler_and_a_stream_may_use_the_session_that_drops_them() {
    unless_it_hangs(|| async {
        let router = || {
            let stream = SubscriptionInfo::new(SubscriptionStyle::PubSub, "s").with_unsubscribe("unstream");
            Router::new()
                .method("cling", async |_: Params, cx: Context| {
                    let _clingy = Clingy(cx.session().clone());
                    std::future::pending::<Result<(), ErrorObject>>().await
                })
                .subscription(
                    MethodInfo::request("stream").with_subscription(stream),
                    async |_: Params, cx: Context| Ok::<_, ErrorObject>(Clingy(cx.session().clone())),
                )
        };
        for end in [Session::abort as fn(&Session), Session::start_close] {
            let mut limits = Limits::server();
            limits.request_timeout = Some(Duration::from_secs(1));
            limits.close_timeout = Some(Duration::from_secs(1));
            let (client, server) = testing::pair_with((), Limits::client(), router(), limits);
            assert!(client.call::<()>("cling", ()).await.is_err(), "it takes too long");
            drop(client.subscribe::<u8>("stream", ()).unsubscribe_with("unstream").await.expect("it begins"));
            let streams = client.subscribe::<u8>("stream", ()).await.expect("it begins");
            let mut call = Box::pin(client.call::<()>("cling", ()).into_future());
            assert!(rpc_tests::is_pending(&mut call));
            settled().await;
            end(&server);
            soon(server.closed()).await;
            drop(streams);
        }
    });
}

/// A stream that ends the session which writes to it, after having queued more to be written.
struct Aborting {
    io: DuplexStream,
    session: Arc<OnceLock<Session>>,
}

impl AsyncRead for Aborting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Cx<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Aborting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Cx<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(session) = self.session.get() {
            let queued = session.notify("queued", ()).into_future().now_or_never();
            assert!(queued.is_some_and(|sent| sent.is_ok()) || session.is_closed());
            session.abort();
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[test]
fn a_session_that_is_aborted_while_it_writes_ends_whatever_is_queued() {
    unless_it_hangs(|| async {
        let (here, mut there) = rpc::transport::memory(1 << 10);
        let session = Arc::new(OnceLock::new());
        let io = Aborting { io: here, session: Arc::clone(&session) };
        let aborted = testing::session(io, (), Limits::client());
        session.set(aborted.clone()).expect("set once");
        aborted.notify("written", ()).await.expect("queued");
        assert_eq!(aborted.closed().await, CloseReason::Aborted);
        let mut received = String::new();
        there.read_to_string(&mut received).await.expect("a text");
        assert_eq!(received.matches("queued").count(), 0, "{received}");
    });
}
