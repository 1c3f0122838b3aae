//! Framers by themselves: whatever is framed comes out, and whatever comes is borne.

use proptest::prelude::*;
use rpc::framing::{
    BitcoinFramer, BitcoinMessage, CodecFramer, ContentLengthFramer, Framer, JsonFramer,
    LengthPrefixedFramer, NetstringFramer, NewlineFramer,
};
use rpc_tests::frames::{Out, framed, taken_apart};
use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

/// Runs a check on every framer, with what it may keep of a frame beside the message.
macro_rules! each_framer {
    ($check:expr) => {{
        let check = $check;
        check.of(NewlineFramer::new(), 0)?;
        check.of(ContentLengthFramer::new(), 4096)?;
        check.of(LengthPrefixedFramer::u16_be(), 2)?;
        check.of(LengthPrefixedFramer::u16_le(), 2)?;
        check.of(LengthPrefixedFramer::u32_be(), 4)?;
        check.of(LengthPrefixedFramer::u32_le(), 4)?;
        check.of(LengthPrefixedFramer::u64_be(), 8)?;
        check.of(LengthPrefixedFramer::u64_le(), 8)?;
        check.of(NetstringFramer::new(), 22)?;
        check.of(JsonFramer::new(), 0)?;
        check.of(JsonFramer::new().unseparated(), 0)?;
        check.of(JsonFramer::new().blank_lines(), 0)?;
    }};
}

/// What is framed comes out.
struct RoundTrip {
    messages: Vec<Vec<u8>>,
    pieces: [usize; 2],
}

impl RoundTrip {
    fn of(&self, framer: impl Framer, around: usize) -> Result<(), TestCaseError> {
        let stream = framed(&framer, &self.messages);
        let name = format!("{framer:?}");
        let found = taken_apart(framer, &stream, self.pieces, usize::MAX, around);
        let expected: Vec<Out> = self.messages.iter().cloned().map(Out::Given).collect();
        prop_assert_eq!(found, expected, "{}", name);
        Ok(())
    }
}

/// What comes out does not depend on how it came.
struct Garbage {
    stream: Vec<u8>,
    pieces: [usize; 2],
    limit: usize,
}

impl Garbage {
    fn of(&self, framer: impl Framer, around: usize) -> Result<(), TestCaseError> {
        let name = format!("{framer:?}");
        let whole = taken_apart(framer.clone(), &self.stream, [self.stream.len(); 2], self.limit, around);
        let cut = taken_apart(framer, &self.stream, self.pieces, self.limit, around);
        prop_assert_eq!(whole, cut, "{}", name);
        Ok(())
    }
}

/// A value as a message is one: an object or an array, on one line.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![".{0,20}", r#"[\\"{}\[\],:\n]{0,12}"#, "x{0,3000}"];
    prop_oneof![
        proptest::collection::vec(text.clone(), 0..4).prop_map(|texts| serde_json::json!(texts)),
        (text.clone(), text).prop_map(|(name, value)| serde_json::json!({name: [{"a": value}]})),
    ]
    .prop_map(|value| value.to_string().into_bytes())
}

/// Bytes that a framer has to look at, and some that it has not.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        r#"[\\"{}\[\],:0-9\r\n -]{0,12}"#.prop_map(String::into_bytes),
        (0u32..40).prop_map(|n| format!("Content-Length: {n}\r\n\r\n").into_bytes()),
        (0u32..40).prop_map(|n| format!("{n}:").into_bytes()),
        (0u8..40).prop_map(|n| vec![0, 0, 0, n]),
        (0u8..40).prop_map(|n| vec![n, 0, 0, 0, 0, 0, 0, 0]),
        message(),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn pieces() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![[1..20usize, 1..20usize], [1..5000usize, 1..5000usize]]
}

proptest! {
    #[test]
    fn whatever_is_framed_comes_out_however_it_is_split(
        messages in proptest::collection::vec(message(), 0..8),
        pieces in pieces(),
    ) {
        let round_trip = RoundTrip { messages, pieces };
        each_framer!(&round_trip);
        round_trip.of(CodecFramer::new(LengthDelimitedCodec::new()), 0)?;
        round_trip.of(CodecFramer::text(LinesCodec::new()), 0)?;
    }

    #[test]
    fn whatever_comes_is_borne_however_it_is_split(
        stream in garbage(),
        pieces in pieces(),
        limit in prop_oneof![0..40usize, Just(usize::MAX)],
    ) {
        let garbage = Garbage { stream, pieces, limit };
        each_framer!(&garbage);
    }

    #[test]
    fn messages_of_bitcoin_come_out_but_for_those_that_were_damaged(
        payloads in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..300), any::<bool>()), 0..8),
        pieces in pieces(),
    ) {
        let framer = BitcoinFramer::new(BitcoinFramer::SIGNET);
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (payload, damaged) in &payloads {
            let mut message = Vec::new();
            BitcoinMessage { command: "tx", payload }.write(&mut message);
            let mut bytes = framed(&framer, &[message]);
            if *damaged && let Some(last) = bytes.last_mut() {
                *last ^= 0x10;
            } else {
                expected.push(("tx", payload.clone()));
            }
            stream.extend(bytes);
        }
        let found = taken_apart(framer, &stream, pieces, usize::MAX, 0);
        prop_assert_eq!(found.len(), payloads.len());
        let given: Vec<_> = found
            .iter()
            .filter_map(|out| match out {
                Out::Given(frame) => BitcoinMessage::parse(frame).ok(),
                _ => None,
            })
            .map(|message| (message.command, message.payload.to_vec()))
            .collect();
        prop_assert_eq!(given, expected);
    }
}
