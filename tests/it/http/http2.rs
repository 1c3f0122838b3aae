//! Frames of HTTP/2, by hand (RFC 9113).

/// What a client of HTTP/2 begins with: the preface, and settings that say nothing.
pub(super) const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `POST http://localhost/` with JSON (RFC 7541: fields of the static table, and literals that are not indexed).
pub(super) const HEADERS: &[u8] = b"\x83\x86\x84\x01\x09localhost\x0f\x10\x10application/json";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS_FRAME: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const CANCEL: [u8; 4] = [0, 0, 0, 8];
pub(super) const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 0xb];

/// RFC 9113, section 4.1.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The ids of streams that a client opens.
pub(super) fn streams() -> impl Iterator<Item = u32> {
    (1..0x7fff_ffff).step_by(2)
}
