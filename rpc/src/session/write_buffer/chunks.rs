//! Which of the messages that were sent have left.
//!
//! What the handles of a session send is taken by its loop in loads, and written in the order in which
//! the loads were taken, with what the loop has written itself between them.

/// Where a message of a handle's stands: in which load, and how far in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::session) struct Position {
    pub(in crate::session) load: u32,
    pub(in crate::session) offset: u32,
}

/// The loads that the loop has taken, as far as they have not left.
#[derive(Debug)]
pub(crate) struct Loads {
    /// How many were taken.
    taken: u32,
    /// How many bytes have left, of loads and of the loop's own.
    left: u64,
    /// Those of which something may not have left: how many bytes come before them. The last one has the number `taken - 1`.
    starts: Vec<u64>,
}

impl Loads {
    pub(crate) const fn new() -> Self {
        Self { taken: 0, left: 0, starts: Vec::new() }
    }

    /// One more was taken, behind `waiting` bytes that have not left.
    pub(crate) fn take(&mut self, waiting: usize) {
        self.taken = self.taken.wrapping_add(1);
        self.starts.push(self.left + waiting as u64);
    }

    /// So many bytes have left, and `all` says whether nothing waits any more.
    pub(crate) fn leave(&mut self, bytes: usize, all: bool) {
        self.left += bytes as u64;
        if all {
            self.starts.clear();
        } else if let Some(over) = self.starts.iter().rposition(|start| *start <= self.left) {
            // That one is being written, and those before it are.
            self.starts.drain(..over);
        }
    }

    /// Whether the first byte of a message has left.
    pub(in crate::session) fn have_left(&self, Position { load, offset }: Position) -> bool {
        // How many loads were taken after it; one that was not taken is ahead of them all.
        let behind = self.taken.wrapping_sub(load).wrapping_sub(1);
        if behind > u32::MAX / 2 {
            return false;
        }
        let known = self.starts.len().checked_sub(1 + behind as usize);
        known.is_none_or(|at| self.left > self.starts[at] + u64::from(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(load: u32, offset: u32) -> Position {
        Position { load, offset }
    }

    #[test]
    fn a_message_has_left_when_its_first_byte_has() {
        let mut loads = Loads::new();
        assert!(!loads.have_left(at(0, 0)), "not taken");
        // Behind ten bytes of the loop's own.
        loads.take(10);
        assert!(!loads.have_left(at(0, 0)));
        loads.leave(10, false);
        assert!(!loads.have_left(at(0, 0)));
        loads.leave(1, false);
        assert!(loads.have_left(at(0, 0)) && !loads.have_left(at(0, 1)) && !loads.have_left(at(0, 30)));
        loads.leave(30, false);
        assert!(loads.have_left(at(0, 30)) && !loads.have_left(at(0, 31)) && !loads.have_left(at(1, 0)));
    }

    #[test]
    fn loads_that_wait_behind_each_other_are_told_apart() {
        let mut loads = Loads::new();
        loads.take(0);
        // The first has 100 bytes, and the loop has written 20 behind them.
        loads.take(120);
        loads.take(150);
        loads.leave(99, false);
        assert!(loads.have_left(at(0, 90)));
        for waiting in [at(1, 0), at(2, 0), at(3, 0)] {
            assert!(!loads.have_left(waiting), "{waiting:?}");
        }
        loads.leave(22, false);
        assert!(loads.have_left(at(0, 99)) && loads.have_left(at(1, 0)) && !loads.have_left(at(1, 1)));
        assert_eq!(loads.starts.len(), 2);
        loads.leave(100, true);
        assert!(loads.have_left(at(1, 29)) && loads.have_left(at(2, 500)) && !loads.have_left(at(3, 0)));
        assert_eq!(loads.starts.len(), 0);
        loads.take(0);
        assert!(loads.have_left(at(2, 500)) && !loads.have_left(at(3, 0)));
    }

    #[test]
    fn the_numbers_of_loads_begin_again() {
        let mut loads = Loads { taken: u32::MAX, ..Loads::new() };
        loads.take(0);
        assert!(!loads.have_left(at(u32::MAX, 0)) && !loads.have_left(at(0, 0)));
        loads.take(7);
        loads.leave(1, false);
        assert!(loads.have_left(at(u32::MAX, 0)) && !loads.have_left(at(0, 0)) && !loads.have_left(at(1, 0)));
        assert!(loads.have_left(at(u32::MAX - 1, 1_000)));
    }
}
