//! Every framer.

use rpc::framing::{
    BitcoinFramer, ContentLengthFramer, FrameError, Framed, Framer, JsonFramer, LengthPrefixedFramer,
    NetstringFramer, NewlineFramer,
};
use rpc_tests::frames::taken_apart;

/// The first bytes say where to cut, what the limit is and which framer it is; the rest is the stream.
///
/// # Panics
///
/// Where the frames depend on the cuts, are not the lines of a stream of lines, or do not keep to the limit.
pub fn frames_do_not_depend_on_the_cuts(bytes: &[u8]) {
    let Some((&[limit_low, limit_high, first, second], stream)) = bytes.split_first_chunk() else { return };
    // A limit among the lengths of the lines that a fuzzer writes; the largest stands for none.
    let limit = match u16::from_le_bytes([limit_low, limit_high % 4]) {
        1023 => usize::MAX,
        limit => usize::from(limit),
    };
    let pieces = [first, second].map(|size| usize::from(size).max(1));
    match limit_high / 4 {
        1 => same(&ContentLengthFramer::new(), 4096, stream, pieces, limit),
        2 => same(&NetstringFramer::new(), 22, stream, pieces, limit),
        3 => same(&JsonFramer::new(), 0, stream, pieces, limit),
        4 => same(&LengthPrefixedFramer::u8(), 1, stream, pieces, limit),
        5 => same(&LengthPrefixedFramer::u16_le(), 2, stream, pieces, limit),
        6 => same(&LengthPrefixedFramer::u32_be(), 4, stream, pieces, limit),
        7 => same(&LengthPrefixedFramer::u64_le(), 8, stream, pieces, limit),
        8 => {
            // Its limits are its own.
            let framer = BitcoinFramer::new(BitcoinFramer::MAINNET).payload_size(limit).block_size(limit);
            same(&framer, 24, stream, pieces, limit.saturating_add(24));
        }
        _ => are_lines(stream, pieces, limit),
    }
}

/// What comes out of the stream does not depend on the cuts.
fn same(framer: &impl Framer, around: usize, stream: &[u8], pieces: [usize; 2], limit: usize) {
    let whole = taken_apart(framer.clone(), stream, [stream.len().max(1); 2], limit, around);
    let cut = taken_apart(framer.clone(), stream, pieces, limit, around);
    assert_eq!(cut, whole, "{framer:?} in pieces of {pieces:?}, with a limit of {limit}");
}

fn are_lines(stream: &[u8], pieces: [usize; 2], limit: usize) {
    let expected = lines(stream, limit);
    let whole = frames(stream, [stream.len().max(1); 2], limit);
    assert_eq!(whole, expected, "in one piece, with a limit of {limit}");
    let cut = frames(stream, pieces, limit);
    assert_eq!(cut, expected, "in pieces of {pieces:?}, with a limit of {limit}");
}

/// A line that was given out, or the size of one that was dropped.
#[derive(Debug, PartialEq)]
enum Line {
    Given(Vec<u8>),
    Dropped(usize),
}

/// What is due, by the rule.
fn lines(stream: &[u8], limit: usize) -> Vec<Line> {
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    // What stands behind the last newline is no line yet.
    lines.pop();
    let mut due = Vec::new();
    for line in lines {
        match line.trim_ascii_end() {
            _ if line.len() > limit => due.push(Line::Dropped(line.len())),
            b"" => {}
            line => due.push(Line::Given(line.to_vec())),
        }
    }
    due
}

/// What comes out when the stream arrives in pieces, whose sizes take turns.
fn frames(stream: &[u8], pieces: [usize; 2], limit: usize) -> Vec<Line> {
    let mut framer = NewlineFramer::new();
    framer.set_limit(limit);
    let (mut unread, mut found) = (Vec::new(), Vec::new());
    let (mut rest, mut sizes) = (stream, pieces.into_iter().cycle());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = others;
        unread.extend_from_slice(piece);
        loop {
            let framed = framer.next(&unread).expect("a stream of lines is never broken");
            let consumed = match framed {
                // One that has to wait is asked for again, and found again.
                Framed::Frame { frame, consumed } => {
                    let again = Framed::Frame { frame: frame.clone(), consumed };
                    assert_eq!(framer.next(&unread), Ok(again));
                    assert!(frame.len() <= limit && frame.end <= consumed);
                    found.push(Line::Given(unread[frame].to_vec()));
                    consumed
                }
                Framed::Dropped { error: FrameError::TooLarge { size, limit: named }, consumed } => {
                    assert!(named == limit && size > limit);
                    found.push(Line::Dropped(size));
                    consumed
                }
                Framed::Dropped { error, .. } => panic!("{error}"),
                Framed::Oversized { .. } => panic!("a line does not say how long it is"),
                Framed::Decoded { .. } => panic!("a line stands in the stream as it is"),
                Framed::Incomplete { consumed: 0 } => break,
                Framed::Between { consumed }
                | Framed::Incomplete { consumed }
                | Framed::Dropping { consumed, .. } => consumed,
            };
            assert!(consumed > 0, "there is no end to it");
            unread.drain(..consumed);
            if unread.is_empty() {
                break;
            }
        }
        assert!(unread.len() <= limit, "what cannot become a frame any more is kept");
    }
    found
}
