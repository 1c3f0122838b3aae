//! Every message, shown at the level `TRACE` to whoever asks for it; otherwise this costs a look at the level.

use tracing::{Level, enabled, trace};

use super::Driver;
use crate::{
    framing::{AnyFramer, Framed},
    jsonrpc::{secret, shown::brief_to},
};

/// How much is shown of a message, in bytes.
const LONGEST: usize = 64 << 10;

impl Driver {
    pub(super) fn show_received(&self, frame: &[u8]) {
        if enabled!(Level::TRACE) {
            let text = brief_to(LONGEST, secret::shown(frame));
            trace!(rpc.system.name = "jsonrpc", session = self.link.id, %text, "message received");
        }
    }

    /// Shows what is about to leave, and was not shown yet.
    pub(super) fn show_sent(&mut self) {
        if enabled!(Level::TRACE) {
            let (framer, bytes) = self.write_buffer.take_unshown();
            each_message(framer, bytes, |message| {
                let text = brief_to(LONGEST, secret::shown(message));
                trace!(rpc.system.name = "jsonrpc", session = self.link.id, %text, "message sent");
            });
        }
    }
}

/// Takes apart what was framed. A framer that only writes may not be able to; then all of it is one.
fn each_message(mut framer: Box<dyn AnyFramer>, bytes: &[u8], mut show: impl FnMut(&[u8])) {
    // What is sent stays as it is.
    let mut copy = bytes.to_vec();
    let mut bytes = &mut *copy;
    while !bytes.is_empty() {
        let consumed = match framer.next(bytes) {
            Ok(Framed::Frame { frame, consumed }) => {
                show(&bytes[frame]);
                consumed
            }
            Ok(Framed::Decoded { frame, consumed }) => {
                show(&frame);
                consumed
            }
            Ok(Framed::Between { consumed }) => consumed,
            Ok(
                Framed::Incomplete { consumed }
                | Framed::Oversized { consumed, .. }
                | Framed::Dropping { consumed, .. }
                | Framed::Dropped { consumed, .. },
            ) if consumed > 0 => consumed,
            _ => return show(bytes),
        };
        bytes = &mut bytes[consumed..];
    }
}
