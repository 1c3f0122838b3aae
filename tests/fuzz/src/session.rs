//! Any lines to a session, whose reader takes shortcuts, and to a dispatcher, whose reader takes none.

use rpc::{CloseReason, Connector, Dispatcher, Protocol, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world;

/// The first byte says what is spoken; the rest is sent.
///
/// # Panics
///
/// Where the session does not send just what the dispatcher answers to each line, and does not say that these are no lines of
/// JSON-RPC.
pub fn a_session_answers_as_a_dispatcher_does(bytes: &[u8]) {
    let Some((choice, stream)) = bytes.split_first() else { return };
    let protocol = match choice % 4 {
        0 => Protocol::V1,
        1 => Protocol::V2,
        2 => Protocol::Loose,
        _ => Protocol::Detect,
    };
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    // What begins like a reply is one, broken or not: whoever waits for it judges it. Here nobody does.
    lines.retain(|line| !begins_like_a_reply(line));
    if protocol == Protocol::Detect {
        // A session decides once, a dispatcher each time.
        lines.truncate(1);
    }
    world::block_on(async {
        let mut expected = answers(&world::dispatcher(protocol), &lines).await;
        let Some(mut sent) = sent_by_session(protocol, &lines).await else { return };
        // Answers may overtake each other.
        sent.retain(|sent| match expected.iter().position(|expected| expected == sent) {
            Some(found) => {
                expected.swap_remove(found);
                false
            }
            None => true,
        });
        assert_eq!(shown(&sent), shown(&expected), "what one answered, and the other did not");
    });
}

fn begins_like_a_reply(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(br#"{"jsonrpc":"2.0","id":"#) else { return false };
    let result = br#","result":"#;
    let Some(id) = rest.windows(result.len()).position(|part| part == result) else { return false };
    match &rest[..id] {
        [b'"', inside @ .., b'"'] => !inside.contains(&b'"'),
        id => id.iter().all(u8::is_ascii_digit),
    }
}

async fn answers(dispatcher: &Dispatcher, lines: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for line in lines {
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            answers.extend(dispatcher.dispatch(line).await.map(Into::into));
        }
    }
    answers
}

/// What a session sends; `None` where it takes the beginning for another protocol or framing, and ends: a dispatcher has no peer
/// that could speak another.
async fn sent_by_session(protocol: Protocol, lines: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
    let (peer, io) = transport::memory(64 << 10);
    let connector = Connector::over(io).service(world::router()).service(world::calc());
    let session = connector.protocol(protocol).limits(world::limits()).connect().await.expect("a session");
    let (mut from, mut to) = tokio::io::split(peer);
    let mut received = Vec::new();
    let send = async {
        for line in lines {
            to.write_all(line).await?;
            to.write_all(b"\n").await?;
        }
        // Whatever was asked is still answered; then the session ends.
        to.shutdown().await
    };
    let (sent, read) = tokio::join!(send, from.read_to_end(&mut received));
    if let CloseReason::WrongProtocol { .. } = session.closed().await {
        return None;
    }
    sent.expect("the session reads");
    read.expect("the session ends well");
    let lines = received.split_inclusive(|&byte| byte == b'\n');
    Some(lines.map(|line| line.strip_suffix(b"\n").expect("whole lines").to_vec()).collect())
}

fn shown(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
}
