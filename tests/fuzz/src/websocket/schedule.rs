//! What happens to a session, told by the bytes of a fuzzer.

use std::time::Duration;

use libfuzzer_sys::arbitrary::{Result, Unstructured};

use super::frame::{CLOSE, Head, masked, shortest};

/// How a session is set up.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Whether the session is the server.
    pub(crate) is_server: bool,
    /// Whether it sends binary messages.
    pub(crate) is_binary: bool,
    /// The largest message that is taken, in bytes.
    pub(crate) limit: usize,
    pub(crate) frame_timeout: Option<Duration>,
    /// How many bytes the connection holds each way.
    pub(crate) capacity: usize,
}

/// All that the peer sends, and when; and what the session does meanwhile.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) setup: Setup,
    pub(crate) stream: Vec<u8>,
    /// How many bytes of the stream come in one piece with the handshake.
    pub(crate) early: usize,
    pub(crate) steps: Vec<Step>,
    /// Whether the peer vanishes in the end. Otherwise it ends its stream, and reads on.
    pub(crate) vanishes: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// The peer sends the stream up to there, in pieces of such a size.
    Write { to: usize, piece: usize, gap: Gap },
    /// Time passes.
    Pause(Duration),
    /// The session sends a message.
    Send(Vec<u8>),
    /// The peer begins to read, or stops.
    Read(bool),
    /// From now on handlers wait, or they go on.
    Hold(bool),
    /// The session is closed.
    Close,
    /// The peer ends its stream.
    End,
}

/// What is between two pieces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Gap {
    /// Nothing: they may be read together.
    None,
    /// Others have their turn.
    Turn,
    /// Time passes.
    Moment,
}

/// The least time that passes. All others are multiples of it, but for those after which the session does something: they end between
/// two moments, so that it is always known what was first.
pub(crate) const MOMENT: Duration = Duration::from_millis(10);

/// A stream is cut into so many pieces by one step; the rest comes in one.
pub(crate) const CUTS: usize = 200;

const CAPACITIES: [usize; 8] = [1 << 20, 65_536, 4_096, 1 << 20, 300, 50, 7, 1];
const LIMITS: [usize; 16] =
    [1_000_000, usize::MAX, 1_000, 125, 126, 127, 1, 5, 10, 65_535, 65_536, 65_537, 100_000, 200_000, 50, 3];
const FRAME_TIMEOUTS: [u64; 8] = [0, 1_005, 30_005, 5, 105, 2_005, 15, 1_005];
const PAUSES: [u64; 8] = [10, 1_000, 20, 100, 990, 1_010, 5_000, 60_000];
const PIECES: [usize; 16] =
    [usize::MAX, 1, 2, 3, 5, 7, 13, 64, 125, 1_000, 4_096, 16_384, 65_535, 65_536, 100_000, usize::MAX];
/// The first bytes of frames. Those that are right come more often.
const FIRSTS: [u8; 32] = [
    0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x88,
    0x00, 0x80, 0x01, 0x81, 0x89, 0x83, 0x8b, 0xc1, 0xa0, 0x99, 0x09, 0x08, 0x0a, 0x87, 0x8f,
];
const TEXTS: [&[u8]; 16] = [
    b"a",
    b"{\"id\":1}",
    b"",
    "é".as_bytes(),
    b"\xc3",
    b"\xa9",
    "€".as_bytes(),
    b"\xe2\x82",
    b"\xac",
    "😀".as_bytes(),
    b"\xf0\x9f",
    b"\x98\x80",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xff",
    b"\xf4\x90\x80\x80",
];
/// How many bytes a text is repeated for. 0 is once.
const LENGTHS: [usize; 8] = [0, 0, 125, 126, 3, 65_535, 65_536, 1_000];
const CODES: [u16; 32] = [
    1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
    999, 0, 1, 1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65_535, 1000, 1000, 3001,
];
const SENT: [usize; 8] = [5, 0, 125, 126, 65_536, 65_537, 200_000, 131_072];

/// The longest stream. What would make it longer is left out.
const STREAM: usize = 200_000;
/// How much the session sends at most.
const ALL_SENT: usize = 500_000;
const STEPS: usize = 60;

impl Schedule {
    /// Bytes that run out end the schedule.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Unstructured::new(bytes);
        let [flags, limits] = [byte(&mut bytes).ok()?, byte(&mut bytes).ok()?];
        let timeout = FRAME_TIMEOUTS[usize::from(limits >> 4 & 7)];
        let setup = Setup {
            is_server: flags & 1 == 0,
            is_binary: flags & 2 != 0,
            limit: LIMITS[usize::from(limits & 15)],
            frame_timeout: (timeout > 0).then_some(Duration::from_millis(timeout)),
            capacity: CAPACITIES[usize::from(flags >> 3 & 7)],
        };
        let mut schedule =
            Self { setup, stream: Vec::new(), early: 0, steps: Vec::new(), vanishes: flags & 0x40 != 0 };
        while schedule.steps.len() < STEPS && schedule.add(&mut bytes).is_ok() {}
        if schedule.steps.contains(&Step::Hold(true)) {
            // What is not read is not timed.
            schedule.setup.frame_timeout = None;
        }
        if flags & 4 != 0
            && let Some(Step::Write { to, .. }) = schedule.steps.first()
        {
            // So much is there to be read even if the session does not read.
            schedule.early = schedule.setup.capacity.min(*to);
        }
        Some(schedule)
    }

    fn add(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let what = byte(bytes)?;
        let low = usize::from(what & 7);
        // A connection that holds little would take long.
        let carried = self.setup.capacity.saturating_mul(3_000);
        match what {
            0x00..0x80 => {
                add_frame(&mut self.stream, STREAM.min(carried), self.setup.is_server, what, bytes)?;
            }
            0x80..0xa0 => {
                let piece = PIECES[usize::from(byte(bytes)? & 15)];
                let gap = match what & 3 {
                    0 => Gap::None,
                    1 => Gap::Moment,
                    _ => Gap::Turn,
                };
                let written = self.written();
                let to = match what & 4 {
                    0 => self.stream.len(),
                    _ => self.stream.len().min(written + usize::from(byte(bytes)?)),
                };
                self.steps.push(Step::Write { to, piece, gap });
            }
            0xa0..0xc0 => self.steps.push(Step::Pause(Duration::from_millis(PAUSES[low]))),
            0xc0..0xe0 => {
                let text = ["a", "é", "€uro ", "{\"id\":1}"][usize::from(what >> 3 & 3)];
                let most = ALL_SENT.min(carried).saturating_sub(self.sent());
                let mut text = text.repeat(SENT[low] / text.len() + 1);
                let end = (0..=SENT[low].min(most)).rev().find(|&end| text.is_char_boundary(end));
                text.truncate(end.unwrap_or(0));
                self.steps.push(Step::Send(text.into_bytes()));
            }
            0xe0..0xf0 => {
                let raw = bytes.bytes(usize::from(what & 15) + 1)?;
                self.stream.extend_from_slice(raw);
            }
            _ => self.steps.push(match low {
                0 => Step::Read(false),
                2 => Step::Close,
                3 => Step::End,
                4 => Step::Hold(true),
                5 => Step::Hold(false),
                _ => Step::Read(true),
            }),
        }
        Ok(())
    }

    /// Up to where the stream is sent so far.
    fn written(&self) -> usize {
        let to = |step: &Step| if let Step::Write { to, .. } = step { Some(*to) } else { None };
        self.steps.iter().rev().find_map(to).unwrap_or(0)
    }

    fn sent(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Send(message) = step { message.len() } else { 0 }).sum()
    }
}

/// Adds a frame to what a peer sends to a server, or to a client, where the stream is not longer than `most` with it.
fn add_frame(
    stream: &mut Vec<u8>,
    most: usize,
    to_server: bool,
    what: u8,
    bytes: &mut Unstructured<'_>,
) -> Result<()> {
    let first = FIRSTS[usize::from(what & 31)];
    // One frame in four is odd, if it likes.
    let odd = if what >> 5 & 3 == 3 { byte(bytes)? } else { 0 };
    let payload = payload(first, bytes)?;
    if stream.len() + payload.len() > most {
        return Ok(());
    }
    let is_masked = to_server != (odd & 4 != 0);
    let mask = is_masked.then_some(mask(stream.len() * usize::from(what & 0x20 == 0)));
    let length = payload.len() as u64;
    let mut head = Head { first, mask, extended: shortest(length), length };
    if odd & 8 != 0 {
        // A head that declares what does not come.
        head.length = 1 << (8 + (odd >> 4) * 11 / 3).min(63);
        head.extended = shortest(head.length);
    }
    head.extended = head.extended.max([0, 2, 8, 0][usize::from(odd & 3)]);
    head.put(stream);
    if odd & 8 == 0 {
        stream.extend(masked(&payload, mask));
    }
    Ok(())
}

/// Another mask for each number; none for 0.
const fn mask(number: usize) -> [u8; 4] {
    (number as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()
}

fn payload(first: u8, bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    if first & 15 == CLOSE {
        let code = byte(bytes)?;
        if code & 0x40 != 0 {
            payload.extend(CODES[usize::from(code & 31)].to_be_bytes());
        }
        if code & 0x80 == 0 {
            return Ok(payload);
        }
    }
    loop {
        let part = byte(bytes)?;
        let text = TEXTS[usize::from(part & 15)];
        let length = match LENGTHS[usize::from(part >> 4 & 7)] {
            0 => text.len(),
            length => length,
        };
        if !text.is_empty() {
            let start = payload.len();
            payload.extend(text.repeat(length.div_ceil(text.len())));
            payload.truncate(start + length);
        }
        if part & 0x80 == 0 {
            return Ok(payload);
        }
    }
}

fn byte(bytes: &mut Unstructured<'_>) -> Result<u8> {
    bytes.bytes(1).map(|byte| byte[0])
}
