//! What one link has to remember between messages, without I/O: the calls of ours that wait for a reply.

use super::{Id, table::Table, version};

/// A call in flight. Ids rise by one from 1 and are not used again on the same link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// The call that a response with this id answers: `None` where the id is none that a call of ours can have.
    pub fn answered_by(id: Id<'_>) -> Option<Self> {
        id.as_call().map(Self)
    }

    /// The number that stands on the wire.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Appends what does not depend on a request's id: the method and its parameters, as members of a message.
///
/// It is written apart from the rest so that whoever sends can do it before taking a lock.
///
/// # Errors
///
/// Those of `params`, which appends the JSON text of an array or an object.
pub fn write_body<E>(
    out: &mut Vec<u8>,
    method: &str,
    params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.extend_from_slice(br#""method":"#);
    version::put(out, method);
    out.extend_from_slice(br#","params":"#);
    params(out)
}

/// One side of a link. `T` is what the owner keeps with each call in flight (a waker, a channel, a name).
///
/// It writes messages into a buffer of the caller's and matches replies to calls.
#[derive(Debug)]
pub struct Connection<T> {
    calls: Table<T>,
}

impl<T> Connection<T> {
    /// Nothing is in flight yet.
    pub const fn new() -> Self {
        Self { calls: Table::new() }
    }

    /// Appends a request to `out` and remembers it. `body` is what [`write_body`] has written.
    pub fn request(&mut self, out: &mut Vec<u8>, body: &[u8], call: T) -> CallId {
        let id = self.calls.insert(call);
        version::v2::put_request(out, id, body);
        CallId(id)
    }

    /// Appends a notification to `out`. `body` is what [`write_body`] has written.
    pub fn notification(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        version::v2::put_notification(out, body);
    }

    /// Ends a call, or forgets it: a reply that still comes then matches nothing.
    pub fn remove(&mut self, call: CallId) -> Option<T> {
        self.calls.remove(call.0)
    }

    /// Whether the call was made on this link, whatever became of it.
    pub fn has_sent(&self, call: CallId) -> bool {
        (1..=self.calls.last()).contains(&call.0)
    }

    /// Every call that was not removed yet.
    pub fn calls(&self) -> impl Iterator<Item = (CallId, &T)> {
        self.calls.iter().map(|(id, call)| (CallId(id), call))
    }

    /// Ends every call.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.calls.drain()
    }

    /// How many calls were not removed yet.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Connection<T> {
    fn default() -> Self {
        Self::new()
    }
}
