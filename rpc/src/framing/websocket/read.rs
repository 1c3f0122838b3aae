//! From bytes to messages: sections 5.4 to 5.6.

use std::ops::Range;

use bytes::Bytes;

use super::{
    Close, Header, OpCode, Role, Violation,
    header::{CONTROL_PAYLOAD, begins_control},
    mask,
};

/// A message may have so many fragments without payload. They cost their sender next to nothing, and
/// [`Limits::frame_size`](crate::Limits::frame_size) does not bound them.
const EMPTY_FRAGMENTS: u32 = 64;

/// What stands at the front of the bytes that were read. `consumed` of them are done with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A message in one frame, as a range of the bytes.
    Message { message: Range<usize>, consumed: usize },
    /// A message that came in fragments, with the last of them.
    Joined { message: Bytes, consumed: usize },
    /// A fragment of a message that is not at its end.
    Fragment { consumed: usize },
    /// A ping, which is answered with its payload, a range of the bytes.
    Ping { payload: Range<usize>, consumed: usize },
    /// A pong: the peer is there.
    Pong { consumed: usize },
    /// The peer closes. What follows is not to be read.
    Close { close: Close, consumed: usize },
    /// A frame that is not whole.
    Partial,
}

/// Takes frames apart, on one side of a connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    /// The side that sends.
    from: Role,
    /// How many bytes a message may have.
    limit: usize,
    /// What has come of a message in fragments.
    fragments: Option<Box<Fragments>>,
    /// The message that was joined last, and how many bytes were done with, until it was taken.
    joined: Option<Box<(Bytes, usize)>>,
    /// The message that was given last is asked for again.
    again: bool,
    /// Whether the message that was given last is a text that was not checked.
    is_text: bool,
    /// In so many bytes at the front there is no close frame, but whole frames.
    searched: usize,
}

/// The beginning of a message in fragments.
#[derive(Debug)]
struct Fragments {
    bytes: Vec<u8>,
    is_text: bool,
    /// So many of the bytes are UTF-8. Behind them stands less than a character.
    checked: usize,
    /// How many fragments there were without payload, before the last.
    empty: u32,
}

impl FrameReader {
    /// On the side of `role`.
    pub(crate) const fn new(role: Role) -> Self {
        Self {
            from: role.other(),
            limit: usize::MAX,
            fragments: None,
            joined: None,
            again: false,
            is_text: false,
            searched: 0,
        }
    }

    /// How many bytes a message may have.
    pub(crate) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Looks at the front of the bytes that were read, and not consumed yet. What is given is without its mask, in place.
    #[inline]
    pub(crate) fn next(&mut self, unread: &mut [u8]) -> Result<Read, Violation> {
        self.searched = 0;
        let again = std::mem::take(&mut self.again);
        if let Some(joined) = self.joined.take()
            && again
        {
            let (message, consumed) = (*joined).clone();
            self.joined = Some(joined);
            return Ok(Read::Joined { message, consumed });
        }
        let Some((header, start)) = Header::parse(unread, self.from)? else { return Ok(Read::Partial) };
        if header.opcode.is_control() {
            return self.read_control(header, start, unread);
        }
        // By its header, before it has come.
        self.judge(header)?;
        let Some(end) = end(header, start, unread) else { return Ok(Read::Partial) };
        if let Some(mask) = header.mask
            && !again
        {
            mask::apply(&mut unread[start..end], mask);
        }
        if header.is_final && self.fragments.is_none() {
            self.is_text = header.opcode == OpCode::Text;
            return Ok(Read::Message { message: start..end, consumed: end });
        }
        self.join(header, &unread[start..end], end)
    }

    /// The message that was given last has to wait: the next call gives it again.
    pub(crate) const fn put_back(&mut self) {
        self.again = true;
    }

    /// The message that was given last has been dealt with.
    pub(crate) fn taken(&mut self) {
        self.joined = None;
    }

    /// Whether the message that was given last says that it is UTF-8, and was not checked. The reader leaves that to the application's, which
    /// needs the text.
    pub(crate) const fn is_unchecked_text(&self) -> bool {
        self.is_text
    }

    /// Whether a message is under way, of which the first of the `unread` bytes are a part where they have come.
    pub(crate) fn is_within_message(&self, unread: &[u8]) -> bool {
        self.fragments.is_some() || unread.first().is_some_and(|&first| !begins_control(first))
    }

    /// How many bytes are kept here of a message that is not whole.
    pub(crate) fn kept(&self) -> usize {
        self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len())
    }

    /// The close frame among bytes that are not taken yet, if they hold one that is whole.
    pub(crate) fn find_close(&mut self, unread: &[u8]) -> Option<Close> {
        while let Ok(Some((header, start))) = Header::parse(unread.get(self.searched..)?, self.from) {
            let start = self.searched + start;
            let end = end(header, start, unread)?;
            if header.opcode == OpCode::Close {
                return Close::parse(unmasked(header, &unread[start..end]).as_ref()).ok();
            }
            self.searched = end;
        }
        None
    }

    /// Whether a frame of a message may stand here, and as long as it is.
    fn judge(&self, header: Header) -> Result<(), Violation> {
        let before = match (&self.fragments, header.opcode) {
            (None, OpCode::Continuation) => {
                return Err(Violation::protocol("a frame continues a message, and none has begun"));
            }
            (None, _) => 0,
            (Some(fragments), OpCode::Continuation) => fragments.bytes.len(),
            (Some(_), _) => return Err(Violation::protocol("a message begins within another")),
        };
        let size = header.length.saturating_add(before as u64);
        if size > self.limit as u64 {
            return Err(Violation::too_large(size, self.limit));
        }
        Ok(())
    }

    #[cold]
    fn join(&mut self, header: Header, payload: &[u8], consumed: usize) -> Result<Read, Violation> {
        let fragments = self.fragments.get_or_insert_with(|| {
            let is_text = header.opcode == OpCode::Text;
            Box::new(Fragments { bytes: Vec::new(), is_text, checked: 0, empty: 0 })
        });
        fragments.add(payload)?;
        if !header.is_final {
            fragments.count(payload)?;
            return Ok(Read::Fragment { consumed });
        }
        fragments.end()?;
        self.is_text = false;
        let message = Bytes::from(self.fragments.take().map(|fragments| fragments.bytes).unwrap_or_default());
        self.joined = Some(Box::new((message.clone(), consumed)));
        Ok(Read::Joined { message, consumed })
    }

    #[cold]
    fn read_control(&self, header: Header, start: usize, unread: &mut [u8]) -> Result<Read, Violation> {
        let Some(consumed) = end(header, start, unread) else { return Ok(Read::Partial) };
        let payload = start..consumed;
        Ok(match header.opcode {
            OpCode::Ping => {
                if let Some(mask) = header.mask {
                    mask::apply(&mut unread[payload.clone()], mask);
                }
                Read::Ping { payload, consumed }
            }
            OpCode::Close => {
                let close = Close::parse(unmasked(header, &unread[payload]).as_ref())?;
                Read::Close { close, consumed }
            }
            _ => Read::Pong { consumed },
        })
    }
}

impl Fragments {
    fn count(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.empty += u32::from(payload.is_empty());
        if self.empty > EMPTY_FRAGMENTS {
            return Err(Violation::policy(format!(
                "a message has more than {EMPTY_FRAGMENTS} fragments without payload"
            )));
        }
        Ok(())
    }

    fn add(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(payload);
        if !self.is_text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            // A character may go on in the next fragment.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(error) => return Err(Violation::not_utf8("a text", error)),
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Err(error) if self.is_text => Err(Violation::not_utf8("a text", error)),
            _ => Ok(()),
        }
    }
}

/// Where the frame ends that has its payload at `start`, if all of it has come.
#[inline]
fn end(header: Header, start: usize, unread: &[u8]) -> Option<usize> {
    let end = start.checked_add(usize::try_from(header.length).ok()?)?;
    (end <= unread.len()).then_some(end)
}

/// The payload of a control frame, which stays as it is.
fn unmasked(header: Header, payload: &[u8]) -> impl AsRef<[u8]> {
    debug_assert!(payload.len() <= CONTROL_PAYLOAD, "a header that says so is refused");
    let mut payload = payload.to_vec();
    if let Some(mask) = header.mask {
        mask::apply(&mut payload, mask);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Control, FrameWriter},
        *,
    };

    /// Frames as a client sends them.
    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let mask = [9, 8, 7, 6];
        let header = Header { opcode, is_final, length: payload.len() as u64, mask: Some(mask) };
        let mut out = vec![0; header.size()];
        header.write(&mut out);
        let start = out.len();
        out.extend_from_slice(payload);
        mask::apply(&mut out[start..], mask);
        out
    }

    fn close(code: u16) -> Vec<u8> {
        let mut out = Vec::new();
        let close = Close { code, reason: "bye".to_owned() };
        FrameWriter::new(Role::Client, false).control(&mut out, Control::Close(&close));
        out
    }

    /// All that a server's reader finds in a stream that comes in pieces of `step` bytes.
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
                    Read::Message { message, consumed } => (text(message), consumed),
                    Read::Joined { message, consumed } => {
                        reader.taken();
                        (String::from_utf8_lossy(&message).into_owned(), consumed)
                    }
                    Read::Fragment { consumed } => ("…".to_owned(), consumed),
                    Read::Ping { payload, consumed } => (format!("ping {}", text(payload)), consumed),
                    Read::Pong { consumed } => ("pong".to_owned(), consumed),
                    Read::Close { close, consumed } => (format!("close {}", close.code), consumed),
                    Read::Partial => break,
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
        // Bytes may be anything.
        let binary =
            [frame(OpCode::Binary, false, b"\xc3"), frame(OpCode::Continuation, true, b"(")].concat();
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
            let Ok(Read::Message { message, consumed }) = reader.next(&mut unread) else {
                panic!("a message")
            };
            assert_eq!(&unread[message], b"whole");
            given.push(consumed);
            reader.put_back();
        }
        assert_eq!(given, [given[0]; 3]);
        unread.drain(..given[0]);
        // The last one was taken.
        reader.again = false;
        let Ok(Read::Fragment { consumed }) = reader.next(&mut unread) else { panic!("a fragment") };
        unread.drain(..consumed);
        for _ in 0..3 {
            let Ok(Read::Joined { message, consumed }) = reader.next(&mut unread) else {
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
                    Ok(Read::Fragment { consumed }) => drop(unread.drain(..consumed)),
                    Ok(read) => panic!("{read:?}"),
                    Err(violation) => break violation,
                }
            };
            assert_eq!(violation, Violation::too_large(101, 100));
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
    fn a_close_is_found_behind_what_has_to_wait() {
        let waiting = [
            frame(OpCode::Text, true, b"one"),
            frame(OpCode::Ping, true, b""),
            frame(OpCode::Text, false, &[b'x'; 1000]),
        ]
        .concat();
        let stream = [waiting, close(1001), b"rest".to_vec()].concat();
        let close = stream.len() - b"rest".len();
        let mut reader = FrameReader::new(Role::Server);
        // The first message was given, and put back: its mask is off.
        let mut unread = stream;
        reader.next(&mut unread).expect("a message");
        reader.put_back();
        for come in 0..=unread.len() {
            let found = reader.find_close(&unread[..come]).map(|close| close.code);
            assert_eq!(found, (come >= close).then_some(1001), "{come}");
        }
        assert!(matches!(reader.next(&mut unread), Ok(Read::Message { .. })), "nothing is taken by looking");
    }
}
