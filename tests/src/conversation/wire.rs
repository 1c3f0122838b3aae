//! One direction of a link: lines that were sent and have not arrived yet.

use std::collections::VecDeque;

use rpc::framing::{Framer, NewlineFramer};

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// With what ends it.
    pub(super) bytes: Vec<u8>,
    /// Nobody sent it, or it answers something that nobody sent.
    pub(super) made_up: bool,
}

/// What arrived: bytes, and the lines that are complete now.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Line>,
}

/// Lines, of which the first may have arrived in part.
#[derive(Debug, Default)]
pub(super) struct Wire {
    lines: VecDeque<Line>,
    /// How much of the first has arrived.
    arrived: usize,
}

impl Wire {
    pub(super) fn post(&mut self, mut message: Vec<u8>, made_up: bool) {
        NewlineFramer::new().finish(&mut message, 0).expect("a line has no largest size");
        self.lines.push_back(Line { bytes: message, made_up });
    }

    pub(super) fn make_up(&mut self, line: &[u8]) {
        let line = line.iter().map(|&byte| if byte == b'\n' { b' ' } else { byte });
        self.post(line.collect(), true);
    }

    /// Takes up to so many bytes off the wire.
    pub(super) fn flow(&mut self, mut bytes: usize) -> Arrived {
        let mut arrived = Arrived::default();
        while let Some(first) = self.lines.front()
            && bytes > 0
        {
            let rest = &first.bytes[self.arrived..];
            let taken = rest.len().min(bytes);
            arrived.bytes.extend_from_slice(&rest[..taken]);
            self.arrived += taken;
            bytes -= taken;
            if taken == rest.len() {
                self.arrived = 0;
                arrived.lines.extend(self.lines.pop_front());
            }
        }
        arrived
    }

    pub(super) fn lose(&mut self, which: usize) {
        if let Some(at) = self.pick(which) {
            self.lines.remove(at);
        }
    }

    pub(super) fn double(&mut self, which: usize) {
        if let Some(at) = self.pick(which) {
            self.lines.insert(at, self.lines[at].clone());
        }
    }

    pub(super) fn delay(&mut self, which: usize) {
        if let Some(at) = self.pick(which)
            && let Some(line) = self.lines.remove(at)
        {
            self.lines.push_back(line);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// One of those of which nothing has arrived.
    fn pick(&self, which: usize) -> Option<usize> {
        let first = usize::from(self.arrived > 0);
        let untouched = self.lines.len().saturating_sub(first);
        (untouched > 0).then(|| first + which % untouched)
    }
}
