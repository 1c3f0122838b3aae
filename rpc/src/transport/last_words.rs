//! What a peer has sent that closes without having sent a message: it may speak something else.

use std::io;

/// Explains the last bytes of a peer that has closed, where they are known to be no beginning of a message.
pub(crate) fn explain_last_words(bytes: &[u8]) -> Option<io::Error> {
    match bytes {
        // What a server of TLS says to a client that speaks something else: a fatal alert (RFC 8446, section 6), and nothing more.
        [21, 3, _, 0, 2, 2, _] => Some(io::Error::new(
            io::ErrorKind::InvalidData,
            "the peer speaks TLS, and this side does not: use a URL of TLS",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_alert_of_tls_is_known_and_nothing_else_is() {
        // A message that it did not expect, in the records of several versions.
        for version in 0..=4 {
            assert!(explain_last_words(&[21, 3, version, 0, 2, 2, 10]).is_some());
        }
        for other in [
            &b""[..],
            b"{\"jsonr",
            // That it closes: a warning.
            &[21, 3, 3, 0, 2, 1, 0],
            // Half of it, and more than it.
            &[21, 3, 3, 0, 2, 2],
            &[21, 3, 3, 0, 2, 2, 10, 0],
            // A handshake.
            &[22, 3, 3, 0, 2, 2, 10],
        ] {
            assert!(explain_last_words(other).is_none(), "{other:?}");
        }
    }
}
