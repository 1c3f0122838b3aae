//! From bytes to messages: sections 5.4 to 5.6.

use std::ops::Range;

use bytes::Bytes;

use super::frame::{
    CONTROL_PAYLOAD, ClosePayload, FrameHeader, OpCode, Role, Violation, apply_mask, begins_control,
};

/// A message may have so many fragments without payload. They cost their sender next to nothing, and
/// [`Limits::frame_size`](crate::Limits::frame_size) does not bound them.
const EMPTY_FRAGMENTS: u32 = 64;

/// What stands at the front of the bytes that were read. `consumed` of them are done with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameEvent {
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
    Close { close: ClosePayload, consumed: usize },
    /// A frame that is not whole.
    Partial,
}

impl FrameEvent {
    const fn consumed(&self) -> usize {
        match self {
            Self::Message { consumed, .. }
            | Self::Joined { consumed, .. }
            | Self::Fragment { consumed }
            | Self::Ping { consumed, .. }
            | Self::Pong { consumed }
            | Self::Close { consumed, .. } => *consumed,
            Self::Partial => 0,
        }
    }
}

/// Takes frames apart, on one side of a connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    /// The side that sends.
    from: Role,
    /// How many bytes a message may have.
    limit: usize,
    /// What has come of a message in fragments.
    fragments: Option<Box<PartialMessage>>,
    /// The message that was joined last, and how many bytes were done with, until it was taken.
    joined: Option<Box<(Bytes, usize)>>,
    /// The message that was given last is asked for again.
    again: bool,
    /// Whether the message that was given last is a text that was not checked.
    is_text: bool,
    /// So many bytes at the front are whole frames that were [looked at](Self::look_ahead). They are not looked at twice: a peer could fill the
    /// session's inbox with small ones.
    searched: usize,
    /// How many bytes were done with when something was given last.
    given: usize,
    /// A message was refused, and so many bytes of its frame, or of one behind it, are still to be passed over.
    refused: Option<u64>,
}

/// A control frame behind what is not taken yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EarlyControl {
    /// With its payload.
    Ping(Vec<u8>),
    Close(ClosePayload),
}

/// The beginning of a message in fragments.
#[derive(Debug)]
struct PartialMessage {
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
            given: 0,
            refused: None,
        }
    }

    /// How many bytes a message may have.
    pub(crate) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Looks at the front of the bytes that were read, and not consumed yet. What is given is without its mask, in place.
    #[inline]
    pub(crate) fn next(&mut self, unread: &mut [u8]) -> Result<FrameEvent, Violation> {
        let read = self.read(unread)?;
        self.given = read.consumed();
        if self.searched > 0 {
            return Ok(self.was_searched(read));
        }
        Ok(read)
    }

    /// What was looked at before it is taken: a ping was answered.
    #[cold]
    fn was_searched(&mut self, read: FrameEvent) -> FrameEvent {
        let was_answered = self.searched >= self.given;
        self.searched = self.searched.saturating_sub(self.given);
        match read {
            FrameEvent::Ping { consumed, .. } if was_answered => FrameEvent::Pong { consumed },
            other => other,
        }
    }

    #[inline]
    fn read(&mut self, unread: &mut [u8]) -> Result<FrameEvent, Violation> {
        if let Some(left) = self.refused {
            return self.pass_over(left, unread);
        }
        let again = std::mem::take(&mut self.again);
        if let Some(joined) = self.joined.take()
            && again
        {
            let (message, consumed) = (*joined).clone();
            self.joined = Some(joined);
            return Ok(FrameEvent::Joined { message, consumed });
        }
        let Some((header, start)) = FrameHeader::parse(unread, self.from)? else {
            return Ok(FrameEvent::Partial);
        };
        if header.opcode.is_control() {
            return self.read_control(header, start, unread);
        }
        // By its header, before it has come.
        self.judge(header, start)?;
        let Some(end) = end(header, start, unread) else { return Ok(FrameEvent::Partial) };
        if let Some(mask) = header.mask
            && !again
        {
            apply_mask(&mut unread[start..end], mask);
        }
        if header.is_final && self.fragments.is_none() {
            self.is_text = header.opcode == OpCode::Text;
            return Ok(FrameEvent::Message { message: start..end, consumed: end });
        }
        self.join(header, &unread[start..end], end)
    }

    /// The message that was given last has to wait: the next call gives it again.
    pub(crate) const fn put_back(&mut self) {
        self.again = true;
        self.searched += self.given;
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

    /// The next control frame among bytes that are not taken yet, if they hold one that is whole. A ping is given once; it comes as a pong when
    /// it is taken.
    pub(crate) fn look_ahead(&mut self, unread: &[u8]) -> Option<EarlyControl> {
        while let Ok(Some((header, start))) = FrameHeader::parse(unread.get(self.searched..)?, self.from) {
            let start = self.searched + start;
            let end = end(header, start, unread)?;
            let payload = &unread[start..end];
            if header.opcode == OpCode::Close {
                return ClosePayload::parse(&unmasked(header, payload)).ok().map(EarlyControl::Close);
            }
            self.searched = end;
            if header.opcode == OpCode::Ping {
                return Some(EarlyControl::Ping(unmasked(header, payload)));
            }
        }
        None
    }

    /// Whether a frame of a message may stand here, and as long as it is. Its payload is at `start`.
    fn judge(&mut self, header: FrameHeader, start: usize) -> Result<(), Violation> {
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
            self.refuse(header.length.saturating_add(start as u64));
            return Err(Violation::too_large(size, self.limit));
        }
        Ok(())
    }

    /// A message is of no use whose frame has so many bytes.
    #[cold]
    fn refuse(&mut self, bytes: u64) {
        self.fragments = None;
        self.refused = Some(bytes);
    }

    /// Behind a message that was refused, frames are only told apart: the peer may be in the middle of others, and its close comes behind them.
    #[cold]
    fn pass_over(&mut self, mut left: u64, unread: &mut [u8]) -> Result<FrameEvent, Violation> {
        if left == 0 {
            let Some((header, start)) = FrameHeader::parse(unread, self.from)? else {
                return Ok(FrameEvent::Partial);
            };
            if header.opcode.is_control() {
                return self.read_control(header, start, unread);
            }
            left = header.length.saturating_add(start as u64);
        }
        let consumed = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len());
        self.refused = Some(left - consumed as u64);
        Ok(FrameEvent::Fragment { consumed })
    }

    #[cold]
    fn join(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        consumed: usize,
    ) -> Result<FrameEvent, Violation> {
        let fragments = self.fragments.get_or_insert_with(|| {
            let is_text = header.opcode == OpCode::Text;
            Box::new(PartialMessage { bytes: Vec::new(), is_text, checked: 0, empty: 0 })
        });
        if let Err(violation) = fragments.take(header.is_final, payload) {
            self.refuse(consumed as u64);
            return Err(violation);
        }
        if !header.is_final {
            return Ok(FrameEvent::Fragment { consumed });
        }
        self.is_text = false;
        let message = Bytes::from(self.fragments.take().map(|fragments| fragments.bytes).unwrap_or_default());
        self.joined = Some(Box::new((message.clone(), consumed)));
        Ok(FrameEvent::Joined { message, consumed })
    }

    #[cold]
    fn read_control(
        &self,
        header: FrameHeader,
        start: usize,
        unread: &mut [u8],
    ) -> Result<FrameEvent, Violation> {
        let Some(consumed) = end(header, start, unread) else { return Ok(FrameEvent::Partial) };
        let payload = start..consumed;
        Ok(match header.opcode {
            OpCode::Ping => {
                if let Some(mask) = header.mask {
                    apply_mask(&mut unread[payload.clone()], mask);
                }
                FrameEvent::Ping { payload, consumed }
            }
            OpCode::Close => {
                let close = ClosePayload::parse(&unmasked(header, &unread[payload]))?;
                FrameEvent::Close { close, consumed }
            }
            _ => FrameEvent::Pong { consumed },
        })
    }
}

impl PartialMessage {
    fn take(&mut self, is_final: bool, payload: &[u8]) -> Result<(), Violation> {
        self.add(payload)?;
        match is_final {
            true => self.end(),
            false => self.count(payload),
        }
    }

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
            Err(error) => return Err(Violation::text(error)),
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Err(error) if self.is_text => Err(Violation::text(error)),
            _ => Ok(()),
        }
    }
}

/// Where the frame ends that has its payload at `start`, if all of it has come.
#[inline]
fn end(header: FrameHeader, start: usize, unread: &[u8]) -> Option<usize> {
    let end = start.checked_add(usize::try_from(header.length).ok()?)?;
    (end <= unread.len()).then_some(end)
}

/// The payload of a control frame, which stays as it is.
fn unmasked(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= CONTROL_PAYLOAD, "a header that says so is refused");
    let mut payload = payload.to_vec();
    if let Some(mask) = header.mask {
        apply_mask(&mut payload, mask);
    }
    payload
}

#[cfg(test)]
mod tests;
