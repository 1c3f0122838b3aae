//! A subscription whose items are not decoded yet.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::de::DeserializeOwned;

use crate::{
    jsonrpc::{Overflow, RawParams, subscription},
    session::{
        Session,
        subscriptions::{ItemChannel, Source, Taken},
    },
};

/// The most memory that is kept for the next item, in bytes.
const KEPT: usize = 4 << 10;

/// A subscription that does not know the type of its items: what a [`Subscriber`](super::Subscriber) makes, and a
/// [`Subscription`](super::Subscription) reads.
pub struct RawSubscription {
    channel: Arc<ItemChannel>,
    session: Session,
    source: Source,
    /// The JSON of the item that was taken last.
    json: Vec<u8>,
}

impl RawSubscription {
    pub(crate) const fn new(session: Session, channel: Arc<ItemChannel>, source: Source) -> Self {
        Self { channel, session, source, json: Vec::new() }
    }

    /// The notifications of one name.
    pub(in crate::session) fn listening(session: &Session, method: &str) -> Self {
        let link = session.link();
        let channel =
            Arc::new(ItemChannel::new(link.bounds_of_ours(Overflow::DropOldest), link.full_channels()));
        link.listen(method, &channel);
        Self::new(session.clone(), channel, Source::Notifications(method.into()))
    }

    /// The session that the items come by.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn poll_take(&mut self, cx: &Context<'_>) -> Poll<Taken> {
        // Only a large item needed so much.
        self.json.shrink_to(KEPT);
        let (taken, resumes) = ready!(self.channel.poll_take(cx, &mut self.json));
        if resumes {
            self.session.link().wake();
        }
        Poll::Ready(taken)
    }

    /// Reads the item that was taken last.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if let Source::Notifications(_) = self.source {
            // Where they had no parameters, that is `()` as it is to a handler.
            return RawParams::from_json(std::str::from_utf8(&self.json).unwrap_or_default()).read();
        }
        serde_json::from_slice(&self.json).or_else(|error| match subscription::judge_item(&self.json) {
            Ok(item) => serde_json::from_str(item.get()),
            Err(message) => {
                self.session.link().judge_later(message);
                Err(error)
            }
        })
    }
}

impl Drop for RawSubscription {
    fn drop(&mut self) {
        let link = self.session.link();
        if self.channel.give_up() {
            link.wake();
        }
        link.close_channel(&self.source, &self.channel);
    }
}

impl fmt::Debug for RawSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscription").field("source", &self.source).finish_non_exhaustive()
    }
}
