//! Who has taken the last item.

use std::sync::Arc;

use super::ItemChannel;

/// Who has taken the last item. Items come in rows for the same one, who then need not be looked up each time: that takes the lock of
/// the link.
///
/// It is right for as long as nobody else takes items under the same key, which only the reply to a call of ours can change; and one who
/// takes no more says so when given the next.
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
