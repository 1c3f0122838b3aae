use super::*;

const SIZES: [usize; 14] =
    [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 65_600, 131_071, 131_072, 131_073, 200_003, 1_000_001];

fn message(size: usize) -> Vec<u8> {
    (0..size).map(|at| b' ' + (at * 7 + at / 251) as u8 % 90).collect()
}

#[test]
fn what_is_written_is_read_in_frames_of_at_most_64_kib() {
    for role in [Role::Client, Role::Server] {
        let writer = FrameWriter::new(role, false);
        let mut out = b"before".to_vec();
        for size in SIZES {
            let start = out.len();
            writer.begin(&mut out);
            out.extend(message(size));
            writer.finish(&mut out, start);
        }
        let mut unread = &mut out[b"before".len()..];
        let mut reader = FrameReader::new(role.other());
        for size in SIZES {
            let mut frames = 0;
            let read = loop {
                frames += 1;
                let (header, _) = FrameHeader::parse(unread, role).unwrap().unwrap();
                assert!(header.length <= 65_536);
                match reader.next(unread).unwrap() {
                    FrameEvent::Fragment { consumed } => unread = &mut unread[consumed..],
                    FrameEvent::Message { message, consumed } => {
                        let message = unread[message].to_vec();
                        unread = &mut unread[consumed..];
                        break message;
                    }
                    FrameEvent::Joined { message, consumed } => {
                        unread = &mut unread[consumed..];
                        break message.to_vec();
                    }
                    other => panic!("{other:?}"),
                }
            };
            assert!(read == message(size), "{size} bytes");
            assert_eq!(frames, size.div_ceil(65_536).max(1), "{size} bytes");
        }
        assert!(unread.is_empty());
    }
}

#[test]
fn the_end_of_a_frame_is_known_wherever_a_write_ends() {
    for role in [Role::Client, Role::Server] {
        let writer = FrameWriter::new(role, true);
        let (mut out, mut ends) = (Vec::new(), vec![0]);
        for size in [0, 1, 140_000, 3] {
            let start = out.len();
            writer.begin(&mut out);
            out.extend(message(size));
            writer.finish(&mut out, start);
            let mut reader = FrameReader::new(role.other());
            let mut at = start;
            while at < out.len() {
                at += match reader.next(&mut out[at..].to_vec()) {
                    Ok(
                        FrameEvent::Fragment { consumed }
                        | FrameEvent::Joined { consumed, .. }
                        | FrameEvent::Message { consumed, .. },
                    ) => consumed,
                    other => panic!("{other:?}"),
                };
                ends.push(at);
            }
        }
        let (mut rest, mut from) = (0, 0);
        for written in (0..=out.len()).step_by(97) {
            rest = writer.rest_of_frame(&out[from..], rest, written - from);
            from = written;
            let end = ends.iter().find(|end| **end >= written).expect("an end");
            assert_eq!(rest, end - written, "{written}");
        }
    }
}
