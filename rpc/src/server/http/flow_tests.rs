use super::*;

/// DATA of 3 bytes, two settings, PING, and the end of a header list without a payload.
const FRAMES: &[u8] = b"\0\0\x03\0\x01\0\0\0\x05abc\
    \0\0\x0c\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\0\xff\xff\
    \0\0\x08\x06\0\0\0\0\0pingpong\
    \0\0\0\x09\x04\x80\0\0\x07";

#[test]
fn frames_are_seen_wherever_they_are_cut() {
    for size in 1..=FRAMES.len() {
        let (mut frames, mut seen) = (FrameScanner::default(), Vec::new());
        for piece in FRAMES.chunks(size) {
            frames.pass(piece, |head, what| {
                if what != FramePart::Payload {
                    seen.push((head.kind, head.length, head.stream, what));
                }
            });
        }
        assert_eq!(
            seen,
            [
                (DATA, 3, 5, FramePart::FrameHead),
                (DATA, 3, 5, FramePart::End),
                (SETTINGS, 12, 0, FramePart::FrameHead),
                (SETTINGS, 12, 0, FramePart::Unit([0, 3, 0, 0, 0, 0x64])),
                (SETTINGS, 12, 0, FramePart::Unit([0, 4, 0, 0, 0xff, 0xff])),
                (SETTINGS, 12, 0, FramePart::End),
                (6, 8, 0, FramePart::FrameHead),
                (6, 8, 0, FramePart::End),
                (CONTINUATION, 0, 7, FramePart::FrameHead),
                (CONTINUATION, 0, 7, FramePart::End),
            ],
            "{size}"
        );
    }
}
