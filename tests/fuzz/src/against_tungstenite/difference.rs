//! Where a session judges otherwise than the library, by design.

use super::judged::End;
use crate::websocket::frame::{self, CLOSE, CONTINUATION, CONTROL, EMPTY_FRAGMENTS, Head};

/// The first frame that is judged otherwise: the bytes before it, and how a session may end with it.
pub(super) fn first(stream: &[u8], is_server: bool, limit: usize) -> Option<(usize, Vec<End>)> {
    let (mut at, mut message) = (0, None);
    loop {
        let rest = &stream[at..];
        let frame = Frame::begun(rest, message, is_server, limit)?;
        if let Some(ends) = frame.difference() {
            return Some((at, ends));
        }
        let (head, _, size) = frame::read(rest)?;
        at += size;
        if !head.is_control() {
            let Message { size, empty } = message.unwrap_or_default();
            let empty = empty + usize::from(head.length == 0);
            message = (!head.is_final()).then_some(Message { size: size + head.length, empty });
        }
    }
}

/// What has come of a message in fragments.
#[derive(Debug, Clone, Copy, Default)]
struct Message {
    size: u64,
    empty: usize,
}

/// A frame, as far as it has come, and what matters of those before it.
struct Frame<'a> {
    rest: &'a [u8],
    /// What has not come of it is as it should be.
    head: Head,
    has_whole_head: bool,
    message: Option<Message>,
    is_server: bool,
    limit: u64,
}

impl<'a> Frame<'a> {
    fn begun(rest: &'a [u8], message: Option<Message>, is_server: bool, limit: usize) -> Option<Self> {
        let first = *rest.first()?;
        let is_masked = rest.get(1).map_or(is_server, |second| second & 0x80 != 0);
        let (extended, length) = match (frame::length(rest), rest.get(1)) {
            (Some(length), _) => length,
            // It is one of more than seven bits.
            (None, Some(_)) => (2, 126),
            (None, None) => (0, 1),
        };
        let whole = Head::read(rest);
        let head = whole.unwrap_or(Head { first, mask: is_masked.then_some([0; 4]), extended, length });
        Some(Self { rest, head, has_whole_head: whole.is_some(), message, is_server, limit: limit as u64 })
    }

    /// How a session may end with the frame, where the library ends otherwise.
    fn difference(&self) -> Option<Vec<End>> {
        let head = &self.head;
        let Message { size, empty } = self.message.unwrap_or_default();
        let is_too_large = !head.is_control() && size.saturating_add(head.length) > self.limit;
        // The library takes lengths in any form, and one with its top bit set for too large. Section 5.2 has the shortest form, and 63 bits.
        let has_wrong_length = head.has_wrong_length();
        // To the library a control frame over the limit on messages is too large. Section 5.5 allows it no such length.
        let is_too_long = head.is_control() && head.length > CONTROL;
        // The library keeps on taking fragments with nothing in them.
        let is_one_too_many =
            empty == EMPTY_FRAGMENTS && head.length == 0 && !head.is_control() && !head.is_final();
        // The library judges heads when they are whole, this side with each byte; and where two rules are broken, either may be found first.
        let is_open = !self.has_whole_head || is_too_large || is_one_too_many;
        let is_broken = has_wrong_length || is_too_long || is_open && self.breaks_another_rule();
        let mut ends = Vec::new();
        ends.extend(is_broken.then_some(End::Broken(1002)));
        ends.extend(is_one_too_many.then_some(End::Broken(1008)));
        if !ends.is_empty() || !self.has_whole_head {
            ends.extend(is_too_large.then_some(End::Broken(1009)));
        }
        if !ends.is_empty() && !self.has_whole_head {
            ends.push(End::Ended);
        }
        if ends.is_empty() { self.close() } else { Some(ends) }
    }

    /// One that the library knows, too.
    fn breaks_another_rule(&self) -> bool {
        let head = &self.head;
        let has_wrong_opcode = match head.is_control() {
            true => !head.is_final(),
            false => (head.opcode() == CONTINUATION) != self.message.is_some(),
        };
        let has_wrong_mask = head.mask.is_some() != self.is_server;
        head.first & 0x70 != 0 || frame::is_reserved(head.opcode()) || has_wrong_opcode || has_wrong_mask
    }

    /// The library answers a code that may not be sent with a Close, like one that may, and does not know 1014, which IANA has
    /// registered since.
    fn close(&self) -> Option<Vec<End>> {
        let (head, payload, _) = frame::read(self.rest)?;
        if head.opcode() != CLOSE || self.breaks_another_rule() {
            return None;
        }
        let (code, reason) = payload.split_first_chunk()?;
        let is_text = std::str::from_utf8(reason).is_ok();
        match u16::from_be_bytes(*code) {
            1014 if is_text => Some(vec![End::Closed(payload)]),
            code if frame::may_be_sent(code) => None,
            _ if is_text => Some(vec![End::Broken(1002)]),
            // Two rules are broken.
            _ => Some(vec![End::Broken(1002), End::Broken(1007)]),
        }
    }
}
