//! Sessions that carry messages of the application's own: typed in, typed out, under the limits and the costs of any session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rpc::{
    CallError, CloseReason, Connector, Endpoint, Hooks, Limits, Message, MessageSession, SendError, Server,
    Session, Unsupported,
    framing::{BitcoinFramer, BitcoinMessage, FrameError, Framer, NetstringFramer},
};
use rpc_tests::{Gate, frames::framed, settled, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

/// What two nodes of Bitcoin's say to each other, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Ping(u64),
    Pong(u64),
    Other(String, Vec<u8>),
}

impl Message for Node {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        let BitcoinMessage { command, payload } = BitcoinMessage::parse(frame)?;
        let nonce = || {
            let bytes = payload.try_into();
            bytes.map(u64::from_le_bytes).map_err(|_| FrameError::Invalid(format!("a {command} has a nonce")))
        };
        Ok(match command {
            "ping" => Self::Ping(nonce()?),
            "pong" => Self::Pong(nonce()?),
            _ => Self::Other(command.to_owned(), payload.to_vec()),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (command, payload) = match self {
            Self::Ping(nonce) => ("ping", &nonce.to_le_bytes()[..]),
            Self::Pong(nonce) => ("pong", &nonce.to_le_bytes()[..]),
            Self::Other(command, payload) => (&**command, &payload[..]),
        };
        BitcoinMessage { command, payload }.write(out);
    }
}

fn bitcoin() -> BitcoinFramer {
    BitcoinFramer::new(BitcoinFramer::REGTEST)
}

/// What a message is on the wire.
fn on_the_wire(message: &Node) -> Vec<u8> {
    let mut out = Vec::new();
    bitcoin().begin(&mut out);
    message.write(&mut out);
    bitcoin().finish(&mut out, 0).expect("it fits");
    out
}

/// Answers pings, and passes everything on.
async fn node(io: DuplexStream, limits: Limits) -> (MessageSession<Node>, mpsc::UnboundedReceiver<Node>) {
    let (heard, hears) = mpsc::unbounded_channel();
    let connector = Connector::over(io).framer(bitcoin()).limits(limits);
    let session = connector.connect_messages(move |session: MessageSession<Node>, message: Node| {
        let heard = heard.clone();
        async move {
            if let Node::Ping(nonce) = message {
                session.send(&Node::Pong(nonce)).await.expect("there is room");
            }
            heard.send(message).expect("the test goes on");
        }
    });
    (session.await.expect("connected"), hears)
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_typed_and_in_order() {
    let (here, there) = rpc::transport::memory(64 << 10);
    let (one, mut heard_by_one) = node(here, Limits::client()).await;
    let (other, mut heard_by_other) = node(there, Limits::server()).await;
    let sent: Vec<_> = (0..100).map(Node::Ping).chain([Node::Other("verack".into(), Vec::new())]).collect();
    for message in &sent {
        one.send(message).await.expect("there is room");
    }
    for message in &sent {
        assert_eq!(soon(heard_by_other.recv()).await.as_ref(), Some(message));
    }
    for nonce in 0..100 {
        assert_eq!(soon(heard_by_one.recv()).await, Some(Node::Pong(nonce)));
    }
    let statistics = other.session().statistics();
    assert_eq!((statistics.messages_received, statistics.messages_sent), (101, 100));

    one.session().close().await;
    assert!(matches!(other.session().closed().await, CloseReason::Peer));
    let late = one.send(&Node::Ping(1)).await;
    assert!(matches!(late, Err(SendError::Closed(CloseReason::Local))), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_of_messages_makes_no_calls() {
    let (here, there) = rpc::transport::memory(64 << 10);
    let (one, _heard) = node(here, Limits::client()).await;
    let (_other, mut heard) = node(there, Limits::server()).await;
    let called = one.session().call::<()>("add", (1, 2)).await;
    assert!(matches!(called, Err(CallError::Unsupported { source: Unsupported::Calls, .. })), "{called:?}");
    let notified = one.session().notify("log", ("x",)).await;
    assert!(matches!(notified, Err(CallError::Unsupported { .. })), "{notified:?}");
    settled().await;
    assert!(heard.try_recv().is_err(), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_costs_and_the_session_goes_on() {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let (session, mut heard) = node(there, Limits::public()).await;
    let mut damaged = on_the_wire(&Node::Ping(1));
    *damaged.last_mut().expect("a payload") ^= 1;
    let no_nonce = on_the_wire(&Node::Other("ping".into(), vec![1, 2, 3]));
    for bytes in [&damaged, &no_nonce, &on_the_wire(&Node::Ping(2))] {
        io.write_all(bytes).await.expect("the session reads");
    }
    assert_eq!(soon(heard.recv()).await, Some(Node::Ping(2)));
    assert_eq!(session.session().statistics().errors, 2);
    // 100 for the checksum, by Bitcoin's framing; 1,000 for what cannot be read.
    let cost = session.session().cost();
    assert!((1_099.0..1_101.0).contains(&cost), "{cost}");

    io.write_all(&no_nonce.repeat(9)).await.expect("the session reads");
    let reason = session.session().closed().await;
    assert!(matches!(reason, CloseReason::Cost { .. }), "{reason}");
    // All that was ever sent is the answer to the ping: no error in a language that the peer does not speak.
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.expect("it has ended");
    assert_eq!(rest, on_the_wire(&Node::Pong(2)));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_magic_ends_the_session() {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let (session, _heard) = node(there, Limits::server()).await;
    io.write_all(b"GET / HTTP/1.1\r\n").await.expect("the session reads");
    let reason = session.session().closed().await;
    assert!(matches!(reason, CloseReason::Frame(FrameError::WrongMagic { .. })), "{reason}");
}

/// A text, whatever it says.
struct Text(String);

impl Message for Text {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        String::from_utf8(frame.to_vec()).map(Self).map_err(|error| FrameError::Invalid(error.to_string()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_worked_on_and_the_rest_wait_unread() {
    let (mut io, there) = rpc::transport::memory(1 << 20);
    let gate = Gate::closed();
    let handler = gate.clone();
    let mut limits = Limits::server();
    (limits.requests_in_flight, limits.request_timeout) = (3, None);
    let connector = Connector::over(there).framer(NetstringFramer::new()).limits(limits);
    let session = connector.connect_messages(move |_, _: Text| {
        let gate = handler.clone();
        async move { gate.pass().await }
    });
    let session = session.await.expect("connected");
    io.write_all(&framed(&NetstringFramer::new(), &["x"; 1_000])).await.expect("there is room");
    settled().await;
    assert_eq!(gate.entered(), 3);
    assert_eq!(session.session().requests_in_flight(), 3);
    gate.open();
    settled().await;
    assert_eq!(gate.entered(), 1_000);
    assert_eq!(session.session().requests_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_or_takes_too_long_is_no_trouble() {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let connector = Connector::over(there).framer(NetstringFramer::new()).limits(Limits::server());
    let session = connector.connect_messages(move |_, text: Text| {
        let counted = Arc::clone(&counted);
        assert!(text.0 != "at once", "a panic before there is a future");
        async move {
            tokio::task::yield_now().await;
            match &*text.0 {
                "later" => panic!("a panic in a task"),
                "never" => std::future::pending().await,
                _ => counted.fetch_add(1, SeqCst),
            };
        }
    });
    let session = session.await.expect("connected");
    let texts = ["at once", "later", "never", "fine"];
    io.write_all(&framed(&NetstringFramer::new(), &texts)).await.expect("there is room");
    settled().await;
    assert_eq!(handled.load(SeqCst), 1);
    assert_eq!(session.session().requests_in_flight(), 1, "one waits for ever");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(session.session().requests_in_flight(), 0, "it was dropped");
    assert!(!session.session().is_closed());
}

#[tokio::test(start_paused = true)]
async fn one_over_the_soft_limit_is_slowed_down() {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let (session, mut heard) = node(there, Limits::server()).await;
    session.session().add_cost(6_000.0);
    let start = tokio::time::Instant::now();
    io.write_all(&on_the_wire(&Node::Pong(1))).await.expect("the session reads");
    assert_eq!(heard.recv().await, Some(Node::Pong(1)));
    // Half way between the limits: half of 2 s.
    let delay = start.elapsed().as_millis();
    assert!((990..=1_010).contains(&delay), "{delay}");
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_read_has_senders_wait_and_is_given_up() {
    let (_io, there) = rpc::transport::memory(1_000);
    let mut limits = Limits::server();
    (limits.outgoing_bytes, limits.send_timeout) = (10_000, Some(Duration::from_secs(20)));
    let (session, _heard) = node(there, limits).await;
    let large = Node::Other("block".into(), vec![7; 4_000]);
    let mut sent = 0;
    let error = loop {
        match session.send(&large).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(sent <= 5, "{sent} messages of 4,000 bytes were taken");
    assert!(matches!(error, SendError::Closed(CloseReason::SendTimeout { .. })), "{error:?}");
}

#[tokio::test]
async fn servers_carry_messages_too() {
    struct Opened(mpsc::UnboundedSender<Endpoint>);
    impl Hooks for Opened {
        fn opened(&self, session: &Session) {
            self.0.send(session.peer().clone()).expect("the test goes on");
        }
    }
    let (opened, mut peers) = mpsc::unbounded_channel();
    let mut limits = Limits::server();
    limits.connections = 1;
    let server = Server::builder()
        .framer(bitcoin())
        .limits(limits)
        .hooks(Opened(opened))
        .messages(async |session: MessageSession<Node>, message: Node| {
            if let Node::Ping(nonce) = message {
                session.send(&Node::Pong(nonce)).await.expect("there is room");
            }
        })
        .bind("tcp://127.0.0.1:0")
        .await
        .expect("free");
    let url = server.endpoint().to_string();
    let running = server.start();
    let (heard, mut hears) = mpsc::unbounded_channel();
    let connector = Connector::new(&url).expect("a URL").framer(bitcoin());
    let session = connector.connect_messages(move |_, message: Node| {
        let heard = heard.clone();
        async move { heard.send(message).expect("the test goes on") }
    });
    let session = session.await.expect("the server listens");
    session.send(&Node::Ping(9)).await.expect("there is room");
    assert_eq!(soon(hears.recv()).await, Some(Node::Pong(9)));
    assert_eq!(soon(peers.recv()).await.expect("a session").scheme(), "tcp");

    // One too many is told nothing: it speaks no JSON-RPC.
    let addr = url.trim_start_matches("tcp://");
    let mut refused = tokio::net::TcpStream::connect(addr).await.expect("the server listens");
    let mut told = Vec::new();
    soon(refused.read_to_end(&mut told)).await.expect("it is closed");
    assert_eq!(told, b"");

    soon(running.shutdown()).await;
    assert!(matches!(soon(session.session().closed()).await, CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_not_answered_and_one_far_over_it_ends_the_session() {
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let mut limits = Limits::server();
    limits.frame_size = 100;
    let framer = NetstringFramer::new();
    let connector = Connector::over(there).framer(framer.clone()).limits(limits);
    let session =
        connector.connect_messages(|_: MessageSession<Node>, _: Node| async {}).await.expect("connected");
    // Even where it looks like a request.
    let message = |size| format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{}"}}"#, "x".repeat(size));
    for size in [1_500, 1_600] {
        assert!(!session.session().is_closed());
        io.write_all(&framed(&framer, &[message(size)])).await.expect("the session reads");
        settled().await;
    }
    let reason = session.session().closed().await;
    assert!(matches!(reason, CloseReason::Frame(FrameError::TooLarge { limit: 100, .. })), "{reason}");
    let mut heard = Vec::new();
    io.read_to_end(&mut heard).await.expect("the session has ended");
    assert_eq!(heard, b"");
}
