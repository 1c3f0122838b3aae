//! A peer that closes its side right behind a message, without the newline that would end the line.

use rpc::{
    CallError, CloseReason, Connector, Endpoint, Limits, Listen, Message, MessageSession, Protocol, Server,
    framing::{
        ContentLengthFramer, FrameError, Framer, JsonFramer, LengthPrefixedFramer, NetstringFramer,
        NewlineFramer,
    },
};
use rpc_tests::{Authority, Gate, Raw, echo, frames::framed, soon, waiting};
use tokio::io::{AsyncRead, AsyncWrite};

const ASKED: &str = r#"{"jsonrpc":"2.0","id":1,"method":"later","params":[1]}"#;
const ANSWERED: &str = r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#;

/// What is answered to a peer that sends `bytes` and closes its side.
async fn answers_to(mut peer: Raw<impl AsyncRead + AsyncWrite + Unpin>, bytes: &[u8]) -> Vec<String> {
    peer.write(bytes).await;
    peer.finish().await;
    peer.rest().await
}

#[tokio::test(start_paused = true)]
async fn a_whole_message_is_handled() {
    let two = r#"{"jsonrpc":"2.0","id":2,"method":"echo"}"#;
    let batch = format!("[{two}]");
    for (sent, answers) in [
        (ASKED.to_owned(), vec![ANSWERED]),
        (format!(" {ASKED} \r"), vec![ANSWERED]),
        (format!("{ASKED}\n{two}"), vec![r#"{"jsonrpc":"2.0","id":2,"result":[]}"#, ANSWERED]),
        (batch, vec![r#"[{"jsonrpc":"2.0","id":2,"result":[]}]"#]),
    ] {
        for protocol in [Protocol::V2, Protocol::Loose, Protocol::Detect] {
            let (peer, session) = Raw::peer_with(|with| with.service(echo()).protocol(protocol)).await;
            assert_eq!(answers_to(peer, sent.as_bytes()).await, answers, "{protocol:?} {sent:?}");
            assert!(matches!(session.closed().await, CloseReason::Peer));
        }
    }
    let (peer, _session) = Raw::peer_with(|with| with.service(echo()).protocol(Protocol::V1)).await;
    let answers = answers_to(peer, br#"{"id":1,"method":"echo","params":[1]}"#).await;
    assert_eq!(answers.len(), 1);
    let reply: serde_json::Value = serde_json::from_str(&answers[0]).expect("a reply");
    assert_eq!(reply, serde_json::json!({ "id": 1, "result": [1], "error": null }));
}

/// Nor are numbers and texts, which may go on.
#[tokio::test(start_paused = true)]
async fn half_a_message_is_not_answered() {
    for end in 1..ASKED.len() {
        let (peer, session) = Raw::peer_of(echo(), Limits::server());
        let none: [&str; 0] = [];
        assert_eq!(answers_to(peer, &ASKED.as_bytes()[..end]).await, none, "{end}");
        assert!(matches!(session.closed().await, CloseReason::Peer));
    }
    for sent in ["1", "12", "\"a\"", "null", "[1,2", "{}x", "{} {}", "  ", "[{}"] {
        let (peer, session) = Raw::peer_of(echo(), Limits::server());
        let none: [&str; 0] = [];
        assert_eq!(answers_to(peer, sent.as_bytes()).await, none, "{sent}");
        assert!(matches!(session.closed().await, CloseReason::Peer));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_limit_is_refused_all_the_same() {
    let mut limits = Limits::server();
    limits.frame_size = ASKED.len() - 1;
    let (peer, _session) = Raw::peer_of(echo(), limits.clone());
    let answers = answers_to(peer, ASKED.as_bytes()).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].contains(r#""id":1,"error":{"code":-32600,"#), "{answers:?}");
    limits.frame_size = ASKED.len();
    let (peer, _session) = Raw::peer_of(echo(), limits);
    assert_eq!(answers_to(peer, ASKED.as_bytes()).await, [ANSWERED]);
}

/// Also where the end of the stream is known long before.
#[tokio::test(start_paused = true)]
async fn a_message_that_has_to_wait_is_not_lost() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, _session) = Raw::peer_of(waiting(&gate), limits);
    let wait = |id: u8| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#);
    peer.write(format!("{}\n{}", wait(1), wait(2))).await;
    peer.finish().await;
    gate.until(|gate| gate.entered() == 1).await;
    gate.open();
    for id in [1, 2] {
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[]}}"#)).await;
    }
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_reaches_its_call() {
    for (reply, is_whole) in
        [(r#"{"jsonrpc":"2.0","id":1,"result":7}"#, true), (r#"{"jsonrpc":"2.0","id":1,"resu"#, false)]
    {
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        let calling = tokio::spawn(async move { session.call::<u8>("seven", ()).await });
        peer.line().await.expect("the call");
        peer.write(reply).await;
        peer.finish().await;
        let outcome = calling.await.expect("no panic");
        match is_whole {
            true => assert_eq!(outcome.expect("a reply"), 7),
            false => assert!(
                matches!(outcome, Err(CallError::Closed { reason: CloseReason::Peer, .. })),
                "{outcome:?}"
            ),
        }
    }
}

/// The last byte of a frame is missing: of a value of JSON it closes it, elsewhere the frame says how
/// long it is, or what ends it.
async fn is_cut(framer: impl Framer) {
    let mut frame = framed(&framer, &[ASKED]);
    for whole in [true, false] {
        let (mut peer, session) = Raw::peer_with(|with| with.service(echo()).framer(framer.clone())).await;
        peer.write(&frame).await;
        peer.finish().await;
        let mut answers = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut peer.into_inner(), &mut answers).await.expect("in memory");
        assert_eq!(!answers.is_empty(), whole, "{framer:?}");
        session.closed().await;
        frame.pop();
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_another_framing_that_was_cut_is_not_handled() {
    is_cut(ContentLengthFramer::new()).await;
    is_cut(LengthPrefixedFramer::u32_be()).await;
    is_cut(NetstringFramer::new()).await;
    is_cut(JsonFramer::new().unseparated()).await;
}

/// When a message of the application's own is whole, only the application knows.
#[tokio::test(start_paused = true)]
async fn of_messages_that_are_no_json_rpc_a_line_has_to_end() {
    #[derive(Debug)]
    struct Text(String);
    impl Message for Text {
        fn read(frame: &[u8]) -> Result<Self, FrameError> {
            Ok(Self(String::from_utf8_lossy(frame).into_owned()))
        }
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(self.0.as_bytes());
        }
    }
    let (here, there) = rpc::transport::memory(1024);
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let take = move |_: MessageSession<Text>, Text(text): Text| {
        heard.send(text).expect("the test listens");
        async {}
    };
    let connecting = Connector::over(there).framer(NewlineFramer::new()).connect_messages(take);
    let session = connecting.await.expect("they are connected");
    let mut peer = Raw::over(here);
    peer.write("{}\n[]").await;
    peer.finish().await;
    session.session().closed().await;
    drop(session);
    assert_eq!(hears.recv().await.as_deref(), Some("{}"));
    assert_eq!(hears.recv().await, None);
}

#[tokio::test]
async fn so_it_is_over_every_stream() {
    let authority = Authority::new();
    let served = async |listen: Listen| {
        Server::builder().service(echo()).bind(listen).await.expect("it is free").start()
    };
    let tcp = served(Listen::at("tcp://127.0.0.1:0").expect("a URL")).await;
    assert_eq!(answers_to(Raw::connect(tcp.endpoint()).await, ASKED.as_bytes()).await, [ANSWERED]);

    let listen = Listen::at("tls://127.0.0.1:0").expect("a URL");
    let tls = served(listen.tls(authority.issue(&["localhost"]).server())).await;
    let peer = Raw::on(crate::tls::stranger(&authority, &tls).await);
    assert_eq!(answers_to(peer, ASKED.as_bytes()).await, [ANSWERED]);

    #[cfg(unix)]
    {
        let directory = rpc_tests::Scratch::new();
        let path = directory.path("socket");
        let unix = served(Listen::from(Endpoint::unix(&path))).await;
        let peer = Raw::on(tokio::net::UnixStream::connect(&path).await.expect("it listens"));
        assert_eq!(answers_to(peer, ASKED.as_bytes()).await, [ANSWERED]);
        soon(unix.shutdown()).await;
    }
}

/// A process that answers one call, without a newline, and ends.
#[cfg(unix)]
#[tokio::test]
async fn so_it_is_with_a_process() {
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", r#"read -r line; printf '%s' '{"jsonrpc":"2.0","id":1,"result":7}'"#]);
    let session = Connector::spawn(command).connect().await.expect("it starts");
    assert_eq!(soon(session.call::<u8>("seven", ())).await.expect("a reply"), 7);

    for name in ["serve", "connect"] {
        let mut command = crate::stdio::program(name);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let (output, mut input) = (child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
        tokio::io::AsyncWriteExt::write_all(&mut input, ASKED.as_bytes()).await.expect("it reads");
        drop(input);
        let mut peer = Raw::on(tokio::io::join(output, tokio::io::sink()));
        peer.expect(ANSWERED).await;
        peer.expect_end().await;
        assert!(soon(child.wait()).await.expect("it is known").success(), "{name}");
    }
}
