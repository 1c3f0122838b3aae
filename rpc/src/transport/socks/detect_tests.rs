//! In-memory services, some of which are proxies.

use std::cell::Cell;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::Instant,
};

use super::*;

/// Connects to a service that answers its nth connection as in `answers`, after reading the given
/// number of bytes.
async fn found(answers: [Option<(usize, &'static [u8])>; 3]) -> (Option<SocksVersion>, usize) {
    let connections = Cell::new(0);
    let version = version_spoken(|| {
        let answer = answers[connections.get()];
        connections.set(connections.get() + 1);
        async move {
            let (ours, theirs) = duplex(1024);
            tokio::spawn(play(theirs, answer));
            Ok(ours)
        }
    })
    .await;
    (version, connections.get())
}

async fn play(mut io: DuplexStream, answer: Option<(usize, &'static [u8])>) {
    let Some((length, bytes)) = answer else {
        // Never answers.
        return std::future::pending().await;
    };
    io.read_exact(&mut vec![0; length]).await.unwrap();
    io.write_all(bytes).await.unwrap();
}

const GREETING: usize = 3;
const CLOSES: Option<(usize, &[u8])> = Some((0, b""));

#[tokio::test(start_paused = true)]
async fn any_answer_to_the_greeting_is_version_5() {
    assert_eq!(found([Some((GREETING, &[5, 0])), None, None]).await, (Some(SocksVersion::V5), 1));
    assert_eq!(found([Some((GREETING, &[5, 0xFF])), None, None]).await, (Some(SocksVersion::V5), 1));
    // It demands credentials although none were offered.
    assert_eq!(found([Some((GREETING, &[5, 2])), None, None]).await, (Some(SocksVersion::V5), 1));
}

#[tokio::test(start_paused = true)]
async fn a_grant_and_a_refusal_are_version_4a_or_4() {
    for code in 90..=93 {
        let answer: &'static [u8] = vec![0, code, 0, 0, 0, 0, 0, 0].leak();
        assert_eq!(found([CLOSES, Some((9, answer)), None]).await, (Some(SocksVersion::V4a), 2));
        assert_eq!(found([CLOSES, CLOSES, Some((9, answer))]).await, (Some(SocksVersion::V4), 3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_speaks_something_else_is_no_proxy() {
    // Answers of an HTTP server, an SSH server, an echo, and zeros.
    assert_eq!(found([Some((GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n")); 3]).await, (None, 3));
    assert_eq!(found([Some((0, b"SSH-2.0-OpenSSH_9.2\r\n")); 3]).await, (None, 3));
    assert_eq!(
        found([Some((3, &[5, 1, 0])), Some((9, &[4, 1, 0, 80])), Some((9, &[4, 1, 0, 53]))]).await,
        (None, 3)
    );
    assert_eq!(found([Some((GREETING, &[0; 16])); 3]).await, (None, 3));
    assert_eq!(found([CLOSES; 3]).await, (None, 3));
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_is_given_up() {
    let start = Instant::now();
    assert_eq!(found([None; 3]).await, (None, 3));
    assert_eq!(start.elapsed(), DETECT_TIMEOUT * 3);
}

#[tokio::test]
async fn where_nobody_listens_only_one_version_is_tried() {
    let tried = Cell::new(0);
    let version = version_spoken(|| {
        tried.set(tried.get() + 1);
        async { Err::<DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) }
    });
    assert_eq!((version.await, tried.get()), (None, 1));
}
