//! A subscription that a script plays.

use std::sync::{Mutex, PoisonError};

use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::pair_with;
use crate::{
    jsonrpc::{ErrorObject, MethodInfo, Overflow, SubscriptionInfo, SubscriptionStyle},
    limits::Limits,
    service::{Args, Handled, Request, Service, Sink, no_such_method, subscribe},
    session::{CallError, Items, RawSubscription, Subscribe},
};

/// The method that begins it on the session in memory. The subscriber does not see it.
const METHOD: &str = "play";

const STYLE: SubscriptionInfo =
    SubscriptionInfo::new(SubscriptionStyle::PubSub, "played").with_unsubscribe("stop");

/// What comes of one subscription.
#[derive(Debug)]
pub(super) struct Played {
    items: Vec<Box<RawValue>>,
    end: End,
}

/// What becomes of it behind its items.
#[derive(Debug)]
pub(super) enum End {
    Finished,
    Failed(ErrorObject),
    /// Nothing.
    Waits,
}

impl Played {
    pub(super) fn new<T: Serialize>(
        items: impl IntoIterator<Item = T>,
        end: End,
    ) -> serde_json::Result<Self> {
        let written = items.into_iter().map(|item| to_raw_value(&item));
        Ok(Self { items: written.collect::<Result<_, _>>()?, end })
    }

    /// A session in memory, whose peer sends the items: the subscriber finds all as it is in earnest. The
    /// style in which the service has them on the wire makes no difference to that.
    pub(super) async fn begin(self) -> Result<RawSubscription, CallError> {
        let (session, _peer) = pair_with((), Limits::unlimited(), Peer::new(self), Limits::unlimited());
        let subscribe = Subscribe::<_, _, Items<()>>::untyped(&session, METHOD, ()).described_by(STYLE);
        subscribe.overflow(Overflow::Wait).raw().await
    }
}

/// Serves one subscription, once.
struct Peer {
    methods: [MethodInfo; 1],
    played: Mutex<Option<Played>>,
}

impl Peer {
    fn new(played: Played) -> Self {
        let methods = [MethodInfo::request(METHOD).with_subscription(STYLE)];
        Self { methods, played: Mutex::new(Some(played)) }
    }
}

impl Service for Peer {
    fn methods(&self) -> &[MethodInfo] {
        &self.methods
    }

    fn call(&self, _: usize, request: Request<'_>) -> Handled {
        let played = self.played.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Played { items, end }) = played else { return no_such_method(request) };
        let end = match end {
            End::Finished => stream::empty().boxed(),
            End::Failed(error) => stream::iter([Err(error)]).boxed(),
            End::Waits => stream::pending().boxed(),
        };
        let items = stream::iter(items).map(Ok::<_, ErrorObject>).chain(end);
        subscribe(
            request,
            |args: Args<'_>| args.decode::<()>(),
            |(), sink: Sink| sink.run::<false, true, _>(items),
        )
    }
}
