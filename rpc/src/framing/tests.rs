//! Helpers for the tests of framers: streams that arrive in chunks of every size.

use super::{FrameError, Framed, Framer};

/// Feeds `bytes` in chunks of `step`. Returns the frames, and the errors of dropped ones.
pub(super) fn feed_chunks(
    framer: impl Framer,
    bytes: &[u8],
    step: usize,
    limit: usize,
) -> (Vec<String>, Vec<FrameError>) {
    let (found, errors, end) = feed(framer, bytes, step, limit);
    assert_eq!(end, Ok(()));
    (found, errors)
}

/// Feeds `bytes` in chunks of `step`. Returns the error that ends the session.
pub(super) fn fatal_error(framer: impl Framer, bytes: &[u8], step: usize) -> FrameError {
    let (.., end) = feed(framer, bytes, step, usize::MAX);
    end.expect_err("the stream is broken")
}

/// The messages, each framed, in one buffer.
pub(super) fn frames(framer: &impl Framer, messages: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        let start = out.len();
        framer.begin(&mut out);
        out.extend_from_slice(message.as_bytes());
        framer.finish(&mut out, start).expect("it fits");
    }
    out
}

type Fed = (Vec<String>, Vec<FrameError>, Result<(), FrameError>);

fn feed(mut framer: impl Framer, bytes: &[u8], step: usize, limit: usize) -> Fed {
    framer.set_limit(limit);
    let (mut unread, mut found, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(step) {
        unread.extend_from_slice(piece);
        while !unread.is_empty() {
            let consumed = match framer.next(&unread) {
                Ok(Framed::Frame { frame, consumed }) => {
                    // A frame that was put back has to be returned again.
                    framer.put_back();
                    let again = Framed::Frame { frame: frame.clone(), consumed };
                    assert_eq!(framer.next(&unread), Ok(again));
                    found.push(String::from_utf8(unread[frame].to_vec()).expect("text"));
                    consumed
                }
                Ok(Framed::Decoded { frame, consumed }) => {
                    framer.put_back();
                    let again = Framed::Decoded { frame: frame.clone(), consumed };
                    assert_eq!(framer.next(&unread), Ok(again));
                    found.push(String::from_utf8(frame.to_vec()).expect("text"));
                    consumed
                }
                Ok(Framed::Dropped { error, consumed }) => {
                    errors.push(error);
                    consumed
                }
                Ok(Framed::Oversized { size, limit, consumed }) => {
                    errors.push(FrameError::TooLarge { size, limit });
                    consumed
                }
                Ok(Framed::Incomplete { consumed: 0 }) => break,
                Ok(
                    Framed::Between { consumed }
                    | Framed::Incomplete { consumed }
                    | Framed::Dropping { consumed, .. },
                ) => consumed,
                Err(error) => return (found, errors, Err(error)),
            };
            unread.drain(..consumed);
        }
    }
    (found, errors, Ok(()))
}
