//! Bitcoin's peer-to-peer framing: magic, command, length, checksum, payload.

use sha2::{Digest, Sha256};

use super::framer::{FrameError, Framed, Framer, excerpt};

/// The framing of the messages that Bitcoin nodes exchange, for one network.
///
/// A frame is everything after the magic: read it with [`BitcoinMessage::parse`], and write one
/// with [`BitcoinMessage::write`]. A wrong magic, or a payload over the limit, ends the session. A
/// message with a wrong checksum is dropped, and the stream goes on after it. Their
/// [costs](FrameError::severity) are 1,000, 500 and 100, as in aiorpcX.
///
/// A [`Session`](crate::Session) speaks JSON-RPC, which Bitcoin nodes do not exchange: use a
/// [`MessageSession`](crate::MessageSession) to carry their messages.
///
/// The limits belong to this framer: [`Limits::frame_size`](crate::Limits::frame_size) cannot tell
/// one command from another.
///
/// ```
/// use rpc::framing::{BitcoinFramer, BitcoinMessage, Framed, Framer};
///
/// let mut framer = BitcoinFramer::new(BitcoinFramer::MAINNET);
/// let mut out = Vec::new();
/// framer.begin(&mut out);
/// BitcoinMessage { command: "verack", payload: b"" }.write(&mut out);
/// framer.finish(&mut out, 0)?;
/// assert_eq!(out, b"\xf9\xbe\xb4\xd9verack\0\0\0\0\0\0\0\0\0\0\x5d\xf6\xe0\xe2");
///
/// let Framed::Frame { frame, .. } = framer.next(&out)? else { panic!("not all of it is there") };
/// assert_eq!(BitcoinMessage::parse(&out[frame])?.command, "verack");
/// # Ok::<_, rpc::framing::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BitcoinFramer {
    magic: [u8; 4],
    payload: usize,
    block: usize,
    /// The checksum of the last message was verified. That message may have been put back.
    checked: bool,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitcoinMessage<'a> {
    /// The command: up to twelve printable ASCII characters.
    pub command: &'a str,
    /// The payload.
    pub payload: &'a [u8],
}

const MAGIC: usize = 4;
const COMMAND: usize = 12;
const LENGTH: usize = 4;
const CHECKSUM: usize = 4;
/// The header before the payload in a frame, which does not include the magic.
const HEADER: usize = COMMAND + LENGTH + CHECKSUM;

impl BitcoinFramer {
    /// The magic of the main network.
    pub const MAINNET: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];
    /// The magic of the third test network.
    pub const TESTNET3: [u8; 4] = [0x0b, 0x11, 0x09, 0x07];
    /// The magic of the fourth test network.
    pub const TESTNET4: [u8; 4] = [0x1c, 0x16, 0x3f, 0x28];
    /// The magic of the default signet.
    pub const SIGNET: [u8; 4] = [0x0a, 0x03, 0xcf, 0x40];
    /// The magic of networks for regression tests.
    pub const REGTEST: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

    /// A framer for the network with this magic. The limits are 2,000,000 bytes for a payload and
    /// 128,000,000 for that of a `block` (aiorpcX).
    pub const fn new(magic: [u8; 4]) -> Self {
        Self { magic, payload: 2_000_000, block: 128_000_000, checked: false }
    }

    /// The largest payload in bytes, except that of a block; a larger one ends the session.
    /// Default: 2,000,000.
    pub const fn payload_size(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// The largest payload of a `block` in bytes; a larger one ends the session. Default:
    /// 128,000,000.
    pub const fn block_size(mut self, bytes: usize) -> Self {
        self.block = bytes;
        self
    }

    /// The payload size that a header declares, checked against the limit of its command.
    fn payload_of(&self, header: &[u8], size: u32) -> Result<usize, FrameError> {
        let command = trimmed(&header[..COMMAND]);
        let limit = if command == b"block" { self.block } else { self.payload };
        match usize::try_from(size) {
            Ok(size) if size <= limit => Ok(size),
            _ => Err(FrameError::PayloadTooLarge {
                command: excerpt(command),
                size: usize::try_from(size).unwrap_or(usize::MAX),
                limit,
            }),
        }
    }
}

impl Framer for BitcoinFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        let magic = &unread[..unread.len().min(MAGIC)];
        if magic != &self.magic[..magic.len()] {
            return Err(FrameError::WrongMagic { expected: excerpt(&self.magic), found: excerpt(magic) });
        }
        let Some(header) = unread.get(MAGIC..MAGIC + HEADER) else {
            return Ok(Framed::Incomplete { consumed: 0 });
        };
        let size = self.payload_of(header, u32::from_le_bytes(four(&header[COMMAND..])))?;
        let consumed = MAGIC + HEADER + size;
        let Some(payload) = unread.get(MAGIC + HEADER..consumed) else {
            return Ok(Framed::Incomplete { consumed: 0 });
        };
        let checksum = &header[COMMAND + LENGTH..];
        if !std::mem::take(&mut self.checked) {
            let expected = checksum_of(payload);
            if checksum != expected {
                return Ok(Framed::Dropped {
                    error: FrameError::WrongChecksum {
                        command: excerpt(trimmed(&header[..COMMAND])),
                        expected: u32::from_be_bytes(expected),
                        found: u32::from_be_bytes(four(checksum)),
                    },
                    consumed,
                });
            }
        }
        Ok(Framed::Frame { frame: MAGIC..consumed, consumed })
    }

    /// The payload of a message that was put back is not hashed a second time.
    fn put_back(&mut self) {
        self.checked = true;
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.magic);
    }

    /// Everything after the magic was written by [`BitcoinMessage::write`].
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        let Some((header, payload)) = out[start + MAGIC..].split_at_mut_checked(HEADER) else {
            return Err(FrameError::Invalid("a message of Bitcoin's has a command of twelve bytes".into()));
        };
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.payload_of(header, size)?;
        header[COMMAND..COMMAND + LENGTH].copy_from_slice(&size.to_le_bytes());
        header[COMMAND + LENGTH..].copy_from_slice(&checksum_of(payload));
        Ok(())
    }
}

impl<'a> BitcoinMessage<'a> {
    /// Parses a frame.
    ///
    /// # Errors
    ///
    /// When the command is not printable ASCII padded with zeros, or the frame is too short for a
    /// header.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let Some((header, payload)) = frame.split_at_checked(HEADER) else {
            return Err(FrameError::Invalid(format!(
                "a frame of {} bytes has no room for a header",
                frame.len()
            )));
        };
        let command = trimmed(&header[..COMMAND]);
        match std::str::from_utf8(command) {
            Ok(text) if !text.is_empty() && command.iter().all(u8::is_ascii_graphic) => {
                Ok(Self { command: text, payload })
            }
            _ => Err(FrameError::Unexpected {
                expected: "a command of printable characters",
                found: excerpt(command),
            }),
        }
    }

    /// Appends the message, with space for the header fields that the framer fills in. A command is
    /// truncated to twelve characters.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut header = [0; HEADER];
        let command = &self.command.as_bytes()[..self.command.len().min(COMMAND)];
        header[..command.len()].copy_from_slice(command);
        out.extend_from_slice(&header);
        out.extend_from_slice(self.payload);
    }
}

/// A command without its zero padding.
fn trimmed(command: &[u8]) -> &[u8] {
    let end = command.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &command[..end]
}

/// The first four bytes.
fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn checksum_of(payload: &[u8]) -> [u8; 4] {
    four(&Sha256::digest(Sha256::digest(payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(framer: &BitcoinFramer, messages: &[BitcoinMessage<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            let start = out.len();
            framer.begin(&mut out);
            message.write(&mut out);
            framer.finish(&mut out, start).expect("it fits");
        }
        out
    }

    /// Feeds the stream in chunks of `step` bytes. Returns the commands with their payloads, and
    /// the errors.
    fn feed_chunks(
        mut framer: BitcoinFramer,
        bytes: &[u8],
        step: usize,
    ) -> Vec<Result<(String, Vec<u8>), FrameError>> {
        let (mut unread, mut found) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            unread.extend_from_slice(piece);
            while !unread.is_empty() {
                let consumed = match framer.next(&unread) {
                    Ok(Framed::Frame { frame, consumed }) => {
                        framer.put_back();
                        assert_eq!(
                            framer.next(&unread),
                            Ok(Framed::Frame { frame: frame.clone(), consumed })
                        );
                        let message = BitcoinMessage::parse(&unread[frame]);
                        found.push(
                            message.map(|message| (message.command.to_owned(), message.payload.to_vec())),
                        );
                        consumed
                    }
                    Ok(Framed::Dropped { error, consumed }) => {
                        found.push(Err(error));
                        consumed
                    }
                    Ok(_) => break,
                    Err(error) => {
                        found.push(Err(error));
                        return found;
                    }
                };
                unread.drain(..consumed);
            }
        }
        found
    }

    fn message(command: &'static str, payload: &'static [u8]) -> BitcoinMessage<'static> {
        BitcoinMessage { command, payload }
    }

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let magic = *b"abcd";
        let messages = [message("ping", b"12345678"), message("verack", b""), message("twelvelettrs", b"x")];
        let bytes = framed(&BitcoinFramer::new(magic), &messages);
        for step in 1..=bytes.len() {
            let found = feed_chunks(BitcoinFramer::new(magic), &bytes, step);
            let expected = messages.map(|message| Ok((message.command.to_owned(), message.payload.to_vec())));
            assert_eq!(found, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_wrong_checksum_drops_the_message_and_the_next_is_intact() {
        let framer = BitcoinFramer::new(BitcoinFramer::REGTEST);
        let mut bytes = framed(&framer, &[message("ping", b"12345678"), message("pong", b"12345678")]);
        bytes[30] ^= 1;
        for step in 1..=bytes.len() {
            let found = feed_chunks(framer.clone(), &bytes, step);
            let Err(error) = &found[0] else { panic!("{found:?}") };
            assert!(matches!(error, FrameError::WrongChecksum { command, .. } if command == "ping"));
            assert_eq!(error.severity(), 0.1);
            assert_eq!(found[1], Ok(("pong".to_owned(), b"12345678".to_vec())));
        }
    }

    #[test]
    fn a_wrong_magic_ends_the_session_with_its_first_byte() {
        let framer = BitcoinFramer::new(BitcoinFramer::MAINNET);
        for bytes in [b"\xf9\xbe\xb4\xd8" as &[u8], b"G", b"\xf9GET"] {
            let found = feed_chunks(framer.clone(), bytes, 1);
            let [Err(error)] = &found[..] else { panic!("{found:?}") };
            assert!(matches!(error, FrameError::WrongMagic { .. }), "{error}");
            assert_eq!(error.severity(), 1.0);
        }
    }

    #[test]
    fn a_payload_over_its_limit_ends_the_session_before_it_comes() {
        let framer = BitcoinFramer::new(BitcoinFramer::MAINNET);
        for (command, limit) in [("tx", 2_000_000u32), ("blocktxn", 2_000_000), ("block", 128_000_000)] {
            for (size, is_over) in [(limit, false), (limit + 1, true), (u32::MAX, true)] {
                let mut bytes = framed(&framer, &[BitcoinMessage { command, payload: b"" }]);
                bytes[16..20].copy_from_slice(&size.to_le_bytes());
                let found = feed_chunks(framer.clone(), &bytes, 24);
                match &found[..] {
                    [] => assert!(!is_over),
                    [Err(error)] => {
                        assert!(is_over);
                        assert_eq!(
                            error.to_string(),
                            format!(
                                "the payload of `{command}`, {size} bytes, is over the limit of {limit} bytes"
                            )
                        );
                        assert_eq!(error.severity(), 0.5);
                    }
                    _ => panic!("{found:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let framer = BitcoinFramer::new(BitcoinFramer::MAINNET).payload_size(10).block_size(20);
        for (command, size, fits) in
            [("tx", 10, true), ("tx", 11, false), ("block", 20, true), ("block", 21, false)]
        {
            let mut out = Vec::new();
            framer.begin(&mut out);
            BitcoinMessage { command, payload: &vec![0; size] }.write(&mut out);
            assert_eq!(framer.finish(&mut out, 0).is_ok(), fits, "{size} bytes of {command}");
        }
        framer.finish(&mut framer.magic.to_vec(), 0).expect_err("there is no command");
    }

    #[test]
    fn a_command_that_is_none_is_named() {
        for command in [&b"\0\0\0\0\0\0\0\0\0\0\0\0"[..], b"ping\0x\0\0\0\0\0\0", b"p\xffng\0\0\0\0\0\0\0\0"]
        {
            let frame = [command, &[0; 8]].concat();
            assert!(matches!(BitcoinMessage::parse(&frame), Err(FrameError::Unexpected { .. })));
        }
        assert!(matches!(BitcoinMessage::parse(b"ping"), Err(FrameError::Invalid(_))));
    }
}
