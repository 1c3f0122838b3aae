//! Values in flight, found by id: a table whose slot is given by the low bits of the id.
//!
//! Ids count up and are never used again, so a late or duplicate reply cannot complete another
//! call. An id whose slot is taken is skipped, and the table is kept at most half full, so skipping
//! is rare. A lookup is an index and a comparison: no hashing, no free list.

#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<Option<(u64, T)>>,
    len: usize,
    last: u64,
}

const MIN_SLOTS: usize = 4;

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), len: 0, last: 0 }
    }

    /// An empty table, whose first id comes after `last`.
    #[cfg(feature = "http")]
    pub(crate) const fn after(last: u64) -> Self {
        Self { slots: Vec::new(), len: 0, last }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The latest id.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Ids start at 1: some servers answer notifications with the id 0.
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        if self.len * 2 >= self.slots.len() {
            self.resize((self.slots.len() * 2).max(MIN_SLOTS));
        }
        loop {
            self.last += 1;
            let slot = self.slot(self.last);
            if self.slots[slot].is_none() {
                self.slots[slot] = Some((self.last, value));
                self.len += 1;
                return self.last;
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let slot = self.slot(id);
        match self.slots.get_mut(slot)? {
            Some((found, value)) if *found == id => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let slot = self.slot(id);
        let (_, value) = self.slots.get_mut(slot)?.take_if(|(found, _)| *found == id)?;
        self.len -= 1;
        // The memory of a burst is given back. An empty table has nothing to move.
        if self.len == 0 && self.slots.len() > 1024 {
            self.slots = Vec::new();
        }
        Some(value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.slots.iter_mut().flatten().map(|(id, value)| (*id, value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().flatten().map(|(id, value)| (*id, value))
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.len = 0;
        std::mem::take(&mut self.slots).into_iter().flatten().map(|(_, value)| value)
    }

    fn slot(&self, id: u64) -> usize {
        // The length is a power of two, or zero: then the index is past the end.
        (id as usize) & self.slots.len().wrapping_sub(1)
    }

    /// Two ids that differ in their low bits also differ in more bits, so growing never collides.
    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, std::iter::repeat_with(|| None).take(size).collect());
        for (id, value) in old.into_iter().flatten() {
            let slot = self.slot(id);
            self.slots[slot] = Some((id, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_used_twice() {
        let mut calls = Table::new();
        let stuck = calls.insert("stuck");
        let mut seen = vec![stuck];
        for _ in 0..1000 {
            let id = calls.insert("other");
            assert!(id > *seen.last().expect("one"));
            seen.push(id);
            assert_eq!(calls.remove(id), Some("other"));
            assert_eq!(calls.remove(id), None, "a doubled reply");
        }
        assert_eq!(calls.remove(stuck), Some("stuck"));
        assert_eq!(calls.len(), 0);
    }

    #[test]
    fn it_grows_and_keeps_every_call() {
        let mut calls = Table::new();
        let ids: Vec<u64> = (0..5000).map(|n| calls.insert(n)).collect();
        assert_eq!(calls.len(), 5000);
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(calls.get_mut(*id).copied(), Some(n));
        }
        for (n, id) in ids.iter().enumerate().rev() {
            assert_eq!(calls.remove(*id), Some(n));
        }
        assert_eq!(calls.slots.len(), 0, "the memory of a burst is given back");
    }

    #[test]
    fn an_unknown_id_finds_nothing() {
        let mut calls = Table::<()>::new();
        assert_eq!(calls.remove(0), None);
        assert_eq!(calls.remove(u64::MAX), None);
        let id = calls.insert(());
        assert_eq!(calls.remove(id + 4), None, "same slot, other id");
        assert_eq!(calls.remove(id), Some(()));
    }
}
