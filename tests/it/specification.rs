//! The examples of the two specifications, as they are printed there.

mod v1;
mod v2;

use rpc::framing::{FrameError, Framed, Framer};

/// What is sent may stretch over several lines, as examples do, and ends with a NUL. What comes back is a line.
#[derive(Debug, Clone)]
struct Printed;

impl Framer for Printed {
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        Ok(match unread.iter().position(|&byte| byte == 0) {
            Some(end) => Framed::Frame { frame: 0..end, consumed: end + 1 },
            None => Framed::Incomplete { consumed: 0 },
        })
    }

    fn finish(&self, out: &mut Vec<u8>, _: usize) -> Result<(), FrameError> {
        out.push(b'\n');
        Ok(())
    }
}
