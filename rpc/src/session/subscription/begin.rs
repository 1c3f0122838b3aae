//! Beginning a subscription of a session: the call, its reply, and dropping the future before that.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use futures::future::BoxFuture;

use super::{OutgoingSubscription, RawSubscription, Subscriber};
use crate::{
    jsonrpc::{ProtocolError, Reply, shown::brief},
    session::{
        Bounds, CallError, Session, Shared,
        room::when_there_is_room,
        slot::Slot,
        subscriptions::{ItemChannel, NewSubscription, PendingSubscription, Source},
    },
};

impl Subscriber for Session {
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        Box::pin(begin(self.clone(), subscription))
    }
}

async fn begin(
    session: Session,
    mut subscription: OutgoingSubscription<'_>,
) -> Result<RawSubscription, CallError> {
    let link = session.link();
    let token = subscription.token.map(|_| link.next_token());
    if let (Some(path), Some(token)) = (subscription.token, &token) {
        subscription.call = subscription.call.with_token(token, path)?;
    }
    let call = &subscription.call;
    let bounds = link.bounds_of_ours(subscription.overflow);
    let bounds = Bounds { items: subscription.buffer.unwrap_or(bounds.items), ..bounds };
    let channel = match subscription.style.is_progress() {
        true => ItemChannel::of_work(bounds, link.full_channels()),
        false => ItemChannel::new(bounds, link.full_channels()),
    };
    let new = NewSubscription {
        style: subscription.style,
        method: call.method(),
        params: call.params(),
        positional: subscription.positional.as_deref(),
        empty_params: call.empty_params(),
        token: token.as_ref(),
        item: Some(subscription.item).filter(|item| !item.is_empty()),
        unsubscribe: subscription.unsubscribe,
    };
    let pending = Arc::new(PendingSubscription::new(new, Arc::new(channel)));
    if call.is_late() {
        return Err(CallError::Timeout(Duration::ZERO));
    }
    let default = link.limits.call_timeout();
    let mut room = None;
    let sent = poll_fn(|cx| {
        when_there_is_room(
            link,
            &mut room,
            || call.timeout_or(default),
            cx,
            |turn, _| {
                // How long work takes says nothing about how fast the peer answers.
                if pending.work().is_none() {
                    link.find_place(&mut turn.place)?;
                }
                let timeout = call.times_out(turn.since, default);
                let slot = Slot::waiting(None);
                link.send_subscribe(call.body(), &slot, timeout, &pending, &mut turn.place)
                    .map(|id| (id, slot))
            },
        )
    });
    let (id, slot) = sent.await.map_err(|not_sent| not_sent.into_call_error(call.method()))?;
    tracing::debug!(
        rpc.system.name = "jsonrpc",
        rpc.method = %brief(call.method()),
        jsonrpc.request.id = id.value(),
        session = link.id,
        "subscribe"
    );
    let unless_answered = AbandonOnDrop { link, pending: Some(Arc::clone(&pending)) };
    if let Some(key) = pending.work() {
        // The first report begins it; a reply without any report ends it.
        let reply = poll_fn(|cx| match pending.channel.poll_ready(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(None)),
            Poll::Pending => slot.poll(cx.waker()).map_ok(Some),
        });
        let reply = reply.await?;
        unless_answered.disarm();
        if let Some(Err(error)) = reply.map(Reply::into_result) {
            return Err(CallError::of_reply(call.method(), error));
        }
        let source = Source::Subscription { key: key.clone(), pending: Arc::clone(&pending) };
        return Ok(RawSubscription::new(session, Arc::clone(&pending.channel), source));
    }
    let reply = poll_fn(|cx| slot.poll(cx.waker())).await?;
    unless_answered.disarm();
    match pending.key(&reply) {
        Some((key, _)) => {
            let channel = Arc::clone(&pending.channel);
            Ok(RawSubscription::new(session, channel, Source::Subscription { key, pending }))
        }
        None => Err(match reply.into_result() {
            Err(error) => CallError::of_reply(call.method(), error),
            Ok(_) => CallError::Protocol {
                method: call.method().to_owned(),
                source: ProtocolError::MalformedReply { reason: "it names no subscription".to_owned() },
            },
        }),
    }
}

/// Dropping the future of the caller ends the subscription: the peer must not go on sending items that
/// no subscriber takes.
struct AbandonOnDrop<'a> {
    link: &'a Shared,
    pending: Option<Arc<PendingSubscription>>,
}

impl AbandonOnDrop<'_> {
    fn disarm(mut self) {
        self.pending = None;
    }
}

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(pending) = &self.pending {
            self.link.abandon(pending);
        }
    }
}
