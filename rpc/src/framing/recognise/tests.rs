use super::{Beginning::*, *};

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#;

const EACH: [(&str, Framing); 11] = [
    ("lines", Framing::Lines),
    ("values", Framing::Values),
    ("headers", Framing::Headers),
    ("netstrings", Framing::Netstrings),
    ("u8", of(1, false)),
    ("u16_be", of(2, false)),
    ("u16_le", of(2, true)),
    ("u32_be", of(4, false)),
    ("u32_le", of(4, true)),
    ("u64_be", of(8, false)),
    ("u64_le", of(8, true)),
];

const fn of(width: usize, is_little: bool) -> Framing {
    lengths(width, if is_little { Little } else { Big })
}

fn framed(framing: Framing, message: &str) -> Vec<u8> {
    let (framer, mut out) = (framing.framer(), Vec::new());
    framer.begin(&mut out);
    out.extend_from_slice(message.as_bytes());
    framer.finish(&mut out, 0).expect("it fits");
    out
}

/// A typical limit of a server.
const LIMIT: usize = 1_000_000;

/// Possible starts of the first JSON-RPC message.
const MESSAGES: [&str; 5] = [
    REQUEST,
    r#"{"id":1,"method":"m","params":[]}"#,
    r#"{ "id" : 1, "method" : "m" }"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","id":2,"method":"m"}]"#,
    r#"{"jsonrpc":"2.0","method":"m"}"#,
];

/// Whole and byte by byte: it must not be taken for another framing on the way.
#[test]
fn what_fits_is_left_alone_however_it_arrives() {
    for (name, framing) in EACH {
        for message in MESSAGES {
            let bytes = framed(framing, message);
            for length in 1..=bytes.len() {
                let beginning = framing.judge(&bytes[..length], LIMIT, false);
                assert!(
                    matches!(beginning, Fitting | Undecided),
                    "{name}: {} is {beginning:?}",
                    bytes[..length].escape_ascii()
                );
            }
            assert_eq!(framing.judge(&bytes, LIMIT, false), Fitting, "{name}: {message}");
        }
    }
}

/// Pairs that cannot be told apart by the first bytes: either stream is valid in the other framing
/// so far.
fn are_alike(expected: Framing, sent: Framing) -> bool {
    match (expected, sent) {
        (one, other) if one == other => true,
        (Framing::Lines | Framing::Values, Framing::Lines | Framing::Values) => true,
        // A two-byte length is plausible in either byte order.
        (Framing::Lengths(one), Framing::Lengths(other)) => one.width == 2 && other.width == 2,
        _ => false,
    }
}

#[test]
fn another_framing_is_known_by_its_first_message() {
    for (name, expected) in EACH {
        for (other, sent) in EACH {
            if are_alike(expected, sent) {
                continue;
            }
            let bytes = framed(sent, REQUEST);
            let seen = if sent == Framing::Values { Framing::Lines } else { sent };
            assert_eq!(expected.judge(&bytes, LIMIT, false), Other(seen), "{other} where {name} is expected");
            assert_eq!(Framing::seen_in(&bytes), Some(seen), "{other}");
        }
    }
}

#[test]
fn what_is_of_no_framing_is_known_where_it_cannot_be_of_the_expected_one() {
    for text in
        ["hello, world\n", "login> ", "Usage of it\n", "\x7fELF\x02\x01\x01\x00\x00\x00", "-ERR no\r\n"]
    {
        for (name, framing) in EACH {
            assert_eq!(
                framing.judge(text.as_bytes(), LIMIT, false),
                Nothing,
                "{text:?} where {name} is expected"
            );
        }
        assert_eq!(Framing::seen_in(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn a_line_of_json_that_is_no_message_is_left_to_the_reader() {
    for line in ["null\n", "5\n", "\"text\"\r\n", "true\n", "-1.5e3\n"] {
        assert_eq!(Framing::Lines.judge(line.as_bytes(), LIMIT, false), Fitting, "{line:?}");
        let begun = line.trim_ascii_end().as_bytes();
        assert_eq!(Framing::Lines.judge(begun, LIMIT, false), Undecided, "{line:?}");
        assert_eq!(Framing::Lines.judge(begun, LIMIT, true), Fitting, "{line:?}");
    }
    for line in ["npm warn\n", "200 OK\n", "\"text\n", "fine\n"] {
        assert_eq!(Framing::Lines.judge(line.as_bytes(), LIMIT, false), Nothing, "{line:?}");
    }
}

/// Bytes held back occupy memory.
#[test]
fn no_more_is_held_than_tells() {
    for (name, framing) in EACH {
        for byte in [b'5', b'a', b'"', b'\0', b' '] {
            let beginning = framing.judge(&[byte; HELD], LIMIT, false);
            assert_ne!(beginning, Undecided, "{} where {name} is expected", byte.escape_ascii());
        }
    }
}

#[test]
fn each_has_names_of_its_own_and_its_own_framer() {
    for (framing, protocol, code) in NAMES {
        assert_eq!(framing.framer().framing(), Some(framing));
        assert_eq!(Framing::called(protocol), Some(framing));
        assert_eq!((framing.protocol(), framing.in_code()), (protocol, code));
    }
    assert_eq!(Framing::called("HTTP"), None);
}
