//! Sizes that a peer only declares: nothing is set aside for what has not come, on any transport
//! and with any limit.

use allocation_counter::AllocationInfo;
use rpc::{
    Connector, HttpOptions, Limits, Message, MessageSession, Server,
    framing::{
        BitcoinFramer, BitcoinMessage, CodecFramer, ContentLengthFramer, FrameError, Framer,
        LengthPrefixedFramer, NetstringFramer,
    },
};
use rpc_tests::{echo, settled, websocket::WsPeer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::codec::LengthDelimitedCodec;

use crate::bounded::{AROUND, measured};

/// Limits of every kind: none, and one that what is declared keeps to.
fn limits() -> [Limits; 2] {
    let mut large = Limits::unlimited();
    large.frame_size = 1 << 30;
    [Limits::unlimited(), large]
}

/// What is declared: within the larger limit, and beyond any memory.
const DECLARED: [u64; 4] = [900 << 20, 1 << 46, (1 << 63) - 1, u64::MAX];

/// The head of a frame of a WebSocket.
fn head(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mut head = vec![first, if masked { 0xff } else { 0x7f }];
    head.extend(length.to_be_bytes());
    head.extend(masked.then_some([1, 2, 3, 4]).into_iter().flatten());
    head
}

#[test]
fn a_frame_of_a_websocket_takes_what_has_come_of_it() {
    for limits in limits() {
        for (length, first) in DECLARED
            .into_iter()
            .flat_map(|length| [0x81, 0x82, 0x01, 0x88, 0x89, 0x8a].map(|first| (length, first)))
        {
            let as_server = measured(async || {
                let limits = limits.clone();
                let (mut peer, session) =
                    WsPeer::client_of(|connector| connector.service(echo()).limits(limits)).await;
                peer.write(head(first, length, true)).await;
                settled().await;
                peer.write([b'x'; 100]).await;
                settled().await;
                session.abort();
                session.closed().await;
                settled().await;
            });
            assert!(as_server.bytes_max < AROUND, "{first:x}, {length}: {as_server:?}");
            let as_client = measured(async || {
                let limits = limits.clone();
                let (mut peer, session) = WsPeer::server_of(|connector| connector.limits(limits)).await;
                peer.write(head(first, length, false)).await;
                settled().await;
                peer.write([b'x'; 100]).await;
                settled().await;
                session.abort();
                session.closed().await;
                settled().await;
            });
            assert!(as_client.bytes_max < AROUND, "{first:x}, {length}: {as_client:?}");
        }
    }
}

/// What comes right behind the handshake is no exception.
#[test]
fn a_frame_behind_the_handshake_takes_no_more() {
    let taken = measured(async || {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let request = rpc_tests::websocket::request("localhost", "/", "");
        io.write_all(&[request.as_bytes(), &head(0x81, 1 << 46, true)].concat())
            .await
            .expect("there is room");
        let options = rpc::transport::websocket::WebSocketServer::new();
        let accepted =
            rpc::transport::websocket::WebSocket::accept(there, &options).await.expect("a handshake");
        let connector = Connector::over_websocket(accepted).limits(Limits::unlimited());
        let session = connector.connect().await.expect("it is there");
        settled().await;
        assert!(!session.is_closed());
        session.abort();
        session.closed().await;
        settled().await;
    });
    assert!(taken.bytes_max < AROUND, "{taken:?}");
}

/// A message that is as long as it says arrives whole, in the memory that it takes to collect it.
#[test]
fn a_long_frame_of_a_websocket_arrives() {
    const SIZE: usize = 3_000_000;
    let taken = measured(async || {
        let (mut peer, session) =
            WsPeer::client_of(|connector| connector.service(echo()).limits(Limits::unlimited())).await;
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{}"]}}"#, "x".repeat(SIZE));
        peer.text(&call).await;
        // The answer leaves in fragments.
        let mut answer = Vec::new();
        loop {
            let (first, part) = peer.next().await.expect("a frame");
            answer.extend(part);
            if first & 0x80 != 0 {
                break;
            }
        }
        assert_eq!(answer.len(), r#"{"jsonrpc":"2.0","id":1,"result":[""]}"#.len() + SIZE);
        session.abort();
        session.closed().await;
        settled().await;
    });
    // The peer's own copies: the text, the frame, what it has not taken apart yet, and the answer.
    assert!(taken.bytes_max < 20 * SIZE as u64, "{taken:?}");
}

/// The memory that a session takes whose peer has sent `start`, and a little more.
fn taken_by(framer: impl Framer, limits: &Limits, start: &[u8]) -> AllocationInfo {
    measured(async || {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let connector = Connector::over(there).framer(framer.clone()).limits(limits.clone()).service(echo());
        let session = connector.connect().await.expect("it is there");
        io.write_all(start).await.expect("there is room");
        settled().await;
        // One that has ended, since that is far over its limit, takes no more.
        drop(io.write_all(&[b' '; 100]).await);
        settled().await;
        session.abort();
        session.closed().await;
        settled().await;
    })
}

#[test]
fn a_frame_of_a_stream_takes_what_has_come_of_it() {
    for limits in limits() {
        for length in DECLARED {
            let short = u32::try_from(length).unwrap_or(u32::MAX);
            let (text, headers) = (format!("{length}:"), format!("Content-Length: {length}\r\n\r\n"));
            let taken = [
                taken_by(LengthPrefixedFramer::u32_be(), &limits, &short.to_be_bytes()),
                taken_by(LengthPrefixedFramer::u64_be(), &limits, &length.to_be_bytes()),
                taken_by(LengthPrefixedFramer::u64_le(), &limits, &length.to_le_bytes()),
                taken_by(NetstringFramer::new(), &limits, text.as_bytes()),
                taken_by(ContentLengthFramer::new(), &limits, headers.as_bytes()),
            ];
            for taken in taken {
                assert!(taken.bytes_max < AROUND, "{length}: {taken:?}");
            }
        }
    }
}

/// A codec may reserve up to its own limit, which is 8 MiB here; it is given back before anything
/// else is read.
#[test]
fn what_a_codec_reserves_for_a_length_is_not_kept() {
    let peers = 20;
    let taken = measured(async || {
        let mut open = Vec::new();
        for _ in 0..peers {
            let (mut io, there) = rpc::transport::memory(4 << 10);
            let framer = CodecFramer::new(LengthDelimitedCodec::new());
            let connector = Connector::over(there).framer(framer).limits(Limits::unlimited());
            let session = connector.connect().await.expect("it is there");
            io.write_all(&[0, 0x7f, 0xff, 0xff, b'{']).await.expect("there is room");
            settled().await;
            assert!(!session.is_closed());
            open.push((io, session));
        }
        for (_, session) in &open {
            session.abort();
            session.closed().await;
        }
        settled().await;
    });
    let one = 8 << 20;
    assert!(taken.bytes_max < one + AROUND + peers * 10_000, "{taken:?}");
}

/// Whatever is said.
struct Any;

impl Message for Any {
    fn read(_: &[u8]) -> Result<Self, FrameError> {
        Ok(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        BitcoinMessage { command: "any", payload: b"" }.write(out);
    }
}

#[test]
fn a_message_of_bitcoins_takes_what_has_come_of_it() {
    let taken = measured(async || {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let framer = BitcoinFramer::new(BitcoinFramer::REGTEST).payload_size(usize::MAX);
        let connector = Connector::over(there).framer(framer).limits(Limits::unlimited());
        let session: MessageSession<Any> =
            connector.connect_messages(async |_, _| {}).await.expect("it is there");
        let head = [&BitcoinFramer::REGTEST[..], b"tx\0\0\0\0\0\0\0\0\0\0", &[0xff; 4], &[0; 4]].concat();
        io.write_all(&head).await.expect("there is room");
        settled().await;
        assert!(!session.session().is_closed());
        session.session().abort();
        session.session().closed().await;
        settled().await;
    });
    assert!(taken.bytes_max < AROUND, "{taken:?}");
}

#[test]
fn a_body_of_http_takes_what_has_come_of_it() {
    for limits in limits() {
        for length in DECLARED {
            let taken = measured(async || {
                let server = Server::builder()
                    .service(echo())
                    .limits(limits.clone())
                    .build()
                    .expect("one service")
                    .start();
                let (mut io, there) = rpc::transport::memory(64 << 10);
                server.attach_http(there, &HttpOptions::new());
                let head = format!(
                    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{"
                );
                io.write_all(head.as_bytes()).await.expect("there is room");
                settled().await;
                drop(io);
                server.shutdown_within(std::time::Duration::from_secs(1)).await;
                settled().await;
            });
            assert!(taken.bytes_max < 2 * AROUND, "{length}: {taken:?}");
        }
    }
}

/// A server by hand, which declares the size of an answer.
#[test]
fn an_answer_of_http_takes_what_has_come_of_it() {
    for limits in limits() {
        for length in DECLARED {
            let run = || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                    let url = format!("http://{}", listener.local_addr().expect("it has one"));
                    let mut limits = limits.clone();
                    limits.call_timeout = Some(std::time::Duration::from_secs(10));
                    let client = rpc::HttpClient::builder(&url).expect("a URL").limits(limits).build().expect("nothing is wrong");
                    let call = client.call::<()>("m", ()).into_future();
                    let answer = async {
                        let (mut io, _) = listener.accept().await.expect("it comes");
                        let mut request = vec![0; 4096];
                        let read = io.read(&mut request).await.expect("a request");
                        assert!(read > 0, "it asks");
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{");
                        io.write_all(head.as_bytes()).await.expect("it is there");
                        // It hangs up within the answer.
                    };
                    let (failed, ()) = tokio::join!(call, answer);
                    failed.expect_err("it is not whole");
                });
            };
            run();
            let taken = allocation_counter::measure(run);
            assert!(taken.bytes_max < 2 * AROUND, "{length}: {taken:?}");
        }
    }
}
