//! The cases of the Autobahn test suite, its groups 1 to 10, as tables of our own, written from their
//! descriptions. (It has no group 8; 11 to 13 are about compression, which is declined.)
//!
//! The session under test carries raw messages and sends each back. Whether it sends texts or binary
//! messages is an option of its side (`WebSocketServer::binary`, `WebSocketClient::binary`) and not
//! the kind of what came: a case in which the peer sends binary messages is played with that option
//! set.
//!
//! Every case is played on both sides and in every [`Pace`].

mod closing;
mod fragments;
mod framing;
mod rules;
mod sizes;
mod texts;

use std::time::Duration;

use rpc::{
    CloseReason, Connector, Limits, Message, MessageSession,
    framing::FrameError,
    transport::websocket::{WebSocketClient, WebSocketServer},
};
use rpc_tests::{
    soon,
    websocket::{BINARY, CLOSE, Frame, PING, PONG, TEXT, WsPeer, frame},
};
use tokio::{io::DuplexStream, time::timeout};

/// The opcode of a text's first fragment, of one in the middle, and of the last.
const FIRST: u8 = 0x01;
const MIDDLE: u8 = 0x00;
const LAST: u8 = 0x80;

/// The largest payload of a frame of ours.
const FRAGMENT: usize = 65_536;

/// A case: what the peer sends, what must come back, and how the session ends.
#[derive(Debug)]
struct Case {
    /// Its number in the suite, and what it is about.
    name: String,
    /// Up to the frame that ends the session.
    sent: Vec<Frame>,
    /// What comes behind that frame, and is not read.
    behind: Vec<Frame>,
    brought: Vec<Brought>,
    end: End,
    /// Whether the peer's close is no part of the case: it comes when all that was sent is dealt with.
    closes_later: bool,
    /// The size of the pieces in [`Pace::Pieces`].
    piece: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Brought {
    Message(Vec<u8>),
    Pong(Vec<u8>),
}

#[derive(Debug, Clone)]
enum End {
    /// The peer closes with this payload, and gets the same back.
    Closed(Vec<u8>),
    /// The peer has broken a rule, and is told this code.
    Broken(u16),
}

/// A case in which the peer closes with 1000 when all was sent, if nothing else is said.
fn case(name: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        sent: Vec::new(),
        behind: Vec::new(),
        brought: Vec::new(),
        end: End::Closed(Vec::new()),
        closes_later: false,
        piece: None,
    }
}

impl Case {
    fn sends(mut self, first: u8, payload: impl AsRef<[u8]>) -> Self {
        self.sent.push((first, payload.as_ref().to_vec()));
        self
    }

    /// A ping, which is answered.
    fn pings(self, payload: impl AsRef<[u8]>) -> Self {
        self.sends(PING, &payload).brings(Brought::Pong(payload.as_ref().to_vec()))
    }

    /// A whole message, which comes back.
    fn echoed(self, first: u8, payload: impl AsRef<[u8]>) -> Self {
        self.sends(first, &payload).back(payload)
    }

    /// A message in fragments, which comes back.
    fn in_fragments<'a>(self, first: u8, fragments: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let fragments: Vec<_> = fragments.into_iter().collect();
        let last = fragments.len() - 1;
        let numbered = fragments.iter().enumerate();
        let all = numbered.fold(self, |case, (index, fragment)| {
            let fin = if index == last { LAST } else { MIDDLE };
            case.sends(fin | if index == 0 { first & 0x0f } else { MIDDLE }, fragment)
        });
        all.back(fragments.concat())
    }

    /// A message comes back.
    fn back(self, payload: impl AsRef<[u8]>) -> Self {
        self.brings(Brought::Message(payload.as_ref().to_vec()))
    }

    fn brings(mut self, brought: Brought) -> Self {
        self.brought.push(brought);
        self
    }

    /// What was sent last is a close.
    fn closes(self, payload: impl AsRef<[u8]>) -> Self {
        Self { end: End::Closed(payload.as_ref().to_vec()), ..self.sends(CLOSE, payload) }
    }

    /// What was sent last breaks a rule.
    fn broken(self, code: u16) -> Self {
        Self { end: End::Broken(code), ..self }
    }

    fn behind(mut self, first: u8, payload: impl AsRef<[u8]>) -> Self {
        self.behind.push((first, payload.as_ref().to_vec()));
        self
    }

    fn in_pieces_of(self, bytes: usize) -> Self {
        Self { piece: Some(bytes), ..self }
    }

    fn finished(self) -> Self {
        match self.end {
            End::Closed(_) if self.sent.last().is_none_or(|(first, _)| *first != CLOSE) => {
                Self { closes_later: true, ..self.closes(1000_u16.to_be_bytes()) }
            }
            _ => self,
        }
    }
}

/// How what is sent is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All of it in one write.
    Together,
    /// Frame by frame: what a frame brings has come before the next one is sent.
    Frames,
    /// Piece by piece, whatever the frames are. Each is read by itself. Short cases: byte by byte.
    Pieces,
}

/// Which side the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// A message, whatever it holds.
struct Bytes(Vec<u8>);

impl Message for Bytes {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        Ok(Self(frame.to_vec()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

type Echo = MessageSession<Bytes>;

/// A session that sends every message back, and its peer.
async fn echoing(side: Side, binary: bool) -> (WsPeer<DuplexStream>, Echo) {
    let (peer, connector): (_, Connector) = match (side, binary) {
        (Side::Server, false) => WsPeer::client_before(FRAGMENT, &WebSocketServer::new()).await,
        (Side::Server, true) => WsPeer::client_before(FRAGMENT, &WebSocketServer::new().binary()).await,
        (Side::Client, false) => WsPeer::server_before(&WebSocketClient::new()).await,
        (Side::Client, true) => WsPeer::server_before(&WebSocketClient::new().binary()).await,
    };
    let session = connector.limits(Limits::unlimited()).connect_messages(async |session: Echo, message| {
        session.send(&message).await.expect("there is room");
    });
    (peer, session.await.expect("it is connected"))
}

/// Plays all of them.
async fn play(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        let case = case.finished();
        for side in [Side::Server, Side::Client] {
            for pace in [Pace::Together, Pace::Frames, Pace::Pieces] {
                played(&case, side, pace).await;
            }
        }
    }
}

async fn played(case: &Case, side: Side, pace: Pace) {
    let at = format!("{}, to a {side:?}, {pace:?}", case.name);
    let frames: Vec<_> = case.sent.iter().chain(&case.behind).collect();
    let is_binary = frames.iter().any(|(first, _)| first & 0x0f == BINARY & 0x0f);
    let (mut peer, session) = echoing(side, is_binary).await;
    let frames = frames.into_iter().map(|(first, payload)| frame(*first, payload, side == Side::Server));
    let frames: Vec<Vec<u8>> = frames.collect();
    let ending = frames[..case.sent.len() - 1].iter().map(Vec::len).sum();
    let all = frames.concat();
    let piece = case.piece.unwrap_or(if all.len() <= 600 { 1 } else { 997 });
    // What comes at once: a close that comes later does so by itself.
    let (start, later) = all.split_at(if case.closes_later { ending } else { all.len() });
    let pieces: Vec<&[u8]> = match pace {
        Pace::Together => vec![start, later],
        Pace::Frames => frames.iter().map(Vec::as_slice).collect(),
        Pace::Pieces => start.chunks(piece).chain(later.chunks(piece)).collect(),
    };
    let (mut came, mut sent) = (Vec::new(), 0);
    for bytes in pieces {
        peer.offer(bytes).await;
        sent += bytes.len();
        // Time moves when the session has dealt with all of it.
        while let Ok(Some(frame)) = timeout(Duration::from_millis(1), peer.next()).await {
            came.push(frame);
        }
        let is_closed = came.last().is_some_and(|(first, _)| *first == CLOSE);
        assert!(
            sent > ending || !is_closed,
            "{at}: closed after {sent} bytes, and the frame begins at {ending}"
        );
        assert!(
            sent < ending + frames[case.sent.len() - 1].len() || is_closed,
            "{at}: not closed after {sent} bytes"
        );
    }
    while let Some(frame) = peer.next().await {
        came.push(frame);
    }
    drop(peer);
    let (first, told) = came.pop().unwrap_or_else(|| panic!("{at}: nothing came"));
    assert_eq!(first, CLOSE, "{at}");
    let is_exact = pace == Pace::Frames || pace == Pace::Pieces && piece == 1;
    check_brought(case, put_together(came, is_binary, &at), is_exact, &at);
    check_end(&case.end, &told, &soon(session.session().closed()).await, &at);
}

/// Messages and pongs, from frames.
fn put_together(frames: Vec<Frame>, is_binary: bool, at: &str) -> Vec<Brought> {
    let kind = if is_binary { BINARY } else { TEXT } & 0x0f;
    let (mut brought, mut message) = (Vec::new(), None);
    for (first, payload) in frames {
        match (first, &mut message) {
            (PONG, _) => brought.push(Brought::Pong(payload)),
            (FIRST | BINARY | TEXT | 0x02, None) if first & 0x0f == kind => message = Some(payload),
            (MIDDLE | LAST, Some(start)) => start.extend(payload),
            other => panic!("{at}: {other:x?}"),
        }
        if first & 0x88 == 0x80 {
            brought.push(Brought::Message(message.take().expect("it was begun")));
        }
    }
    assert_eq!(message, None, "{at}: half a message came");
    brought
}

/// Of the pings of one read only the latest has to be answered, and none beside a frame that ends
/// the session. Messages come back all of them, in order.
fn check_brought(case: &Case, brought: Vec<Brought>, is_exact: bool, at: &str) {
    let is_pong = |brought: &&Brought| matches!(brought, Brought::Pong(_));
    if is_exact {
        return assert!(brought == case.brought, "{at}: not what is expected");
    }
    let messages =
        |all: &[Brought]| all.iter().filter(|brought| !is_pong(brought)).cloned().collect::<Vec<_>>();
    assert!(messages(&brought) == messages(&case.brought), "{at}: not the messages that are expected");
    let mut pings = case.brought.iter().filter(is_pong);
    if case.closes_later {
        let latest = |all: &[Brought]| all.iter().rfind(is_pong).cloned();
        assert_eq!(latest(&brought), latest(&case.brought), "{at}");
    }
    assert!(brought.iter().filter(is_pong).all(|pong| pings.any(|ping| ping == pong)), "{at}: {brought:?}");
}

fn check_end(end: &End, told: &[u8], reason: &CloseReason, at: &str) {
    match (end, reason) {
        (End::Broken(code), CloseReason::Frame(FrameError::Invalid(_))) => {
            let (found, why) = told.split_first_chunk().unwrap_or_else(|| panic!("{at}: no code"));
            assert_eq!(u16::from_be_bytes(*found), *code, "{at}");
            assert!(std::str::from_utf8(why).is_ok_and(|why| !why.is_empty()), "{at}: {why:?}");
        }
        (End::Closed(payload), CloseReason::PeerClosed { code, reason }) => {
            assert_eq!(told, payload, "{at}");
            let (said, why) = payload.split_first_chunk().unwrap_or((&[0x03, 0xed], b""));
            assert_eq!((*code, reason.as_bytes()), (u16::from_be_bytes(*said), why), "{at}");
        }
        _ => panic!("{at}: {reason}"),
    }
}
