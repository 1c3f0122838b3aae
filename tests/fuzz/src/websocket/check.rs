//! What must hold of a session that is open, and of one that has ended.

use rpc::{CloseReason, framing::FrameError};
use tokio::time::Instant;

use super::{
    due::{Cause, Due},
    model::How,
    opened::CLOSE_TIMEOUT,
    run::Run,
    sent::Sent,
};

/// What was found right so far.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) sent: Sent,
    /// How many of the messages that were taken.
    taken: usize,
    /// Of the time when the session was looked at last, and read from: how many pings it had read, and how many pongs had come.
    pings: usize,
    pongs: usize,
}

/// Nothing ends the session, and nothing goes on in it.
pub(crate) fn open(run: &mut Run<'_>) {
    let session = run.session.session.session().clone();
    assert!(run.ended().is_none() && !session.is_closed(), "it has ended: {:?}", session.close_reason());
    taken(run, run.whole(None), !run.is_held);
    sent(run);
    assert_eq!(run.checked.sent.close, None);
    if !run.is_seen() {
        return;
    }
    let statistics = session.statistics();
    if !run.is_held {
        assert_eq!(
            statistics.bytes_received,
            run.written() as u64,
            "bytes were not read, or are not counted"
        );
        assert!(statistics.cost >= run.written() as f64, "{statistics:?}: {} bytes came", run.written());
    }
    if !run.peer.reads_since(Instant::now()) {
        return;
    }
    assert_eq!(run.peer.heard().rest, b"", "the beginning of a frame");
    let pings = run.pings();
    let (last, pings) = (pings.last().map(|ping| ping.payload.clone()), pings.len());
    let Checked { sent, pings: pings_before, pongs, .. } = &mut run.checked;
    assert_eq!(sent.messages, run.sent.len(), "not all that was sent has come");
    assert!(pings == *pings_before || sent.pongs > *pongs, "no pong for {} pings", pings - *pings_before);
    assert_eq!(sent.last_pong, last, "the last ping was not answered");
    (*pings_before, *pongs) = (pings, sent.pongs);
}

/// The session has ended as it had to, and when.
pub(crate) fn end(run: &mut Run<'_>) {
    let due = run.due.take().expect("an end is always due in the end");
    let (at, reason) = run.ended().unwrap_or_else(|| panic!("it goes on: {due:?}"));
    let is_cause = |cause: &&Cause| is_cause(run, cause, &reason);
    let cause = due.causes.iter().find(is_cause).unwrap_or_else(|| panic!("{reason:?} and not {due:?}"));
    let (from, by) = run.over(&due, cause);
    assert!(at >= due.at, "{reason:?} before it was due: {due:?}");
    if due.is_read && due.is_seen {
        let after = |at: Instant| at - due.at;
        assert!(from <= at && at <= by, "{reason:?} after {:?} and not {:?}", after(at), after(by));
    }
    taken(run, due.messages, !run.was_held);
    sent(run);
    let received = run.session.session.session().statistics().messages_received as usize;
    // One that is found to be no text has come, too.
    let broken = usize::from(matches!(cause, Cause::Peer(How::Broken { .. })));
    let count = run.checked.taken;
    assert!((count..=count + broken).contains(&received), "{received} messages came, and not {count}");
    told(run, &due, cause, at);
}

fn is_cause(run: &Run<'_>, cause: &Cause, reason: &CloseReason) -> bool {
    match (cause, reason) {
        (Cause::Local, CloseReason::Local) => true,
        (Cause::Lost, CloseReason::PeerClosed { code: 1006, reason }) => reason.is_empty(),
        (Cause::Late, CloseReason::FrameTimeout { after, .. }) => Some(*after) == run.setup.frame_timeout,
        (Cause::Peer(How::Closed(payload)), CloseReason::PeerClosed { code, reason }) => {
            match payload.split_first_chunk() {
                Some((said, why)) => *code == u16::from_be_bytes(*said) && reason.as_bytes() == why,
                None => *code == 1005 && reason.is_empty(),
            }
        }
        (Cause::Peer(How::Broken { codes, size, .. }), CloseReason::Frame(error)) => match error {
            FrameError::TooLarge { size: found, limit } => {
                *size == Some(*found as u64) && *limit == run.setup.limit && codes.contains(&1009)
            }
            FrameError::Invalid(text) => !text.is_empty() && codes.iter().any(|code| *code != 1009),
            _ => false,
        },
        _ => false,
    }
}

/// The handlers were given messages that were whole, each when it was: `most`, and all of these unless they had to wait.
fn taken(run: &mut Run<'_>, most: usize, are_all: bool) {
    let taken = run.session.taken.lock().expect("nothing panics");
    let whole = run.model.messages.iter().filter_map(|message| Some((message.end?, &message.payload)));
    for ((at, found), (end, payload)) in taken.iter().zip(whole).skip(run.checked.taken) {
        assert!(found == payload, "{} bytes came as {}", payload.len(), found.len());
        assert!(run.was_held || Some(*at) == run.came(end), "a message was taken later than it was whole");
    }
    let count = taken.len();
    assert!(
        count <= most && (count == most || !are_all),
        "{count} messages were taken, and {most} were whole"
    );
    run.checked.taken = count;
}

/// What the session has sent is well-formed, and what it was given to send.
fn sent(run: &mut Run<'_>) {
    let frames = std::mem::take(&mut run.peer.heard().frames);
    let mut sent = std::mem::take(&mut run.checked.sent);
    for frame in frames {
        sent.take(frame, run.setup, &run.sent, run.pings());
    }
    run.checked.sent = sent;
}

/// What the peer was told of the end.
fn told(run: &Run<'_>, due: &Due, cause: &Cause, ended: Instant) {
    let close = run.checked.sent.close.as_ref();
    if let Some((_, payload)) = close {
        let (code, reason) = match payload.split_first_chunk() {
            Some((code, reason)) => (u16::from_be_bytes(*code), reason),
            None => (1005, &[][..]),
        };
        assert!(std::str::from_utf8(reason).is_ok(), "a reason is a text: {reason:x?}");
        match cause {
            Cause::Peer(How::Closed(said)) => assert_eq!(payload, said, "a Close is given back"),
            Cause::Peer(How::Broken { codes, .. }) => {
                assert!(codes.contains(&code), "{code}, and not one of {codes:?}");
                assert_ne!(reason, b"", "it is not said what was wrong");
            }
            // Before it could be said, the peer may have given another reason.
            Cause::Local if !due.is_read || !due.is_seen => {}
            Cause::Local => assert_eq!((code, reason), (1000, &[][..])),
            Cause::Lost | Cause::Late => {}
        }
    }
    if !due.is_read {
        return;
    }
    let heard = run.peer.heard();
    assert!(heard.has_ended && heard.rest.is_empty(), "{} bytes of a frame", heard.rest.len());
    // A close that waits for a handler may be cut short by time, and by the end of the stream.
    let forced = [run.closed.map(|closed| closed + CLOSE_TIMEOUT), run.stream_ended];
    let is_forced = !due.is_seen && forced.into_iter().flatten().any(|forced| forced <= ended);
    if matches!(cause, Cause::Peer(_)) || matches!(cause, Cause::Local) && !is_forced {
        let (at, _) = close.unwrap_or_else(|| panic!("the peer was not told: {due:?}"));
        assert!(*at == due.at || !due.is_seen, "it was told later");
        assert_eq!(run.checked.sent.messages, run.sent.len(), "what was sent did not leave before the Close");
    }
}
