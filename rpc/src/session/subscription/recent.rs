//! Who has taken the last item.

use std::sync::Arc;

use super::Inlet;

/// Who has taken the last item. Items come in rows for the same one, who then need not be looked up each time: that takes the lock of
/// the link.
///
/// It is right for as long as nobody else takes items under the same key, which only the reply to a call of ours can change; and one who
/// takes no more says so when given the next.
#[derive(Debug, Default)]
pub(crate) struct Recent(Option<(Box<str>, Arc<Inlet>)>);

impl Recent {
    pub(crate) fn find(&self, key: &str) -> Option<&Arc<Inlet>> {
        self.0.as_ref().and_then(|(known, inlet)| (**known == *key).then_some(inlet))
    }

    pub(crate) fn set(&mut self, key: &str, inlet: &Arc<Inlet>) {
        self.0 = Some((key.into(), Arc::clone(inlet)));
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
