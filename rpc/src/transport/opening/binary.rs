//! TLS, where it is not spoken: a client's hello, and a server's alert.

use std::ops::RangeInclusive;

use super::Fit;

type Pattern = [RangeInclusive<u8>; 7];

const ANY: RangeInclusive<u8> = 0..=255;

/// How TLS begins. Read as a length, the first eight bytes are over 1 TiB; the first one, two or
/// four are followed by what begins no message.
const PATTERNS: [Pattern; 4] = [
    // A record that holds a handshake message, a `ClientHello` of less than 64 KiB (RFC 8446, 5.1
    // and 4).
    [22..=22, 3..=3, 0..=4, ANY, ANY, 1..=1, 0..=0],
    // A record that holds an alert: what a server answers to what it does not understand (RFC 8446,
    // 6).
    [21..=21, 3..=3, 0..=4, 0..=0, 2..=2, 1..=2, ANY],
    // A hello in the record of SSL 2.0, of the versions 2.0 and 3.x, with at least one cipher (RFC
    // 5246, E.2). None is so short that the second byte ends a line.
    [0x80..=0x83, 0x1c..=255, 1..=1, 0..=0, 2..=2, ANY, 1..=255],
    [0x80..=0x83, 0x1c..=255, 1..=1, 3..=3, 0..=4, ANY, 1..=255],
];

pub(super) fn fit(bytes: &[u8]) -> Fit {
    let fits = |pattern: &&Pattern| pattern.iter().zip(bytes).all(|(range, byte)| range.contains(byte));
    match PATTERNS.iter().find(fits) {
        Some(pattern) if bytes.len() >= pattern.len() => Fit::Certain("TLS"),
        Some(_) => Fit::Possible,
        None => Fit::None,
    }
}
