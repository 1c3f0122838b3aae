//! What real peers do that no specification asks for, each as it was seen on the wire.

use rpc::{
    Cancellation, Connector, Context, ErrorObject, Limits, Params, Protocol, Router, Server, Session,
    framing::{BitcoinFramer, BitcoinMessage, ContentLengthFramer, Framed, Framer, JsonFramer},
};
use rpc_tests::{Raw, echo, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["é"]}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":["é"]}"#;

/// A session that tells messages apart by `framer`, and the bytes of its peer.
async fn framed_by(framer: impl Framer) -> (DuplexStream, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let connector = Connector::over(there).framer(framer).limits(Limits::server()).service(echo());
    (here, connector.connect().await.expect("connected"))
}

/// The next bytes are these.
async fn expect(io: &mut DuplexStream, bytes: &str) {
    let mut read = vec![0; bytes.len()];
    soon(io.read_exact(&mut read)).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&read), bytes);
}

/// `vscode-jsonrpc` writes header and body apart; others write a `Content-Type`, or names in lower case; some readers know nothing but
/// `Content-Length: `, at the very beginning.
#[tokio::test(start_paused = true)]
async fn headers_of_language_servers_come_in_many_forms() {
    let (mut io, _session) = framed_by(ContentLengthFramer::new()).await;
    let size = ECHO.len();
    for header in [
        format!("Content-Length: {size}\r\n\r\n"),
        format!("content-length: {size}\r\n\r\n"),
        format!("Content-Length:{size}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n"),
        format!("Content-Type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length: {size}\r\n\r\n"),
    ] {
        io.write_all(header.as_bytes()).await.expect("the session reads");
        tokio::task::yield_now().await;
        io.write_all(ECHO.as_bytes()).await.expect("the session reads");
        expect(&mut io, &format!("Content-Length: {}\r\n\r\n{ANSWER}", ANSWER.len())).await;
    }
}

/// Open vSwitch and Core Lightning send one value behind another. The latter's client waits for a blank line behind the answer.
#[tokio::test(start_paused = true)]
async fn values_stand_behind_each_other_without_framing() {
    let (mut io, _session) = framed_by(JsonFramer::new().blank_lines()).await;
    io.write_all(format!("{ECHO}{ECHO}\n\n{ECHO} \r\n").as_bytes()).await.expect("the session reads");
    expect(&mut io, &format!("{ANSWER}\n\n").repeat(3)).await;
    let (first, second) = ECHO.split_at(ECHO.len() / 2);
    io.write_all(first.as_bytes()).await.expect("the session reads");
    tokio::task::yield_now().await;
    io.write_all(second.as_bytes()).await.expect("the session reads");
    expect(&mut io, &format!("{ANSWER}\n\n")).await;
}

#[tokio::test(start_paused = true)]
async fn lines_end_in_crlf_and_have_blanks_and_blank_lines_about_them() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    for line in [format!("{ECHO}\r"), format!("\n\r\n  \n{ECHO}"), format!("  \t{ECHO}  \t")] {
        assert_eq!(peer.ask(&line).await, ANSWER, "{line:?}");
    }
    // A line of Unicode's is none of ours.
    let separated = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"\u{2028}\u{85}\"]}";
    assert_eq!(peer.ask(separated).await, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[\"\u{2028}\u{85}\"]}");
    let sorted = r#"{"id":1,"jsonrpc":"2.0","method":"echo","params":["\/"]}"#;
    assert_eq!(peer.ask(sorted).await, r#"{"jsonrpc":"2.0","id":1,"result":["/"]}"#);
}

/// `echo '…' | nc`: dozens of requests, and the end of the stream behind the last one. All of them are answered.
#[tokio::test]
async fn one_connection_a_call_closed_on_the_way_there_as_soon_as_it_is_sent() {
    let server = Server::builder().service(echo()).protocol(Protocol::Detect);
    let server = server.bind("tcp://127.0.0.1:0").await.expect("free");
    let addr = server.endpoint().socket_addr().expect("an address");
    let running = server.start();
    for pipelined in [1, 50] {
        let mut peer = TcpStream::connect(addr).await.expect("the server listens");
        let requests = format!("{ECHO}\n").repeat(pipelined);
        peer.write_all(requests.as_bytes()).await.expect("the server reads");
        peer.shutdown().await.expect("the server reads");
        let mut answers = String::new();
        soon(peer.read_to_string(&mut answers)).await.expect("the server closes the other way");
        assert_eq!(answers, format!("{ANSWER}\n").repeat(pipelined));
    }
    // A notification, and away.
    let mut peer = TcpStream::connect(addr).await.expect("the server listens");
    peer.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[1]}\n").await.expect("it reads");
    peer.shutdown().await.expect("the server reads");
    let mut answers = String::new();
    soon(peer.read_to_string(&mut answers)).await.expect("the server closes the other way");
    assert_eq!(answers, "");
    soon(running.shutdown()).await;
}

/// What editors and agents send to see what there is, or for work that is done.
#[tokio::test(start_paused = true)]
async fn requests_that_only_others_know_are_answered_or_passed_over() {
    let (mut peer, session) = Raw::peer_with(|connector| {
        connector.limits(Limits::server()).service(echo()).cancellation(Cancellation::LSP)
    })
    .await;
    for unknown in ["server/discover", "rpc.discover", "rpc.", "initialize"] {
        let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{unknown}"}}"#)).await;
        assert!(answer.contains(r#""id":"a","error":{"code":-32601"#), "{answer}");
    }
    let errors = session.statistics().errors;
    for id in ["7", "\"gone\"", "null"] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{id}}}}}"#)).await;
    }
    assert_eq!(peer.ask(ECHO).await, ANSWER);
    assert_eq!(session.statistics().errors, errors, "none of it is held against the peer");
}

/// Open vSwitch's server calls `echo` when nothing else goes on, with ids of the kind that we use, and drops clients that do not answer.
#[tokio::test(start_paused = true)]
async fn a_server_calls_before_it_answers_and_when_idle() {
    let (mut server, session) = Raw::peer_with(|connector| connector.service(echo())).await;
    let call = session.call::<u64>("size", ());
    let served = async {
        let asked = server.line().await.expect("the call");
        assert_eq!(asked, r#"{"jsonrpc":"2.0","id":1,"method":"size"}"#);
        assert_eq!(server.ask(ECHO).await, ANSWER);
        server.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
        for _ in 0..3 {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            assert_eq!(
                server.ask(r#"{"jsonrpc":"2.0","id":"echo","method":"echo","params":[]}"#).await,
                r#"{"jsonrpc":"2.0","id":"echo","result":[]}"#
            );
        }
    };
    let (answered, ()) = tokio::join!(call.into_future(), served);
    assert_eq!(answered.expect("it is answered"), 7);
}

/// Go's and Electrum's clients pass exactly one argument, which may itself be a list.
#[tokio::test(start_paused = true)]
async fn one_argument_may_be_a_list() {
    let router = Router::new().method("sum", async |params: Params, _: Context| {
        let (numbers,): (Vec<i64>,) = params.parse()?;
        Ok::<_, ErrorObject>(numbers.iter().sum::<i64>())
    });
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"sum","params":[[1,2,3]]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":6}"#);
}

/// Nodes have commands that fill all twelve bytes, and payloads of nothing; other networks have other magics.
#[test]
fn messages_of_bitcoins_relatives_come_out_whole() {
    for magic in [BitcoinFramer::MAINNET, *b"\xfb\xc0\xb6\xdb", *b"\xbf\x0c\x6b\xbd"] {
        let mut framer = BitcoinFramer::new(magic);
        let mut bytes = Vec::new();
        let sent = [("cmpctblockxx", &b"abc"[..]), ("verack", b""), ("sendaddrv2", b"")];
        for (command, payload) in sent {
            let start = bytes.len();
            framer.begin(&mut bytes);
            BitcoinMessage { command, payload }.write(&mut bytes);
            framer.finish(&mut bytes, start).expect("it fits");
        }
        let mut unread = &bytes[..];
        for (command, payload) in sent {
            let Ok(Framed::Frame { frame, consumed }) = framer.next(unread) else { panic!("no frame") };
            let message = BitcoinMessage::parse(&unread[frame]).expect("a message");
            assert_eq!(message, BitcoinMessage { command, payload });
            unread = &unread[consumed..];
        }
        assert!(unread.is_empty());
    }
}
