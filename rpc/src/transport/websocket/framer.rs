//! The frames of a WebSocket as a session's framing.

use std::sync::Arc;

use crate::{
    framing::{
        AnyFramer, FrameError, Framed,
        websocket::{Ahead, Close, FrameReader, FrameWriter, Read, Violation},
    },
    transport::{CloseFrame, ControlFrames},
};

/// Messages for the session, and what else comes for the stream.
#[derive(Debug)]
pub(super) struct WebSocketFramer {
    reader: FrameReader,
    writer: FrameWriter,
    control: Arc<ControlFrames>,
    /// Whether the frames behind what is broken can be told apart.
    in_step: bool,
}

impl WebSocketFramer {
    pub(super) const fn new(reader: FrameReader, writer: FrameWriter, control: Arc<ControlFrames>) -> Self {
        Self { reader, writer, control, in_step: true }
    }

    /// What follows a control frame: a message goes on around it, or none is under way.
    fn behind_control(&self, consumed: usize) -> Framed {
        match self.reader.is_within_message(&[]) {
            true => Framed::Incomplete { consumed },
            false => Framed::Between { consumed },
        }
    }

    #[cold]
    fn fail(&mut self, violation: Violation) -> FrameError {
        self.in_step = violation.in_step;
        self.control.fail(CloseFrame { code: violation.code, reason: violation.reason() });
        violation.error
    }

    #[cold]
    fn took_control(&self, read: Read, unread: &[u8]) -> Framed {
        let consumed = match read {
            Read::Ping { payload, consumed } => {
                self.control.answer(&unread[payload]);
                consumed
            }
            Read::Close { close: Close { code, reason }, consumed } => {
                self.control.peer_closes(CloseFrame { code, reason });
                consumed
            }
            Read::Pong { consumed } | Read::Fragment { consumed } => consumed,
            Read::Joined { message, consumed } => return Framed::Decoded { frame: message, consumed },
            Read::Message { message, consumed } => return Framed::Frame { frame: message, consumed },
            Read::Partial => {
                return match self.reader.is_within_message(unread) {
                    true => Framed::Incomplete { consumed: 0 },
                    false => Framed::Between { consumed: 0 },
                };
            }
        };
        self.behind_control(consumed)
    }
}

impl AnyFramer for WebSocketFramer {
    fn is_own(&self) -> bool {
        true
    }

    fn next(&mut self, unread: &mut [u8]) -> Result<Framed, FrameError> {
        match self.reader.next(unread) {
            Ok(Read::Message { message, consumed }) => Ok(Framed::Frame { frame: message, consumed }),
            Ok(read) => Ok(self.took_control(read, unread)),
            Err(violation) => Err(self.fail(violation)),
        }
    }

    fn put_back(&mut self) {
        self.reader.put_back();
    }

    fn taken(&mut self) {
        self.reader.taken();
    }

    fn begin(&self, out: &mut Vec<u8>) {
        self.writer.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        self.writer.finish(out, start);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.reader.set_limit(bytes);
    }

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(WebSocketWriter(self.writer))
    }

    fn is_handshaken(&self) -> bool {
        true
    }

    fn kept(&self) -> usize {
        self.reader.kept()
    }

    fn not_text(&mut self, frame: &[u8]) -> Option<FrameError> {
        if !self.reader.is_unchecked_text() {
            return None;
        }
        let error = std::str::from_utf8(frame).err()?;
        Some(self.fail(Violation::text(error)))
    }

    fn look_ahead(&mut self, unread: &[u8]) -> bool {
        while let Some(ahead) = self.reader.look_ahead(unread) {
            match ahead {
                Ahead::Ping(payload) => self.control.answer(&payload),
                Ahead::Close(Close { code, reason }) => {
                    self.control.peer_closes(CloseFrame { code, reason });
                    return true;
                }
            }
        }
        false
    }

    fn is_in_step(&self) -> bool {
        self.in_step
    }
}

/// What a session's copies of its framer are for: they only write. There are two in each session, so that they are kept small.
#[derive(Debug)]
struct WebSocketWriter(FrameWriter);

impl AnyFramer for WebSocketWriter {
    fn is_own(&self) -> bool {
        true
    }

    fn next(&mut self, _: &mut [u8]) -> Result<Framed, FrameError> {
        Err(FrameError::Invalid("this framer only writes".to_owned()))
    }

    fn put_back(&mut self) {}

    fn begin(&self, out: &mut Vec<u8>) {
        self.0.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        self.0.finish(out, start);
        Ok(())
    }

    fn set_limit(&mut self, _: usize) {}

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(Self(self.0))
    }

    fn of_sent(&self) -> Box<dyn AnyFramer> {
        let reader = FrameReader::new(self.0.role().other());
        Box::new(WebSocketFramer::new(reader, self.0, Arc::default()))
    }
}
