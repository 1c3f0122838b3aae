//! Streams that arrive in pieces, and what a framer makes of them.

use rpc::framing::{FrameError, Framed, Framer};

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// A frame.
    Given(Vec<u8>),
    /// A frame that was dropped.
    Dropped(FrameError),
    /// Nothing more comes out. (What is said about it may depend on how much had arrived.)
    Broken,
}

/// The messages, each framed, in one buffer.
pub fn framed(framer: &impl Framer, messages: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        let start = out.len();
        framer.begin(&mut out);
        out.extend_from_slice(message.as_ref());
        framer.finish(&mut out, start).expect("it fits");
    }
    out
}

/// What comes out when the stream arrives in pieces, whose sizes take turns. Of what is not consumed, no more may be kept than a frame of
/// the limit and what the framing has `around` it.
pub fn taken_apart(
    mut framer: impl Framer,
    stream: &[u8],
    pieces: [usize; 2],
    limit: usize,
    around: usize,
) -> Vec<Out> {
    framer.set_limit(limit);
    let (mut unread, mut found) = (Vec::new(), Vec::new());
    let (mut rest, mut sizes) = (stream, pieces.into_iter().cycle());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        rest = others;
        unread.extend_from_slice(piece);
        while !unread.is_empty() {
            let consumed = match framer.next(&unread) {
                Ok(Framed::Frame { frame, consumed }) => {
                    assert!(frame.len() <= limit && frame.end <= consumed);
                    again(&mut framer, &unread, &Framed::Frame { frame: frame.clone(), consumed });
                    found.push(Out::Given(unread[frame].to_vec()));
                    consumed
                }
                Ok(Framed::Decoded { frame, consumed }) => {
                    assert!(frame.len() <= limit);
                    again(&mut framer, &unread, &Framed::Decoded { frame: frame.clone(), consumed });
                    found.push(Out::Given(frame.to_vec()));
                    // What was decoded before may be all of it.
                    unread.drain(..consumed);
                    continue;
                }
                Ok(Framed::Dropped { error, consumed }) => {
                    found.push(Out::Dropped(error));
                    consumed
                }
                Ok(Framed::Oversized { size, limit: named, consumed }) => {
                    // What no memory can hold is too large without a limit, too.
                    assert!(named == limit && (size > limit || limit == usize::MAX));
                    found.push(Out::Dropped(FrameError::TooLarge { size, limit }));
                    consumed
                }
                Ok(Framed::Incomplete { consumed: 0 }) => break,
                Ok(
                    Framed::Between { consumed }
                    | Framed::Incomplete { consumed }
                    | Framed::Dropping { consumed, .. },
                ) => consumed,
                Err(_) => {
                    found.push(Out::Broken);
                    return found;
                }
            };
            assert!(consumed > 0, "there is no end to it");
            unread.drain(..consumed);
        }
        let kept = unread.len();
        assert!(kept <= limit.saturating_add(around), "{kept} bytes are kept of what can become no frame");
    }
    found
}

/// A frame that has to wait is asked for again, and found again.
fn again(framer: &mut impl Framer, unread: &[u8], given: &Framed) {
    framer.put_back();
    assert_eq!(framer.next(unread).as_ref(), Ok(given));
}
