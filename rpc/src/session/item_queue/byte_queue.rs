//! Texts that wait one behind another in one buffer: none of them is an allocation of its own.

/// An empty queue keeps no more memory than this.
const KEPT: usize = 4 << 10;

/// The bytes of texts whose lengths the caller keeps. It takes up to about twice the memory that
/// they need.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    bytes: Vec<u8>,
    /// The start of the first text: bytes before it are taken, and their memory not reused yet.
    start: usize,
}

impl ByteQueue {
    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        if self.start > 0 && self.bytes.capacity() - self.bytes.len() < text.len() {
            self.make_room(text.len());
        }
        self.bytes.extend_from_slice(text);
    }

    /// The first text, which has `length` bytes.
    pub(super) fn first(&self, length: usize) -> &[u8] {
        &self.bytes[self.start..self.start + length]
    }

    /// Takes the first text out, which has `length` bytes.
    pub(super) fn pop(&mut self, length: usize) {
        self.start += length;
        if self.start == self.bytes.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        match self.bytes.capacity() > KEPT {
            true => self.bytes = Vec::new(),
            false => self.bytes.clear(),
        }
    }

    /// Makes the memory of taken texts usable again. The texts that wait are moved in place only if
    /// at least as many bytes were taken, which pays for the move; otherwise into a buffer of twice
    /// the size.
    fn make_room(&mut self, more: usize) {
        if self.start >= self.len() {
            self.bytes.drain(..self.start);
        } else {
            let mut bytes = Vec::with_capacity(2 * (self.len() + more));
            bytes.extend_from_slice(&self.bytes[self.start..]);
            self.bytes = bytes;
        }
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn texts_come_out_as_they_went_in() {
        let mut queue = ByteQueue::default();
        let mut lengths = VecDeque::new();
        let (mut pushed, mut popped) = (0_usize, 0_usize);
        // Never empty in between, of all lengths, growing and shrinking.
        for round in 0..2_000_usize {
            for _ in 0..=(round / 100) % 7 {
                let text = vec![pushed as u8; pushed % 50];
                queue.push(&text);
                lengths.push_back(text.len());
                pushed += 1;
            }
            while lengths.len() > 1 + (round / 300) * 20 {
                let length = lengths.pop_front().unwrap();
                assert_eq!(queue.first(length), vec![popped as u8; popped % 50]);
                queue.pop(length);
                popped += 1;
            }
            assert_eq!(queue.len(), lengths.iter().sum::<usize>());
        }
        assert!(popped > 5_000, "{popped}");
    }

    #[test]
    fn the_memory_is_about_twice_what_waits_however_much_passes() {
        let mut queue = ByteQueue::default();
        (0..100).for_each(|_| queue.push(&[7; 100]));
        for _ in 0..10_000 {
            queue.push(&[7; 100]);
            queue.pop(100);
        }
        assert_eq!(queue.len(), 10_000);
        assert!(queue.bytes.capacity() <= 21_000, "{}", queue.bytes.capacity());
    }

    #[test]
    fn an_empty_queue_keeps_little() {
        let mut queue = ByteQueue::default();
        queue.push(&[7; 100_000]);
        queue.pop(100_000);
        assert_eq!((queue.len(), queue.bytes.capacity()), (0, 0));
        queue.push(b"small");
        queue.pop(5);
        assert!(queue.bytes.capacity() > 0, "what is small is not worth looking for again");
    }
}
