//! The same bytes, in two cuttings, to a session and to the library.

use std::time::Duration;

use rpc::CloseReason;
use tokio::time::sleep;

use super::{
    difference,
    library::{Said, library, next},
};
use crate::websocket::{
    frame::{self, CLOSE, CONTROL, Head, PONG},
    opened::open,
    peer::Peer,
    schedule::{CUTS, MOMENT, Setup},
};

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Judged {
    messages: Vec<Vec<u8>>,
    end: End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// The stream ended, and nothing was wrong with it.
    Ended,
    /// The peer closed, and its Close was given back: with this payload.
    Closed(Vec<u8>),
    /// The peer broke a rule, for which it is told this code.
    Broken(u16),
}

/// Longer than a session waits for its peer.
const PATIENCE: Duration = Duration::from_secs(3);

/// # Panics
///
/// Where the two come to different judgements, but for what is [known](difference).
pub(super) async fn agree(setup: &Setup, stream: &[u8], cuts: [usize; 2]) {
    let theirs = |stream: &[u8]| by_library(setup, stream, cuts[1]);
    let (ours, pongs) = by_session(setup, stream, cuts[0]).await;
    let (mut expected, pings) = match difference::first(stream, setup.is_server, setup.limit) {
        // It counts where the library has not ended before.
        Some((at, ends)) => match theirs(&stream[..at]) {
            (Judged { messages, end: End::Ended }, pings) => {
                let each = |end| Judged { messages: messages.clone(), end };
                (ends.into_iter().map(each).collect(), pings)
            }
            (judged, pings) => (vec![judged], pings),
        },
        None => {
            let (judged, pings) = theirs(stream);
            (vec![judged], pings)
        }
    };
    // The library judges a frame when it is whole. What is wrong with its head may be seen before.
    if let Some(whole) = completed(stream)
        && let (judged @ Judged { end: End::Broken(1002 | 1009), .. }, _) = theirs(&whole)
    {
        expected.push(judged);
    }
    assert!(expected.contains(&ours), "{ours:?}, and not {expected:?}, with {setup:?}");
    let mut pings = pings.into_iter();
    assert!(pongs.iter().all(|pong| pings.any(|ping| ping == *pong)), "a pong that was not asked for");
}

async fn by_session(setup: &Setup, stream: &[u8], piece: usize) -> (Judged, Vec<Vec<u8>>) {
    let (mut peer, session) = Peer::of(open(setup, &[]).await);
    for mut piece in pieces(stream, piece) {
        while !piece.is_empty() {
            let sent = peer.write(piece).await;
            if sent == 0 {
                break;
            }
            piece = &piece[sent..];
        }
        tokio::task::yield_now().await;
    }
    sleep(MOMENT).await;
    peer.end().await;
    sleep(PATIENCE).await;
    let (_, reason) = peer.session_ended().expect("it has ended");
    let heard = peer.heard();
    let of = |opcode| heard.frames.iter().filter(move |frame| frame.head.opcode() == opcode);
    let close = of(CLOSE).next().map(|frame| frame.payload.clone());
    let end = match (reason, close) {
        (CloseReason::PeerClosed { code: 1006, .. }, _) => End::Ended,
        (CloseReason::PeerClosed { .. }, Some(close)) => End::Closed(close),
        (CloseReason::Frame(_), Some(close)) => {
            End::Broken(close.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))
        }
        (reason, close) => panic!("{reason:?}, and the peer is told {close:?}"),
    };
    let pongs = of(PONG).map(|frame| frame.payload.clone()).collect();
    let messages = session.taken.lock().expect("no panic").drain(..).map(|(_, message)| message).collect();
    (Judged { messages, end }, pongs)
}

/// Gives the pings, too.
fn by_library(setup: &Setup, stream: &[u8], piece: usize) -> (Judged, Vec<Vec<u8>>) {
    // The limit on a frame is that of control frames, too, and keeps what a frame declares from the allocator.
    let mut library = library(setup.is_server, Some(setup.limit), setup.limit.max(CONTROL as usize));
    let wire = library.get_mut();
    wire.incoming = pieces(stream, piece).map(<[u8]>::to_vec).collect();
    wire.has_ended = true;
    let (mut messages, mut pings) = (Vec::new(), Vec::new());
    let end = loop {
        match next(&mut library).expect("there is an end") {
            Said::Message(message) => messages.push(message),
            Said::Ping(ping) => pings.push(ping),
            Said::Pong(_) => {}
            Said::Ended => break End::Ended,
            Said::Broken(code) => break End::Broken(code),
            Said::Closed(_) => {
                drop(library.flush());
                let written = &library.get_ref().written;
                break End::Closed(last_payload(written));
            }
        }
    };
    (Judged { messages, end }, pings)
}

pub(super) fn pieces(stream: &[u8], piece: usize) -> impl Iterator<Item = &[u8]> {
    let (first, rest) = stream.split_at(piece.saturating_mul(CUTS).min(stream.len()));
    first.chunks(piece.max(1)).chain((!rest.is_empty()).then_some(rest))
}

/// The payload of the last frame.
fn last_payload(mut frames: &[u8]) -> Vec<u8> {
    let mut last = Vec::new();
    while let Some((_, payload, size)) = frame::read(frames) {
        (last, frames) = (payload, &frames[size..]);
    }
    last
}

/// The stream with something in the place of what is missing of its last frame, of which there is the head.
fn completed(stream: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    while let Some((_, _, size)) = frame::read(&stream[at..]) {
        at += size;
    }
    // What declares more than this is judged by its head.
    const MOST: usize = 2_000_000;
    let head = Head::read(&stream[at..])?;
    let end = usize::try_from(head.length).ok()?.min(MOST) + at + head.size();
    let mut whole = stream.to_vec();
    whole.resize(end, 0);
    Some(whole)
}
