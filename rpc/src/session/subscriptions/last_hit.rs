//! The subscriber of the last item.

use std::sync::Arc;

use super::ItemChannel;

/// A cache of one entry: the channel that took the last item. Items tend to come in runs for one
/// key, and looking a key up takes the lock of the session.
///
/// The entry is valid as long as no second subscriber takes items under the key. Only a reply to a
/// call can add one: the loop forgets the entry then. A channel that has ended refuses the next
/// item.
#[derive(Debug, Default)]
pub(crate) struct LastHit(Option<(Box<str>, Arc<ItemChannel>)>);

impl LastHit {
    pub(crate) fn find(&self, key: &str) -> Option<&Arc<ItemChannel>> {
        self.0.as_ref().and_then(|(known, channel)| (**known == *key).then_some(channel))
    }

    pub(crate) fn set(&mut self, key: &str, channel: &Arc<ItemChannel>) {
        self.0 = Some((key.into(), Arc::clone(channel)));
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
