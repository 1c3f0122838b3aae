//! Frames that arrive in chunks, violate the protocol, or are put back.

use super::{
    super::{ControlFrame, FrameWriter},
    *,
};

/// Frames as a client sends them.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [9, 8, 7, 6];
    let header = FrameHeader { opcode, is_final, length: payload.len() as u64, mask: Some(mask) };
    let mut out = vec![0; header.size()];
    header.write(&mut out);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
    out
}

fn close(code: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let close = ClosePayload { code, reason: "bye".to_owned() };
    FrameWriter::new(Role::Client, false).control(&mut out, ControlFrame::Close(&close));
    out
}

/// Everything that a server's reader finds in a stream that arrives in chunks of `step` bytes.
fn found(stream: &[u8], step: usize) -> Vec<String> {
    let mut reader = FrameReader::new(Role::Server);
    let (mut unread, mut found) = (Vec::new(), Vec::new());
    for piece in stream.chunks(step) {
        unread.extend_from_slice(piece);
        while !unread.is_empty() {
            let read = match reader.next(&mut unread) {
                Ok(read) => read,
                Err(violation) => {
                    found.push(format!("{}", violation.code));
                    return found;
                }
            };
            let text = |range: Range<usize>| String::from_utf8_lossy(&unread[range]).into_owned();
            let (what, consumed) = match read {
                FrameEvent::Message { message, consumed } => (text(message), consumed),
                FrameEvent::Joined { message, consumed } => {
                    reader.taken();
                    (String::from_utf8_lossy(&message).into_owned(), consumed)
                }
                FrameEvent::Fragment { consumed } => ("…".to_owned(), consumed),
                FrameEvent::Ping { payload, consumed } => (format!("ping {}", text(payload)), consumed),
                FrameEvent::Pong { consumed } => ("pong".to_owned(), consumed),
                FrameEvent::Close { close, consumed } => (format!("close {}", close.code), consumed),
                FrameEvent::Partial => break,
            };
            found.push(what);
            unread.drain(..consumed);
        }
    }
    found
}

#[test]
fn messages_and_what_stands_between_their_fragments_come_out_however_they_arrive() {
    let stream = [
        frame(OpCode::Text, true, b"whole"),
        frame(OpCode::Text, false, b"be\xc3"),
        frame(OpCode::Ping, true, b"there?"),
        frame(OpCode::Continuation, false, b"\xa4"),
        frame(OpCode::Pong, true, b""),
        frame(OpCode::Continuation, true, b"end"),
        frame(OpCode::Binary, true, &[b'x'; 300]),
        close(1000),
    ]
    .concat();
    let long = "x".repeat(300);
    for step in 1..=stream.len() {
        let expected = ["whole", "…", "ping there?", "…", "pong", "beäend", &long, "close 1000"];
        assert_eq!(found(&stream, step), expected, "in pieces of {step}");
    }
}

#[test]
fn text_in_fragments_is_refused_with_the_fragment_that_breaks_it() {
    let begins = frame(OpCode::Text, false, b"\xc3");
    let cases: [(Vec<u8>, &[&str]); 4] = [
        (frame(OpCode::Continuation, false, b"("), &["…", "1007"]),
        (frame(OpCode::Continuation, true, b""), &["…", "1007"]),
        (frame(OpCode::Continuation, true, b"\xa4"), &["…", "ä"]),
        (frame(OpCode::Text, true, b"\xa4"), &["…", "1002"]),
    ];
    for (behind, expected) in cases {
        assert_eq!(found(&[&begins[..], &behind].concat(), 1000), expected);
    }
    // Binary messages need not be UTF-8.
    let binary = [frame(OpCode::Binary, false, b"\xc3"), frame(OpCode::Continuation, true, b"(")].concat();
    assert_eq!(found(&binary, 1000), ["…", "\u{fffd}("]);
}

#[test]
fn a_message_that_is_put_back_is_given_again_as_it_was() {
    let fragments =
        [frame(OpCode::Text, false, b"in "), frame(OpCode::Continuation, true, b"fragments")].concat();
    let mut unread = [frame(OpCode::Text, true, b"whole"), fragments].concat();
    let mut reader = FrameReader::new(Role::Server);
    let mut given = Vec::new();
    for _ in 0..3 {
        let Ok(FrameEvent::Message { message, consumed }) = reader.next(&mut unread) else {
            panic!("a message")
        };
        assert_eq!(&unread[message], b"whole");
        given.push(consumed);
        reader.put_back();
    }
    assert_eq!(given, [given[0]; 3]);
    unread.drain(..given[0]);
    // The last message was taken.
    reader.again = false;
    let Ok(FrameEvent::Fragment { consumed }) = reader.next(&mut unread) else { panic!("a fragment") };
    unread.drain(..consumed);
    for _ in 0..3 {
        let Ok(FrameEvent::Joined { message, consumed }) = reader.next(&mut unread) else {
            panic!("a message")
        };
        assert_eq!((&*message, consumed), (&b"in fragments"[..], unread.len()));
        reader.put_back();
    }
    reader.taken();
    assert_eq!((reader.kept(), reader.joined), (0, None), "nothing is kept of what was taken");
}

#[test]
fn what_is_over_the_limit_is_refused_by_its_header() {
    let whole = frame(OpCode::Text, true, &[b'x'; 101]);
    let first = frame(OpCode::Text, false, &[b'x'; 60]);
    let second = frame(OpCode::Continuation, true, &[b'x'; 41]);
    for (stream, header) in [(whole, 6), ([first.clone(), second].concat(), first.len() + 6)] {
        let mut reader = FrameReader::new(Role::Server);
        reader.set_limit(100);
        let mut unread = stream[..header].to_vec();
        let violation = loop {
            match reader.next(&mut unread) {
                Ok(FrameEvent::Fragment { consumed }) => drop(unread.drain(..consumed)),
                Ok(read) => panic!("{read:?}"),
                Err(violation) => break violation,
            }
        };
        assert_eq!(violation, Violation::too_large(101, 100));
        // The frames after it are still recognised.
        let behind = frame(OpCode::Pong, true, b"x");
        let mut unread = [&stream[header..], &behind].concat();
        unread.splice(..0, stream[header - 6..header].iter().copied());
        let mut consumed = Vec::new();
        while !unread.is_empty() {
            let read = reader.next(&mut unread[..]).expect("it is passed over");
            consumed.push(read.consumed());
            unread.drain(..read.consumed());
        }
        assert_eq!(consumed.last(), Some(&behind.len()));
    }
}

#[test]
fn behind_a_message_that_was_refused_frames_are_told_apart_up_to_the_close() {
    let begins = |payload: &[u8]| frame(OpCode::Text, false, payload);
    let refused = [
        (1007, begins(b"\xff")),
        (1008, [begins(b""), frame(OpCode::Continuation, false, b"").repeat(64)].concat()),
        (1009, begins(&[b'x'; 101])),
        (1009, [begins(&[b'x'; 60]), frame(OpCode::Continuation, false, &[b'x'; 41])].concat()),
    ];
    let behind = [
        frame(OpCode::Continuation, false, b"\xff"),
        frame(OpCode::Pong, true, b""),
        frame(OpCode::Continuation, true, &[b'x'; 101]),
        frame(OpCode::Text, true, b"\xff"),
        frame(OpCode::Binary, false, b"x"),
        close(1000),
    ]
    .concat();
    for (code, stream) in refused {
        let stream = [&stream[..], &behind].concat();
        for step in [1, 7, stream.len()] {
            let mut reader = FrameReader::new(Role::Server);
            reader.set_limit(100);
            let (mut unread, mut violations, mut closes) = (Vec::new(), Vec::new(), 0);
            for piece in stream.chunks(step) {
                unread.extend_from_slice(piece);
                while !unread.is_empty() {
                    let consumed = match reader.next(&mut unread) {
                        Ok(FrameEvent::Partial) => break,
                        Ok(read @ FrameEvent::Close { .. }) => {
                            closes += 1;
                            read.consumed()
                        }
                        Ok(read) => read.consumed(),
                        Err(violation) => {
                            assert!(violation.in_step, "{violation:?}");
                            violations.push(violation.code);
                            continue;
                        }
                    };
                    unread.drain(..consumed);
                }
            }
            assert_eq!((violations, closes, unread.len()), (vec![code], 1, 0), "in pieces of {step}");
            assert_eq!(reader.kept(), 0, "what was refused is not kept");
        }
    }
}

#[test]
fn a_message_has_so_many_empty_fragments_and_no_more() {
    let with = |empty: usize| {
        let stream = [
            frame(OpCode::Text, false, b"x"),
            frame(OpCode::Continuation, false, b"").repeat(empty),
            frame(OpCode::Continuation, true, b""),
        ];
        found(&stream.concat(), 1000).pop()
    };
    assert_eq!(with(64).as_deref(), Some("x"));
    assert_eq!(with(65).as_deref(), Some("1008"));
}

#[test]
fn control_frames_are_found_behind_what_has_to_wait() {
    let waiting = [
        frame(OpCode::Text, true, b"one"),
        frame(OpCode::Ping, true, b"there?"),
        frame(OpCode::Text, false, &[b'x'; 1000]),
    ]
    .concat();
    let stream = [waiting, close(1001), b"rest".to_vec()].concat();
    let close = stream.len() - b"rest".len();
    let mut reader = FrameReader::new(Role::Server);
    // The first message was returned and put back: it is unmasked.
    let mut unread = stream;
    reader.next(&mut unread).expect("a message");
    reader.put_back();
    let mut pings = 0;
    for come in 0..=unread.len() {
        match reader.look_ahead(&unread[..come]) {
            Some(EarlyControl::Ping(payload)) => {
                pings += 1;
                assert_eq!(payload, b"there?");
            }
            Some(EarlyControl::Close(found)) => assert!(found.code == 1001 && come >= close, "{come}"),
            None => assert!(come < close, "{come}"),
        }
    }
    assert_eq!(pings, 1);
    // Looking ahead consumes nothing, and examines nothing twice: the ping is answered.
    let searched = reader.searched;
    let Ok(FrameEvent::Message { consumed, .. }) = reader.next(&mut unread) else { panic!("a message") };
    assert_eq!(reader.searched, searched - consumed);
    reader.put_back();
    assert_eq!(reader.searched, searched);
    assert!(matches!(reader.next(&mut unread), Ok(FrameEvent::Message { .. })));
    unread.drain(..consumed);
    let Ok(FrameEvent::Pong { consumed }) = reader.next(&mut unread) else {
        panic!("a ping that was answered")
    };
    unread.drain(..consumed);
    // A ping after the examined part is not.
    assert!(matches!(reader.next(&mut unread), Ok(FrameEvent::Fragment { .. })));
    assert_eq!(reader.searched, 0);
    let Ok(FrameEvent::Ping { .. }) = reader.next(&mut frame(OpCode::Ping, true, b"")) else {
        panic!("a ping")
    };
}
