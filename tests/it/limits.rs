//! Memory is bounded, per session, by numbers in `Limits`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rpc::{CloseReason, Context, Dispatcher, ErrorObject, Limits, Params, Router, Server};
use rpc_tests::{Gate, Raw, echo, is_pending, settled, waiting};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

/// `big` and `big_later` give `size` bytes; the counter says how many were made.
fn big(size: usize) -> (Router, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let (at_once, later) = (Arc::clone(&made), Arc::clone(&made));
    let router = echo()
        .method("big", move |_: Params, _: Context| {
            at_once.fetch_add(1, SeqCst);
            async move { Ok::<_, ErrorObject>("x".repeat(size)) }
        })
        .method("big_later", move |_: Params, _: Context| {
            later.fetch_add(1, SeqCst);
            async move {
                tokio::task::yield_now().await;
                Ok::<_, ErrorObject>("x".repeat(size))
            }
        });
    (router, made)
}

fn requests(method: &str, n: usize) -> String {
    (1..=n).map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"}}\n")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_is_dropped_and_the_next_is_intact() {
    let mut limits = Limits::server();
    limits.frame_size = 1_000;
    for piece in [1, 7, 1_000, usize::MAX] {
        let (mut peer, session) = Raw::peer_of(echo(), limits.clone());
        let long =
            json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x".repeat(1_000)]}).to_string();
        let bytes = format!("{long}\n{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\",\"params\":[2]}}\n");
        for piece in bytes.as_bytes().chunks(piece) {
            peer.write(piece).await;
        }
        let refusal = peer.line().await.expect("a refusal");
        assert!(refusal.starts_with(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"#), "{refusal}");
        peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":[2]}"#).await;
        assert!(!session.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_as_large_as_may_be_is_served() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    let frame = |size: usize| {
        let around = json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [""]}).to_string().len();
        json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x".repeat(size - around)]})
            .to_string()
    };
    let (fits, too_large) = (frame(1_000_000), frame(1_000_001));
    peer.send(&fits).await;
    assert!(peer.line().await.expect("an answer").len() > 999_000);
    let refusal = peer.ask(&too_large).await;
    assert!(refusal.contains("the limit is 1000000"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_costs_once_and_is_not_kept() {
    let mut limits = Limits::server();
    limits.frame_size = 10_000;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    // More than sixteen times as much would end the session.
    for _ in 0..160 {
        peer.write([b'['; 1_000]).await;
    }
    settled().await;
    assert!(!session.is_closed());
    assert!(peer.ask("").await.contains("-32600"));
    assert_eq!(session.statistics().errors, 1);
    assert_eq!(
        peer.ask(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":[2]}"#).await,
        r#"{"jsonrpc":"2.0","id":2,"result":[2]}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_pipelined_requests_are_admitted_up_to_the_limit() {
    const SENT: usize = 100_000;
    let gate = Gate::closed();
    let limits = Limits::server().with_request_timeout(None).with_request_bytes(1_000_000);
    let (peer, session) = Raw::peer_of(waiting(&gate), limits);
    let (read, mut write) = tokio::io::split(peer.into_inner());
    let written = Arc::new(AtomicUsize::new(0));
    let sending = tokio::spawn({
        let written = Arc::clone(&written);
        async move {
            for lines in requests("wait", SENT).as_bytes().chunks(1_000) {
                write.write_all(lines).await.expect("the session is there");
                written.fetch_add(lines.len(), SeqCst);
            }
            write
        }
    });
    settled().await;
    assert_eq!(gate.entered(), 256);
    // Those that wait were read, as far as they fit into what requests may have together.
    let statistics = session.statistics();
    assert_eq!(statistics.requests_in_flight, 256 + statistics.requests_waiting);
    assert_eq!(statistics.permit_waits as usize, statistics.requests_waiting);
    let held = written.load(SeqCst);
    assert!(
        held < 1_000_000 + 300_000,
        "{held} bytes were taken from the peer: they wait with us, not with it"
    );

    // All are served in the end.
    gate.open();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(read));
    for _ in 0..SENT {
        assert!(lines.next_line().await.expect("open").expect("an answer").contains("result"));
    }
    drop(sending.await.expect("no panic"));
    assert_eq!(gate.passed(), SENT);
}

#[tokio::test(start_paused = true)]
async fn replies_to_our_calls_arrive_though_requests_flood_in() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.request_timeout = None;
    limits.outgoing_bytes = usize::MAX;
    let (peer, session) = Raw::peer_of(waiting(&gate), limits);
    let (mut read, mut write) = tokio::io::split(peer.into_inner());
    let mut call = Box::pin(session.call::<i64>("ours", ()).into_future());
    assert!(is_pending(&mut call));
    let sending = tokio::spawn(async move {
        write.write_all(requests("wait", 100_000).as_bytes()).await.expect("the session is there");
        write
            .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}\n")
            .await
            .expect("the session is there");
        write
    });
    let reading = tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
    assert_eq!(call.await.expect("behind 100,000 requests"), 7);
    assert_eq!(gate.entered(), 256);
    sending.abort();
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_admitted_requests_are_bounded_and_one_is_always_admitted() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.request_bytes = 1_000;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let request =
        |size| json!({"jsonrpc": "2.0", "id": 1, "method": "wait", "params": ["x".repeat(size)]}).to_string();
    for size in [5_000, 300, 300, 300, 300] {
        peer.send(&request(size)).await;
    }
    settled().await;
    assert_eq!(session.requests_in_flight(), 1, "one, however large");
    gate.let_through(1);
    settled().await;
    assert_eq!(session.requests_in_flight(), 2, "two of 350 bytes and not a third");
}

#[tokio::test(start_paused = true)]
async fn replies_are_not_made_for_a_peer_that_does_not_read() {
    let mut too_many = Vec::new();
    // The first reply decides what the session is stuck with: nothing, a small one, or a large one.
    for first in ["", "echo", "big", "big_later"] {
        for method in ["big", "big_later"] {
            let (router, made) = big(100_000);
            let mut limits = Limits::server();
            limits.outgoing_bytes = 1_000_000;
            let (mut peer, session) = Raw::deaf_peer_of(16, router, limits);
            if !first.is_empty() {
                peer.write(requests(first, 1)).await;
                settled().await;
            }
            peer.write(requests(method, 5_000)).await;
            settled().await;
            let made = made.load(SeqCst);
            // Those that fit, and those that were being worked on already: they are not written.
            if made > 11 + 256 {
                too_many.push(format!("{made} x `{method}` after `{first}`"));
            }
            let (unsent, most) = (session.statistics().bytes_unsent, 12 * 100_100);
            assert!((900_000..most).contains(&unsent), "{unsent} bytes of `{method}` after `{first}`");
        }
    }
    assert!(too_many.is_empty(), "replies of 100,000 bytes wait, and 1,000,000 may: {too_many:?}");
}

#[tokio::test(start_paused = true)]
async fn rubbish_of_a_peer_that_does_not_read_the_answers_is_not_read() {
    let mut limits = Limits::client();
    limits.outgoing_bytes = 10_000;
    let (peer, _session) = Raw::peer_of(echo(), limits);
    let (_unread, mut write) = tokio::io::split(peer.into_inner());
    let written = Arc::new(AtomicUsize::new(0));
    let sending = tokio::spawn({
        let written = Arc::clone(&written);
        async move {
            while written.load(SeqCst) < 10_000_000 {
                write.write_all(&b"rubbish\n".repeat(100)).await.expect("the session is there");
                written.fetch_add(800, SeqCst);
            }
        }
    });
    settled().await;
    let written = written.load(SeqCst);
    assert!(written < 300_000, "{written} bytes of rubbish were read, and none of the answers");
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_asking_and_does_not_read_is_disconnected() {
    let (router, _made) = big(100_000);
    let mut limits = Limits::server();
    limits.outgoing_bytes = 100_000;
    let (peer, session) = Raw::narrow_peer_of(1 << 16, router, limits);
    // While a call of ours is in flight, requests have to be got out of the way.
    let call = tokio::spawn({
        let session = session.clone();
        async move { session.call::<i64>("ours", ()).without_timeout().await }
    });
    settled().await;
    let start = Instant::now();
    let flood = async {
        let lines = requests("big", 1_000);
        let (_read, mut write) = tokio::io::split(peer.into_inner());
        while write.write_all(lines.as_bytes()).await.is_ok() {}
    };
    tokio::select! {
        () = flood => {}
        _ = session.closed() => {}
    }
    let reason = session.closed().await;
    assert!(
        matches!(reason, CloseReason::OutgoingFull { unsent, limit: 100_000 } if unsent < 500_000),
        "{reason:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(1), "long before the send timeout");
    assert!(call.await.expect("no panic").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_what_may_wait_is_no_fault_of_the_peers() {
    let mut limits = Limits::client();
    limits.outgoing_bytes = 10_000;
    let (mut peer, session) = Raw::narrow_peer_of(1_000, echo(), limits);
    let call = session.call::<serde_json::Value>("m", ("x".repeat(100_000),));
    let (reply, ()) = tokio::join!(call.into_future(), async {
        settled().await;
        assert!(!session.is_closed(), "{:?}", session.close_reason());
        // The peer asks, too: it is refused, and reads its refusal behind the call.
        peer.send(r#"{"jsonrpc":"2.0","id":"a","method":"echo"}"#).await;
        assert!(peer.line().await.expect("the call").len() > 100_000);
        assert!(peer.line().await.expect("a refusal").contains("-102"));
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    });
    assert_eq!(reply.expect("a reply"), json!(7));
}

#[tokio::test(start_paused = true)]
async fn a_line_of_open_brackets_is_refused_and_nothing_hangs() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let answer = peer.ask(&"[".repeat(100_000)).await;
    assert!(answer.contains("-32700"), "{answer}");
    let nested = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":{}}}"#, "[".repeat(100_000));
    assert!(peer.ask(&nested).await.contains("-32700"));
    let closed = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let answer = peer.ask(&closed).await;
    assert!(answer.contains("error"), "{answer:.200}");
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn lines_arrive_in_any_pieces() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    let bytes = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"é😀\"]}\r\n\r\n  \n";
    for byte in bytes.as_bytes() {
        peer.write([*byte]).await;
        settled().await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":["é😀"]}"#).await;
    peer.write([&b"{\"a\":\""[..], &[0xff, 0xfe], b"\"}\n"].concat()).await;
    assert!(peer.line().await.expect("an answer").contains("-32700"));
}

/// As in aiorpcX: nothing could come of them otherwise.
#[tokio::test(start_paused = true)]
async fn a_frame_size_and_a_hard_limit_of_0_are_none() {
    let mut none = Limits::server();
    (none.frame_size, none.cost_hard) = (0, 0.0);
    let x = "x".repeat(2_000_000);
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{x}"]}}"#);
    let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{x}"]}}"#);

    let server = Server::builder().service(echo()).limits(none.clone()).build().expect("one service").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    let served = server.attach(there);
    let connected = Raw::peer_with(|connector| connector.service(echo()).limits(none.clone())).await;
    let (peer, changed) = Raw::peer_of(echo(), Limits::server());
    changed.set_limits(&none);
    for (peer, session) in
        [(Raw::over(here), served), connected, (peer, changed), Raw::peer_of(echo(), none.clone())]
    {
        session.add_cost(1e9);
        settled().await;
        let start = Instant::now();
        // More than the pipe holds: it is read while it is written.
        let (mut read, mut write) = tokio::io::split(peer.into_inner());
        let (read, written) = tokio::join!(
            async {
                let mut bytes = vec![0; answer.len() + 1];
                read.read_exact(&mut bytes).await.map(|_| bytes)
            },
            async { write.write_all(format!("{large}\n").as_bytes()).await }
        );
        written.expect("it is read");
        assert_eq!(read.expect("it is answered").trim_ascii_end(), answer.as_bytes());
        assert_eq!((start.elapsed(), session.is_closed()), (Duration::ZERO, false));
    }
    let dispatcher = Dispatcher::builder().service(echo()).limits(none).build().expect("one service");
    let reply = dispatcher.dispatch(large.as_bytes()).await.expect("a reply");
    assert_eq!(reply, answer.as_bytes());
}

/// The numbers of aiorpcX, of ElectrumX and of jsonrpsee, and ours where they have none: the guide says of each why.
#[test]
fn the_defaults_are_those_that_are_documented() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let server = Limits::server();
    assert_eq!((server.frame_size, server.reply_size), (1_000_000, 10_000_000));
    assert_eq!((server.request_timeout, server.call_timeout), (seconds(30), seconds(30)));
    assert_eq!((server.send_timeout, server.close_timeout), (seconds(20), seconds(30)));
    assert_eq!(server.requests_in_flight, 256);
    assert_eq!((server.cost_soft, server.cost_hard), (2_000.0, 10_000.0));
    assert_eq!((server.cost_of_error, server.cost_of_unreadable, server.cost_per_byte), (0.1, 1.0, 0.0));
    assert_eq!((server.cost_forgiven_per_second * 3_600.0).round(), 10_000.0);
    assert_eq!(server.cost_delay, Duration::from_secs(2));
    assert_eq!((server.calls_in_flight, server.target_response_time), (usize::MAX, seconds(3)));
    assert_eq!((server.connections, server.idle_timeout), (1_000, seconds(600)));
    assert_eq!((server.subscriptions, server.subscription_items), (1_024, 1_024));
    assert_eq!((server.batch_length, server.subscription_bytes), (1_000, 1_000_000));
    assert_eq!((server.request_bytes, server.outgoing_bytes), (4_000_000, 4_000_000));
    assert_eq!(server.body_bytes, 100_000_000);
    assert_eq!((server.frame_timeout, server.handshake_timeout), (seconds(30), seconds(10)));

    let mut public = Limits::public();
    assert_eq!((public.cost_of_error, public.cost_of_unreadable), (100.0, 1_000.0));
    assert_eq!((1.0 / public.cost_per_byte).round(), 100_000.0);
    assert_eq!(public.requests_in_flight, 20);
    (public.cost_of_error, public.cost_of_unreadable) = (server.cost_of_error, server.cost_of_unreadable);
    (public.cost_per_byte, public.requests_in_flight) = (server.cost_per_byte, server.requests_in_flight);
    assert_eq!(public, server, "nothing else differs");

    let mut client = Limits::client();
    assert_eq!((client.frame_size, client.handshake_timeout), (10 << 20, seconds(30)));
    assert_eq!((client.idle_timeout, client.frame_timeout), (None, None));
    assert_eq!((client.cost_soft, client.cost_hard), (f64::INFINITY, f64::INFINITY));
    (client.frame_size, client.handshake_timeout) = (server.frame_size, server.handshake_timeout);
    (client.idle_timeout, client.frame_timeout) = (server.idle_timeout, server.frame_timeout);
    (client.cost_soft, client.cost_hard) = (server.cost_soft, server.cost_hard);
    assert_eq!(client, server, "nothing else differs");
}
