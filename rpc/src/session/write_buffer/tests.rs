//! The write buffer without a session: schedules of appending, taking and writing.

use std::convert::Infallible;

use super::*;
use crate::{
    framing::{FrameError, Framed, Framer, NewlineFramer},
    jsonrpc::{ErrorCode, ErrorObject},
    session::{effects::Effects, outbox::Outbox},
};

/// A frame is a message between `<` and `>`. The longest message has `limit` bytes. It is not a
/// framer of this crate, so the outbox leaves it to the loop.
#[derive(Debug, Clone)]
struct Angled {
    limit: usize,
}

impl Framer for Angled {
    fn next(&mut self, _: &[u8]) -> Result<Framed, FrameError> {
        Ok(Framed::Incomplete { consumed: 0 })
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.push(b'<');
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        let size = out.len() - start - 1;
        if size > self.limit {
            return Err(FrameError::TooLarge { size, limit: self.limit });
        }
        out.push(b'>');
        Ok(())
    }
}

/// The same, as one of this crate's: messages are framed where they are appended.
#[derive(Debug, Clone)]
struct OwnAngled(Angled);

impl Framer for OwnAngled {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        Framer::next(&mut self.0, unread)
    }

    fn begin(&self, out: &mut Vec<u8>) {
        Framer::begin(&self.0, out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        Framer::finish(&self.0, out, start)
    }
}

/// Both ends.
struct Ends {
    outbox: Outbox,
    buffer: WriteBuffer,
    effects: Effects,
}

const ID: Id<'static> = Id::NULL;

impl Ends {
    fn framed_by(framer: &dyn AnyFramer) -> Self {
        let (outbox, buffer) = (Outbox::new(framer), WriteBuffer::new(framer.cloned()));
        Self { outbox, buffer, effects: Effects::default() }
    }

    fn new() -> Self {
        Self::framed_by(&NewlineFramer::new())
    }

    /// A framer of this crate's, and one of the user's: frames are the same.
    fn angled(limit: usize) -> [Self; 2] {
        [Self::framed_by(&OwnAngled(Angled { limit })), Self::framed_by(&Angled { limit })]
    }

    /// A handle sends `message`. Gives where it stands.
    fn send(&mut self, message: &str) -> Position {
        let position = self.outbox.position();
        self.outbox
            .notice(|out| {
                out.extend_from_slice(message.as_bytes());
                Ok::<_, Infallible>(())
            })
            .unwrap();
        position
    }

    fn item(&mut self, message: &str) {
        self.outbox.item(&mut self.effects, |out| out.extend_from_slice(message.as_bytes()));
    }

    /// A handler that was a task has finished.
    fn reply(&mut self, id: Id<'_>, message: &str) {
        self.outbox.reply(Version::V2, id, &mut self.effects, |out| {
            out.extend_from_slice(message.as_bytes());
        });
    }

    /// The same of one that has finished in place.
    fn reply_in_place(&mut self, id: Id<'_>, message: &str) {
        let (start, out) = self.buffer.begin_reply();
        out.extend_from_slice(message.as_bytes());
        self.buffer.end_reply(start, Version::V2, id);
    }

    fn take(&mut self) {
        if let Some(chunk) = self.outbox.take_into(&mut self.buffer) {
            chunk.frame_into(&mut self.buffer, Version::V2);
        }
    }

    /// The transport takes `bytes` bytes.
    fn write(&mut self, bytes: usize) -> String {
        let written = text(&self.buffer.unwritten()[..bytes]);
        self.buffer.advance(bytes);
        written
    }

    fn write_all(&mut self) -> String {
        self.write(self.buffer.unwritten().len())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn messages_leave_in_the_order_in_which_they_were_appended() {
    let mut ends = Ends::new();
    ends.send("1");
    ends.send("2");
    assert_eq!((ends.outbox.len(), ends.buffer.unwritten().len()), (4, 0));
    ends.take();
    assert_eq!((ends.outbox.len(), ends.buffer.messages()), (0, 2));
    ends.reply_in_place(ID, "3");
    ends.send("4");
    assert_eq!(ends.write(3), "1\n2");
    ends.take();
    ends.reply(ID, "5");
    ends.item("6");
    ends.take();
    assert_eq!(ends.write_all(), "\n3\n4\n5\n6\n");
    assert_eq!(ends.buffer.messages(), 6);
    assert_eq!(ends.write_all(), "");
}

#[test]
fn an_empty_buffer_exchanges_its_memory_with_the_outbox() {
    let mut ends = Ends::new();
    ends.send(&"m".repeat(1_000));
    let filled = ends.outbox.frames.bytes.as_ptr();
    ends.take();
    assert_eq!(ends.buffer.unwritten().as_ptr(), filled);
    ends.write_all();
    ends.send("1");
    ends.take();
    ends.send("2");
    assert_eq!(ends.outbox.frames.bytes.as_ptr(), filled, "it came back");
}

#[test]
fn a_message_that_cannot_be_written_leaves_nothing_behind() {
    for mut ends in Ends::angled(100) {
        ends.send("1");
        let failed = ends.outbox.notice(|out| {
            out.extend_from_slice(b"half");
            Err::<(), _>("it failed")
        });
        assert!(matches!(failed, Err(Unsent::Unwritten("it failed"))), "{failed:?}");
        ends.send("2");
        ends.take();
        // As where a value's `Serialize` panics.
        let (start, out) = ends.buffer.begin_reply();
        out.extend_from_slice(b"half");
        ends.buffer.take_back_reply(start);
        assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("<1><2>", 2));
    }
}

#[test]
fn a_message_that_does_not_fit_into_a_frame_is_left_out() {
    let long = "x".repeat(101);
    for (mut ends, is_found_at_once) in Ends::angled(100).into_iter().zip([true, false]) {
        ends.send("1");
        let put = ends.outbox.notice(|out| {
            out.extend_from_slice(long.as_bytes());
            Ok::<_, Infallible>(7)
        });
        match put {
            Err(Unsent::Unframed(7, FrameError::TooLarge { size: 101, limit: 100 })) => {
                assert!(is_found_at_once);
            }
            Ok(7) => assert!(!is_found_at_once),
            _ => panic!("{put:?}"),
        }
        ends.item(&long);
        ends.item("2");
        ends.take();
        assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("<1><2>", 2));
    }
}

#[test]
fn a_reply_that_does_not_fit_into_a_frame_becomes_an_error() {
    let long = "x".repeat(201);
    for mut ends in Ends::angled(200) {
        ends.send("1");
        ends.reply(Id::from_json("7"), &long);
        ends.send("2");
        ends.take();
        ends.reply_in_place(Id::from_json("8"), &long);
        let error = |id| {
            let mut error = Vec::new();
            let found = FrameError::TooLarge { size: 201, limit: 200 };
            let told = format!("the reply cannot be sent: {found}");
            let told = ErrorObject::new(ErrorCode::INTERNAL_ERROR, told);
            Version::V2.put_error(&mut error, Id::from_json(id), &told);
            text(&error)
        };
        let sent = ends.write_all();
        assert_eq!(sent, format!("<1><{}><2><{}>", error("7"), error("8")));
        assert_eq!(ends.buffer.messages(), 4);
    }
}

#[test]
fn an_error_whose_id_is_too_long_has_none() {
    let (id, long) = (format!("\"{}\"", "i".repeat(200)), "x".repeat(201));
    for mut ends in Ends::angled(200) {
        let id = Id::from_json(&id);
        ends.reply(id, &long);
        ends.take();
        ends.reply_in_place(id, &long);
        let sent = ends.write_all();
        assert_eq!(sent.matches("\"id\":null").count(), 2, "{sent}");
        assert_eq!((sent.matches('<').count(), ends.buffer.messages()), (2, 2), "{sent}");
    }
}

#[test]
fn a_request_is_not_answered_where_no_error_fits_into_a_frame() {
    for mut ends in Ends::angled(10) {
        ends.reply(ID, "a long reply");
        ends.take();
        ends.reply_in_place(ID, "a long reply");
        ends.send("1");
        ends.take();
        assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("<1>", 1));
    }
}

#[test]
fn messages_that_were_framed_before_keep_their_place() {
    let [_, mut ends] = Ends::angled(100);
    ends.outbox.framed(b"<1>");
    ends.reply(ID, "2");
    ends.outbox.framed(b"<3>");
    ends.item("4");
    ends.outbox.framed(b"<5>");
    ends.take();
    assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("<1><2><3><4><5>", 5));
    ends.outbox.framed(b"<6>");
    ends.take();
    assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("<6>", 6));
}

#[test]
fn a_message_is_written_when_its_first_byte_is() {
    let mut ends = Ends::new();
    let [first, second] = ["1234", "56"].map(|message| ends.send(message));
    let has = |ends: &Ends, message| ends.buffer.has_written(message);
    assert!(!has(&ends, first), "it is in the outbox");
    ends.reply_in_place(ID, "before");
    ends.take();
    let third = ends.send("7");
    assert_eq!(ends.write(7), "before\n");
    assert!(!has(&ends, first), "only the reply before it");
    assert_eq!(ends.write(1), "1");
    assert!(has(&ends, first) && !has(&ends, second));
    assert_eq!(ends.write(4), "234\n");
    assert!(!has(&ends, second));
    assert_eq!(ends.write(1), "5");
    assert!(has(&ends, second) && !has(&ends, third));
    ends.write_all();
    assert!(!has(&ends, third), "it is in the outbox");
    ends.take();
    ends.write(1);
    assert!(has(&ends, first) && has(&ends, second) && has(&ends, third));
}

#[test]
fn chunks_that_wait_behind_each_other_are_told_apart() {
    let mut ends = Ends::new();
    let first = ends.send("11");
    ends.take();
    ends.reply_in_place(ID, "in place");
    let second = ends.send("22");
    ends.take();
    let third = ends.send("33");
    ends.take();
    let fourth = ends.send("44");
    let written = |ends: &Ends| [first, second, third, fourth].map(|one| ends.buffer.has_written(one));
    assert_eq!(written(&ends), [false; 4]);
    assert_eq!(ends.write(12), "11\nin place\n");
    assert_eq!(written(&ends), [true, false, false, false]);
    assert_eq!(ends.write(3), "22\n");
    assert_eq!(written(&ends), [true, true, false, false]);
    assert_eq!(ends.buffer.chunks.starts.len(), 1, "the third is next, and what is before it was written");
    ends.write_all();
    assert_eq!(written(&ends), [true, true, true, false]);
    assert!(ends.buffer.chunks.starts.is_empty());
    ends.take();
    assert_eq!(written(&ends), [true, true, true, false]);
}

#[test]
fn of_a_chunk_that_is_framed_later_only_the_start_is_known() {
    let [_, mut ends] = Ends::angled(100);
    let [first, second] = ["1", "2"].map(|message| ends.send(message));
    assert_eq!(first, second);
    ends.take();
    let third = ends.send("3");
    assert_eq!(ends.write(1), "<");
    assert!(ends.buffer.has_written(second) && !ends.buffer.has_written(third));
}

#[test]
fn the_numbers_of_chunks_begin_again() {
    let mut ends = Ends::new();
    (ends.outbox.chunks, ends.buffer.chunks.count) = (u32::MAX, u32::MAX);
    let last = ends.send("1");
    ends.take();
    let first = ends.send("2");
    ends.take();
    let second = ends.send("3");
    let written = |ends: &Ends| [last, first, second].map(|one| ends.buffer.has_written(one));
    assert_eq!(written(&ends), [false; 3]);
    ends.write(1);
    assert_eq!(written(&ends), [true, false, false]);
    ends.write_all();
    assert_eq!(written(&ends), [true, true, false]);
    ends.take();
    assert_eq!(written(&ends), [true, true, false]);
    ends.write_all();
    assert_eq!(written(&ends), [true; 3]);
}

/// Every length of writes, chunks and replies between them: nothing is lost, and a message is
/// written exactly when its first byte is.
#[test]
fn every_schedule_writes_every_message_once() {
    for writes in 1..=11 {
        for appends in 1..=5_usize {
            let mut ends = Ends::new();
            let (mut expected, mut sent) = (String::new(), String::new());
            let mut positions = Vec::new();
            for round in 0..200_usize {
                for n in 0..(round % (appends + 1)) {
                    let message = "m".repeat((round + n) % 7);
                    positions.push((ends.send(&message), expected.len()));
                    expected += &message;
                    expected.push('\n');
                }
                // In place behind what was sent before, as the loop does it.
                ends.take();
                if round % 3 == 0 {
                    ends.reply_in_place(ID, "reply");
                    expected += "reply\n";
                }
                let bytes = writes.min(ends.buffer.unwritten().len());
                sent += &ends.write(bytes);
                for &(position, start) in &positions {
                    assert_eq!(
                        ends.buffer.has_written(position),
                        start < sent.len(),
                        "{round}: {position:?}"
                    );
                }
                positions.retain(|&(_, start)| start + 40 > sent.len());
            }
            sent += &ends.write_all();
            assert_eq!(sent, expected);
            assert_eq!(ends.buffer.messages(), expected.matches('\n').count() as u64);
        }
    }
}

#[test]
fn the_memory_of_written_bytes_is_used_again() {
    let mut ends = Ends::new();
    let message = "x".repeat(10_000);
    // Never empty: what is sent meanwhile stands behind it.
    (0..20).for_each(|_| ends.reply_in_place(ID, &message));
    for _ in 0..1_000 {
        ends.reply_in_place(ID, &message);
        ends.write(message.len() + 1);
    }
    assert_eq!(ends.buffer.unwritten().len(), 20 * (message.len() + 1));
    assert!(ends.buffer.capacity() < 1_000_000, "{}", ends.buffer.capacity());
    ends.buffer.trim();
    assert_eq!(ends.write_all().len(), 20 * (message.len() + 1), "only an empty one gives memory back");
    assert!(ends.buffer.capacity() > 0);
    ends.buffer.trim();
    assert_eq!(ends.buffer.capacity(), 0);
}

#[test]
fn the_outbox_gives_memory_back_when_it_is_empty() {
    let mut ends = Ends::new();
    ends.send(&"x".repeat(10_000));
    ends.outbox.trim();
    assert_eq!(ends.outbox.len(), 10_001);
    ends.take();
    ends.write_all();
    // The two exchange their memory: now it is the outbox that has it again.
    ends.send("1");
    ends.take();
    assert!(ends.outbox.frames.bytes.capacity() > 10_000);
    ends.outbox.trim();
    assert_eq!(ends.outbox.frames.bytes.capacity(), 0);
}

#[test]
fn the_log_is_given_every_byte_once() {
    let mut ends = Ends::new();
    let shown = |ends: &mut Ends| text(ends.buffer.take_unshown().1);
    ends.reply_in_place(ID, "1");
    assert_eq!(shown(&mut ends), "1\n");
    assert_eq!(shown(&mut ends), "");
    ends.reply_in_place(ID, "2");
    ends.write(3);
    assert_eq!(shown(&mut ends), "\n", "what was written without being logged is not logged later");
    ends.reply_in_place(ID, "3");
    // The written bytes are cut off.
    ends.take();
    assert_eq!(shown(&mut ends), "3\n");
    ends.write_all();
    ends.reply_in_place(ID, "4");
    assert_eq!(shown(&mut ends), "4\n");
    ends.buffer.last_word(b"HTTP/1.1 400 Bad Request");
    assert_eq!(shown(&mut ends), "", "the last word is no message");
    assert_eq!((ends.write_all().as_str(), ends.buffer.messages()), ("4\nHTTP/1.1 400 Bad Request", 4));
}
