//! Lines out of a stream.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Grows while reads fill it.
pub struct Lines {
    unread: BytesMut,
    /// How much of it is known to hold no line end.
    searched: usize,
}

const ROOM: usize = 4 << 10;
const MOST_ROOM: usize = 1 << 20;

impl Lines {
    pub fn new() -> Self {
        Self { unread: BytesMut::with_capacity(ROOM), searched: 0 }
    }

    /// Reads once: false at the end of the stream. Cancel safe.
    pub async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        if self.unread.capacity() - self.unread.len() < ROOM / 2 {
            // Twice as much each time, so that a long line is copied a few times and not often.
            self.unread.reserve(self.unread.capacity().clamp(ROOM, MOST_ROOM));
        }
        Ok(from.read_buf(&mut self.unread).await? > 0)
    }

    /// Hands every whole line over.
    pub fn each(&mut self, mut take: impl FnMut(&[u8])) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &self.unread[self.searched..]) {
            let end = self.searched + end;
            take(&self.unread[start..end]);
            start = end + 1;
        }
        self.unread.advance(start);
        self.searched = self.unread.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_out_whole_however_they_arrive() {
        let text = "one\n\ntwo and a half\nthree\n";
        for step in 1..=text.len() {
            let (mut lines, mut found) = (Lines::new(), Vec::new());
            for mut piece in text.as_bytes().chunks(step) {
                assert!(lines.read(&mut piece).await.unwrap());
                lines.each(|line| found.push(String::from_utf8(line.to_vec()).unwrap()));
            }
            assert_eq!(found, ["one", "", "two and a half", "three"], "in pieces of {step}");
        }
    }
}
