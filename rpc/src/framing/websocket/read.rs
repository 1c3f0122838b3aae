//! Parsing bytes into messages: sections 5.4 to 5.6.

use std::ops::Range;

use bytes::Bytes;

use super::frame::{
    CONTROL_PAYLOAD, ClosePayload, FrameHeader, OpCode, Role, Violation, apply_mask, begins_control,
};

/// Limit of empty fragments per message. They cost the sender next to nothing, and
/// [`Limits::frame_size`](crate::Limits::frame_size) does not bound them.
const EMPTY_FRAGMENTS: u32 = 64;

/// The first frame among the unread bytes. `consumed` of them are used up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameEvent {
    /// An unfragmented message, as a range of the bytes.
    Message { message: Range<usize>, consumed: usize },
    /// A message that was reassembled, with its last fragment.
    Joined { message: Bytes, consumed: usize },
    /// A fragment that does not end its message.
    Fragment { consumed: usize },
    /// A ping and the range of its payload, which the pong has to repeat.
    Ping { payload: Range<usize>, consumed: usize },
    /// A pong: the peer is alive.
    Pong { consumed: usize },
    /// A close frame. Nothing after it may be read.
    Close { close: ClosePayload, consumed: usize },
    /// An incomplete frame.
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

/// Parses the frames that one endpoint receives.
#[derive(Debug)]
pub(crate) struct FrameReader {
    /// The sending endpoint.
    from: Role,
    /// Limit of a message in bytes.
    limit: usize,
    /// The fragments of a message received so far.
    fragments: Option<Box<PartialMessage>>,
    /// The last reassembled message and its consumed bytes, until it is taken.
    joined: Option<Box<(Bytes, usize)>>,
    /// The last message was put back.
    again: bool,
    /// Whether the last message is text whose UTF-8 was not checked.
    is_text: bool,
    /// Length of the unread prefix of whole frames that [`look_ahead`](Self::look_ahead) has
    /// examined. They are not examined twice: a peer could fill the inbox with small ones.
    searched: usize,
    /// Consumed bytes of the last event.
    given: usize,
    /// A message was refused: the remaining bytes of its current frame, which are skipped.
    refused: Option<u64>,
}

/// A control frame among bytes that are not consumed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EarlyControl {
    /// A ping with its payload.
    Ping(Vec<u8>),
    Close(ClosePayload),
}

/// The fragments of an incomplete message.
#[derive(Debug)]
struct PartialMessage {
    bytes: Vec<u8>,
    is_text: bool,
    /// Length of the prefix that is valid UTF-8. Less than one character follows it.
    checked: usize,
    /// Number of empty fragments before the last.
    empty: u32,
}

impl FrameReader {
    /// A reader for the endpoint `role`.
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

    /// Sets the limit of a message in bytes.
    pub(crate) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Parses the front of the unread bytes, and unmasks what it returns in place.
    #[inline]
    pub(crate) fn next(&mut self, unread: &mut [u8]) -> Result<FrameEvent, Violation> {
        let read = self.read(unread)?;
        self.given = read.consumed();
        if self.searched > 0 {
            return Ok(self.was_searched(read));
        }
        Ok(read)
    }

    /// Adjusts an event that `look_ahead` has seen: its ping is already answered.
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
            return self.skip_frames(left, unread);
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
        // Judged by its header, before the payload arrives.
        self.check_data_frame(header, start)?;
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

    /// The last message cannot be handled yet: the next call returns it again.
    pub(crate) const fn put_back(&mut self) {
        self.again = true;
        self.searched += self.given;
    }

    /// The last message has been handled.
    pub(crate) fn taken(&mut self) {
        self.joined = None;
    }

    /// Whether the last message is marked as text and was not checked. The check is left to the
    /// application's parser, which has to do it anyway.
    pub(crate) const fn is_unchecked_text(&self) -> bool {
        self.is_text
    }

    /// Whether a message is incomplete, counting a data frame that starts in `unread`.
    pub(crate) fn is_within_message(&self, unread: &[u8]) -> bool {
        self.fragments.is_some() || unread.first().is_some_and(|&first| !begins_control(first))
    }

    /// Bytes of an incomplete message that are buffered here.
    pub(crate) fn kept(&self) -> usize {
        self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len())
    }

    /// The next complete control frame among unconsumed bytes. A ping is returned once;
    /// [`next`](Self::next) then reports it as a pong.
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

    /// Checks that a data frame is allowed here and fits the limit. Its payload starts at `start`.
    fn check_data_frame(&mut self, header: FrameHeader, start: usize) -> Result<(), Violation> {
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

    /// Refuses the current message, whose frame has `bytes` bytes left.
    #[cold]
    fn refuse(&mut self, bytes: u64) {
        self.fragments = None;
        self.refused = Some(bytes);
    }

    /// Skips the frames after a refused message: the peer may still be sending it, and its close
    /// frame follows.
    #[cold]
    fn skip_frames(&mut self, mut left: u64, unread: &mut [u8]) -> Result<FrameEvent, Violation> {
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
            // The next fragment may complete the character.
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

/// The end of the frame whose payload starts at `start`, if all of it has arrived.
#[inline]
fn end(header: FrameHeader, start: usize, unread: &[u8]) -> Option<usize> {
    let end = start.checked_add(usize::try_from(header.length).ok()?)?;
    (end <= unread.len()).then_some(end)
}

/// An unmasked copy of the payload of a control frame.
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
