//! Servers of other protocols: what every client of this crate says of what they say.

use std::time::{Duration, Instant};

use rpc::{CallError, Connector, Endpoint};
use rpc_tests::{Issued, is_pending};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    endless, says,
    speech::{FRAMINGS, Framing, Layer, Speech, Tls},
};

/// What such a server says, whether it waits for the client first, and what has to be in the error:
/// the first bytes, and what they look like.
const STRANGERS: [(&str, &[u8], bool, [&str; 2]); 9] = [
    ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", false, ["`SSH-2.0-OpenSSH_9.6", "SSH"]),
    ("SMTP", b"220 mail.example.org ESMTP Postfix\r\n", false, ["`220 mail.example.org ESMTP", "SMTP"]),
    (
        "a web server",
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html>no</a>\n",
        true,
        ["400", "HTTP"],
    ),
    ("TLS", b"\x15\x03\x03\x00\x02\x02\x32", true, [r"`\x15\x03\x03\x00\x02\x022", "TLS"]),
    ("Redis", b"-ERR unknown command 'POST'\r\n", true, ["`-ERR unknown command", "Redis"]),
    ("IMAP", b"* OK [CAPABILITY IMAP4rev1] ready\r\n", false, ["`* OK [CAPABILITY", "IMAP"]),
    (
        "MySQL",
        b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00\x01\x02\x03",
        false,
        [r"`J\x00\x00\x00\n8.0.36", "binary data"],
    ),
    ("a prompt", b"login> ", false, ["`login> ", "text"]),
    ("a greeting", b"Welcome to the machine!\r\nHave fun.\r\n", false, ["`Welcome to the machine!", "text"]),
];

/// Serves one connection after another.
async fn stranger(bytes: &'static [u8], waits: bool) -> (Endpoint, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    let serving = tokio::spawn(async move {
        loop {
            let (mut io, _) = listener.accept().await.expect("somebody comes");
            tokio::spawn(async move {
                let mut space = [0; 64 << 10];
                if waits && io.read(&mut space).await.is_err() {
                    return;
                }
                // The client may have gone.
                drop(io.write_all(bytes).await);
                while io.read(&mut space).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    (format!("tcp://127.0.0.1:{port}").parse().expect("a URL"), serving)
}

fn clients() -> Vec<Speech> {
    let plain = [Layer::Http, Layer::Http2, Layer::WebSocket].into_iter();
    let plain = plain.chain(FRAMINGS.map(Layer::Messages)).map(|layer| Speech::new(layer, false));
    let secure = [Layer::Messages(Framing::Lines), Layer::Http, Layer::WebSocket];
    plain.chain(secure.map(|layer| Speech::new(layer, true))).collect()
}

/// Clients that see nothing strange in it.
fn is_at_home(client: Speech, stranger: &str) -> bool {
    match stranger {
        // It is their own protocol: the answer of a server that does not want to.
        "a web server" => matches!(client.layer, Layer::Http | Layer::WebSocket) && !client.tls,
        // A client of TLS is told what a server of TLS says.
        "TLS" => client.tls,
        _ => false,
    }
}

/// A frame of HTTP/2 has a header of nine bytes.
fn is_short(client: Speech, bytes: &[u8]) -> bool {
    client.layer == Layer::Http2 && bytes.len() < 9
}

#[tokio::test]
async fn every_client_says_what_has_come_and_what_it_looks_like() {
    let issued = Issued::by_itself(&["localhost"]);
    let tls = Tls { server: issued.server(), client: issued.pinned() };
    for (stranger_is, bytes, waits, facts) in STRANGERS {
        let (place, serving) = stranger(bytes, waits).await;
        for client in clients() {
            if is_short(client, bytes) {
                continue;
            }
            let what = format!("{client} at {stranger_is}");
            let begun = Instant::now();
            let called = tokio::time::timeout(Duration::from_secs(5), client.call(&place, &tls)).await;
            let told = called.unwrap_or_else(|_| panic!("{what}: it goes on")).expect_err(&what);
            assert!(begun.elapsed() < Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
            if is_at_home(client, stranger_is) {
                continue;
            }
            says(&told, &facts, &what);
            let advice = match facts[1] {
                "HTTP" if client.layer == Layer::Http2 => "`http2_only`",
                "HTTP" => "`http://`",
                "TLS" => match client.layer {
                    Layer::Messages(_) => "`tls://`",
                    Layer::Http | Layer::Http2 => "`https://`",
                    Layer::WebSocket => "`wss://`",
                },
                _ => "Look whether the address",
            };
            says(&told, &[advice], &what);
        }
        serving.abort();
    }
}

/// What came before the call was made is no less strange then.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_after_the_greeting_ends_at_once_too() {
    for (_, bytes, _, [found, protocol]) in STRANGERS {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let session = Connector::over(there).limits(endless()).connect().await.expect("connected");
        io.write_all(bytes).await.expect("it is there");
        rpc_tests::settled().await;
        let error = session.call::<()>("ping", ()).await.expect_err("there is no server of JSON-RPC");
        assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
        let found = if found == "400" { "`HTTP/1.1 400" } else { found };
        says(&rpc::chain(&error).to_string(), &[found, protocol], protocol);
    }
}

/// Byte by byte, and with the end of the stream behind it.
#[tokio::test(start_paused = true)]
async fn it_does_not_matter_how_it_arrives() {
    for (_, bytes, _, [found, protocol]) in STRANGERS {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        let session = Connector::over(there).limits(endless()).connect().await.expect("connected");
        let mut call = Box::pin(session.call::<()>("ping", ()).into_future());
        assert!(is_pending(&mut call));
        for byte in bytes {
            // It may have ended by now.
            if io.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(io);
        let told = rpc::chain(&call.await.expect_err("no reply")).to_string();
        let start = found.split_at(if found == "400" { 0 } else { 3 }).0;
        says(&told, &[start], protocol);
    }
}
