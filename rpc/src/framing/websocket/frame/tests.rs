use super::*;

const LENGTHS: [u64; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, (1 << 63) - 1];

#[test]
fn what_is_written_is_read_and_not_before_it_is_whole() {
    for from in [Role::Client, Role::Server] {
        for length in LENGTHS {
            for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
                for is_final in [false, true] {
                    let mask = from.masks().then_some([1, 2, 3, 4]);
                    let header = FrameHeader { opcode, is_final, length, mask };
                    let mut out = vec![0; header.size()];
                    header.write(&mut out);
                    for part in 0..out.len() {
                        assert_eq!(FrameHeader::parse(&out[..part], from), Ok(None), "{header:?} {part}");
                    }
                    let whole = Some((header, out.len()));
                    out.extend([0xff; 10]);
                    assert_eq!(FrameHeader::parse(&out, from), Ok(whole));
                }
            }
        }
    }
}

#[test]
fn a_broken_rule_is_found_with_the_byte_that_breaks_it() {
    let cases: [(&[u8], Role); 18] = [
        (&[0xc1], Role::Client),
        (&[0xa1], Role::Client),
        (&[0x91], Role::Server),
        (&[0x83], Role::Client),
        (&[0x87], Role::Client),
        (&[0x8b], Role::Client),
        (&[0x8f], Role::Server),
        (&[0x08], Role::Client),
        (&[0x09], Role::Client),
        (&[0x81, 0x05], Role::Client),
        (&[0x81, 0x85], Role::Server),
        (&[0x89, 0xfe], Role::Client),
        (&[0x88, 0x7f], Role::Server),
        (&[0x81, 126, 0, 125], Role::Server),
        (&[0x81, 0xfe, 0, 0], Role::Client),
        (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Role::Server),
        (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0], Role::Server),
        (&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Role::Server),
    ];
    for (bytes, from) in cases {
        let (_, before) = bytes.split_last().expect("bytes");
        assert_eq!(FrameHeader::parse(before, from), Ok(None), "{bytes:x?}");
        let violation = FrameHeader::parse(bytes, from).expect_err("a rule is broken");
        assert_eq!(violation.code, 1002, "{bytes:x?}");
    }
}

#[test]
fn every_byte_gets_its_own_byte_of_the_mask() {
    for size in 0..100 {
        let bytes: Vec<u8> = (0..size).map(|at: u8| at.wrapping_mul(37)).collect();
        let mut masked = bytes.clone();
        apply_mask(&mut masked, [1, 20, 77, 255]);
        for (at, (byte, masked)) in bytes.iter().zip(&masked).enumerate() {
            assert_eq!(byte ^ [1, 20, 77, 255][at % 4], *masked);
        }
        apply_mask(&mut masked, [1, 20, 77, 255]);
        assert_eq!(masked, bytes);
    }
}

fn close(code: u16, reason: &str) -> ClosePayload {
    ClosePayload { code, reason: reason.to_owned() }
}

#[test]
fn what_is_said_is_understood() {
    let cases: [(&[u8], ClosePayload); 4] = [
        (b"", close(NO_CODE, "")),
        (b"\x03\xe8", close(1000, "")),
        (b"\x03\xe9gone", close(1001, "gone")),
        (b"\x13\x87\xc3\xa4", close(4999, "ä")),
    ];
    for (payload, close) in cases {
        assert_eq!(ClosePayload::parse(payload), Ok(close.clone()));
        assert_eq!(close.payload(), payload);
    }
}

#[test]
fn what_may_not_be_said_breaks_a_rule() {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
    for payload in codes.map(|code: u16| code.to_be_bytes().to_vec()).into_iter().chain([vec![3]]) {
        let violation = ClosePayload::parse(&payload).expect_err("a rule is broken");
        assert_eq!(violation.code, 1002, "{payload:?}");
    }
    assert_eq!(ClosePayload::parse(b"\x03\xe8\xff").expect_err("it is no text").code, 1007);
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let payload = close(1000, &"ä".repeat(100)).payload();
    assert_eq!(payload.len(), 124);
    assert_eq!(ClosePayload::parse(&payload), Ok(close(1000, &"ä".repeat(61))));
}
