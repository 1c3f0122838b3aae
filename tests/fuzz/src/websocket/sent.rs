//! What a session sends, judged frame by frame.

use tokio::time::Instant;

use super::{
    frame::{BINARY, CLOSE, CONTINUATION, CONTROL, FRAGMENT, Head, PONG, TEXT, shortest},
    model::Ping,
    peer::Frame,
    schedule::Setup,
};

/// What has come from the session so far.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How many messages have come whole.
    pub(crate) messages: usize,
    /// The beginning of the next one.
    part: Option<Vec<u8>>,
    pub(crate) pongs: usize,
    pub(crate) last_pong: Option<Vec<u8>>,
    /// The pings up to the one that was answered last.
    pings: usize,
    /// The first masks.
    masks: Vec<[u8; 4]>,
    /// When a Close came, and what it says.
    pub(crate) close: Option<(Instant, Vec<u8>)>,
}

impl Sent {
    /// Judges a frame of a session that was given `messages` to send, and has read `pings`.
    pub(crate) fn take(&mut self, frame: Frame, setup: &Setup, messages: &[Vec<u8>], pings: &[Ping]) {
        let Frame { at, head, payload } = frame;
        assert!(self.close.is_none(), "something was sent behind a Close: {head:?}");
        self.head(&head, setup);
        match head.opcode() {
            CLOSE => self.close = Some((at, payload)),
            PONG => {
                // In order. Some pings may go unanswered.
                let found = pings.iter().skip(self.pings).position(|ping| ping.payload == payload);
                let found = found.unwrap_or_else(|| panic!("a pong that was not asked for: {payload:x?}"));
                self.pings += found + 1;
                self.pongs += 1;
                self.last_pong = Some(payload);
            }
            _ => self.data(&head, &payload, messages),
        }
    }

    fn head(&mut self, head: &Head, setup: &Setup) {
        assert_eq!(head.mask.is_some(), !setup.is_server, "clients mask, and servers do not");
        assert_eq!(head.extended, shortest(head.length), "its length is longer than needed");
        assert_eq!(head.first & 0x70, 0, "reserved bits");
        let kind = if setup.is_binary { BINARY } else { TEXT };
        let opcode = head.opcode();
        assert!(matches!(opcode, CONTINUATION | CLOSE | PONG) || opcode == kind, "a frame of {opcode}");
        if head.is_control() {
            assert!(head.is_final() && head.length <= CONTROL, "a control frame: {head:?}");
        }
        assert!(head.length <= FRAGMENT as u64, "a fragment of {} bytes", head.length);
        if self.masks.len() < 3 {
            self.masks.extend(head.mask);
            let are_same = self.masks.len() == 3 && self.masks.iter().all(|mask| *mask == self.masks[0]);
            assert!(!are_same, "all the masks are the same");
        }
    }

    fn data(&mut self, head: &Head, payload: &[u8], messages: &[Vec<u8>]) {
        assert_eq!(head.opcode() == CONTINUATION, self.part.is_some(), "fragments of two messages");
        let next = messages.get(self.messages).expect("more was sent than there is");
        let part = self.part.get_or_insert_default();
        let rest = next.get(part.len()..).unwrap_or_default();
        assert!(rest.starts_with(payload), "another message was sent");
        part.extend_from_slice(payload);
        if head.is_final() {
            assert_eq!(part.len(), next.len(), "a part of a message was sent");
            self.part = None;
            self.messages += 1;
        }
    }
}
