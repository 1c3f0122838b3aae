//! Subscriptions of this side: how they begin, and the stream of items that the peer sends.

use std::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, future::BoxFuture, stream::FusedStream};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    Bounds, CallError, Caller, CloseReason, Outgoing, Session, Shared,
    capacity::poll_capacity,
    reply_slot::ReplySlot,
    subscriptions::{ChannelEvent, End, ItemChannel, ItemSource, NewSubscription, PendingSubscription},
};
use crate::jsonrpc::{
    EmptyParams, ErrorObject, Overflow, ProtocolError, RawParams, Reply, RpcError, SubscriptionInfo,
    SubscriptionStyle, clean_json,
    shown::{brief, escaped},
    subscription,
};

/// What can be subscribed to: a [`Session`](crate::Session), or what stands in for one.
pub trait Subscriber: Caller {
    /// Begins a subscription. It is sent when the future is first polled; dropping the future ends it.
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>>;
}

/// Subscribes through what is shared.
impl<C: Subscriber> Subscriber for Arc<C> {
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        (**self).subscribe(subscription)
    }
}

/// A subscription that was not asked for yet: the call that begins it, and how its items look.
#[derive(Debug, Clone)]
pub struct OutgoingSubscription<'a> {
    pub(in crate::session) call: Outgoing<'a>,
    /// The parameters by position, where they are sent by name and the subscription is known by them.
    pub(in crate::session) positional: Option<Box<str>>,
    /// What the items are called; empty where that is not known.
    pub(in crate::session) item: &'a str,
    /// In the styles of progress, whose items are tied to the call by a token: where it stands among the
    /// parameters. The session chooses it.
    pub(in crate::session) token: Option<&'a str>,
    pub(in crate::session) style: SubscriptionStyle,
    pub(in crate::session) unsubscribe: Option<&'a str>,
    pub(in crate::session) buffer: Option<usize>,
    pub(in crate::session) overflow: Overflow,
}

impl<'a> OutgoingSubscription<'a> {
    pub(super) fn new(call: Outgoing<'a>, info: SubscriptionInfo) -> Self {
        Self {
            call,
            positional: None,
            item: info.item(),
            token: info.token(),
            style: info.style(),
            unsubscribe: info.unsubscribe(),
            buffer: None,
            overflow: Overflow::DropOldest,
        }
    }

    pub(super) const fn describe(&mut self, info: SubscriptionInfo) {
        (self.item, self.token, self.style) = (info.item(), info.token(), info.style());
    }

    /// The call that begins it.
    pub const fn call(&self) -> &Outgoing<'a> {
        &self.call
    }

    /// The same, asked for until `deadline` at the latest: see [`Outgoing::until`].
    pub fn until(self, deadline: Instant) -> Self {
        self.map(|call| call.until(deadline))
    }

    /// The same, with this where it has no parameters: see [`Outgoing::empty_params_or`].
    pub fn empty_params_or(self, empty: EmptyParams) -> Self {
        self.map(|call| call.empty_params_or(empty))
    }

    /// The same, with the call that begins it changed.
    pub(in crate::session) fn map(self, change: impl FnOnce(Outgoing<'a>) -> Outgoing<'a>) -> Self {
        Self { call: change(self.call), ..self }
    }

    /// How its items look.
    pub const fn style(&self) -> SubscriptionStyle {
        self.style
    }
}

/// The items of a subscription, as a stream. `E` is the error type of items that are `Result`s.
///
/// Dropping it ends the subscription: the peer is told, and stops. The stream ends when the peer's does; where that has failed, or
/// the session ends, the last thing it gives is the error. It keeps the session alive.
///
/// Polling is cancel safe: an item that was not taken is there the next time.
pub struct Subscription<T, E = Infallible> {
    raw: RawSubscription,
    has_ended: bool,
    items: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Subscription<T, E> {
    /// Reads items as `T`, which is not checked before the first one.
    pub const fn new(raw: RawSubscription) -> Self {
        Self { raw, has_ended: false, items: PhantomData }
    }

    /// Ends it, as dropping does.
    pub fn unsubscribe(self) {}
}

impl<T: DeserializeOwned, E: RpcError> Stream for Subscription<T, E> {
    type Item = Result<T, SubscriptionError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let taken = ready!(self.raw.poll_take(cx));
        self.has_ended = matches!(taken, ChannelEvent::End(_) | ChannelEvent::Nothing);
        Poll::Ready(match taken {
            ChannelEvent::Item => {
                Some(self.raw.decode().map_err(|error| SubscriptionError::Decode(clean_json(error))))
            }
            ChannelEvent::Lost(items) => Some(Err(SubscriptionError::Lost(items))),
            ChannelEvent::Nothing | ChannelEvent::End(End::Finished) => None,
            ChannelEvent::End(End::TooSlow(waiting)) => Some(Err(SubscriptionError::TooSlow(waiting))),
            ChannelEvent::End(End::Broken(error)) => Some(Err(SubscriptionError::Protocol(error))),
            ChannelEvent::End(End::Timeout(after)) => Some(Err(SubscriptionError::Timeout(after))),
            ChannelEvent::End(End::Closed(reason)) => Some(Err(SubscriptionError::Closed(reason))),
            ChannelEvent::End(End::Failed(error)) => Some(Err(match E::from_error_object(&error) {
                Some(error) => SubscriptionError::Service(error),
                None => SubscriptionError::Rpc(error),
            })),
        })
    }
}

impl<T: DeserializeOwned, E: RpcError> FusedStream for Subscription<T, E> {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<T, E> fmt::Debug for Subscription<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// What a [`Subscription`](super::Subscription) gives in place of an item. `E` is the error type of the stream's items.
///
/// After [`Lost`](Self::Lost) and [`Decode`](Self::Decode) the subscription goes on; after the others it has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum SubscriptionError<E: std::error::Error + 'static = Infallible> {
    /// The stream failed in a way that it declares.
    Service(E),

    /// The stream failed in another way, or the server ended it: a failed handler, a subscriber that was too slow.
    Rpc(ErrorObject),

    /// Items were dropped, on either side, because they were not taken as fast as they came.
    Lost(u64),

    /// More items came than are kept, and the subscription was to end for that: see [`Overflow::End`](crate::Overflow::End).
    TooSlow(usize),

    /// Work that reports its progress was not heard of in time, neither a report nor its end. The peer was told that nobody waits for it any
    /// more.
    Timeout(Duration),

    /// The reply that was to end the stream breaks the rules of the protocol.
    Protocol(ProtocolError),

    /// The session ended.
    Closed(CloseReason),

    /// An item is not of the type that was expected.
    Decode(serde_json::Error),
}

/// What this layer knows: the rest is said by the [`source`](std::error::Error::source), and [`chain`](crate::chain)
/// has all of it. An error of the service's speaks for itself.
impl<E: std::error::Error + 'static> fmt::Display for SubscriptionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => escaped(error).fmt(f),
            Self::Rpc(_) => f.write_str("the peer ended the subscription with an error"),
            Self::Lost(items) => write!(f, "{items} items were lost"),
            Self::TooSlow(waiting) => {
                write!(f, "the subscription has ended: {waiting} items wait, and none is taken")
            }
            Self::Timeout(after) => write!(f, "no sign of life within {after:?}"),
            Self::Protocol(error) => error.fmt(f),
            Self::Closed(_) => f.write_str("the session is closed"),
            Self::Decode(_) => f.write_str("an item cannot be read"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for SubscriptionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is shown as that of this error, so its cause comes next.
            Self::Service(error) => error.source(),
            Self::Rpc(error) => Some(error),
            Self::Lost(_) | Self::TooSlow(_) | Self::Timeout(_) => None,
            Self::Protocol(error) => error.source(),
            Self::Closed(reason) => Some(reason),
            Self::Decode(error) => Some(error),
        }
    }
}

/// The most memory that is kept for the next item, in bytes.
const KEPT: usize = 4 << 10;

/// A subscription that does not know the type of its items: what a [`Subscriber`](super::Subscriber) makes, and a
/// [`Subscription`](super::Subscription) reads.
pub struct RawSubscription {
    channel: Arc<ItemChannel>,
    session: Session,
    source: ItemSource,
    /// The JSON of the item that was taken last.
    json: Vec<u8>,
}

impl RawSubscription {
    pub(crate) const fn new(session: Session, channel: Arc<ItemChannel>, source: ItemSource) -> Self {
        Self { channel, session, source, json: Vec::new() }
    }

    /// The notifications of one name.
    pub(in crate::session) fn listening(session: &Session, method: &str) -> Self {
        let shared = session.shared();
        let channel =
            Arc::new(ItemChannel::new(shared.bounds_of_ours(Overflow::DropOldest), shared.full_channels()));
        shared.listen(method, &channel);
        Self::new(session.clone(), channel, ItemSource::Notifications(method.into()))
    }

    /// The session that the items come by.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    fn poll_take(&mut self, cx: &Context<'_>) -> Poll<ChannelEvent> {
        // Only a large item needed so much.
        self.json.shrink_to(KEPT);
        let (taken, resumes) = ready!(self.channel.poll_take(cx, &mut self.json));
        if resumes {
            self.session.shared().wake();
        }
        Poll::Ready(taken)
    }

    /// Reads the item that was taken last.
    fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if let ItemSource::Notifications(_) = self.source {
            // Where they had no parameters, that is `()` as it is to a handler.
            return RawParams::from_json(std::str::from_utf8(&self.json).unwrap_or_default()).read();
        }
        serde_json::from_slice(&self.json).or_else(|error| match subscription::judge_item(&self.json) {
            Ok(item) => serde_json::from_str(item.get()),
            Err(message) => {
                self.session.shared().judge_later(message);
                Err(error)
            }
        })
    }
}

impl Drop for RawSubscription {
    fn drop(&mut self) {
        let shared = self.session.shared();
        if self.channel.give_up() {
            shared.wake();
        }
        shared.close_channel(&self.source, &self.channel);
    }
}

impl fmt::Debug for RawSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscription").field("source", &self.source).finish_non_exhaustive()
    }
}

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
    let shared = session.shared();
    let token = subscription.token.map(|_| shared.next_token());
    if let (Some(path), Some(token)) = (subscription.token, &token) {
        subscription.call = subscription.call.with_token(token, path)?;
    }
    let call = &subscription.call;
    let bounds = shared.bounds_of_ours(subscription.overflow);
    let bounds = Bounds { items: subscription.buffer.unwrap_or(bounds.items), ..bounds };
    let channel = match subscription.style.is_progress() {
        true => ItemChannel::of_work(bounds, shared.full_channels()),
        false => ItemChannel::new(bounds, shared.full_channels()),
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
    let default = shared.limits.call_timeout();
    let mut wait = None;
    let sent = poll_fn(|cx| {
        poll_capacity(
            shared,
            &mut wait,
            || call.timeout_or(default),
            cx,
            |attempt, _| {
                // How long work takes says nothing about how fast the peer answers.
                if pending.work().is_none() {
                    shared.take_call_permit(&mut attempt.permit)?;
                }
                let timeout = call.times_out(attempt.since, default);
                let slot = ReplySlot::waiting(None);
                shared
                    .send_subscribe(call.body(), &slot, timeout, &pending, &mut attempt.permit)
                    .map(|id| (id, slot))
            },
        )
    });
    let (id, slot) = sent.await.map_err(|not_sent| not_sent.into_call_error(call.method()))?;
    tracing::debug!(
        rpc.system.name = "jsonrpc",
        rpc.method = %brief(call.method()),
        jsonrpc.request.id = id.value(),
        session = shared.id,
        "subscribe"
    );
    let unless_answered = AbandonOnDrop { shared, pending: Some(Arc::clone(&pending)) };
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
        let source = ItemSource::Subscription { key: key.clone(), pending: Arc::clone(&pending) };
        return Ok(RawSubscription::new(session, Arc::clone(&pending.channel), source));
    }
    let reply = poll_fn(|cx| slot.poll(cx.waker())).await?;
    unless_answered.disarm();
    match pending.key(&reply) {
        Some((key, _)) => {
            let channel = Arc::clone(&pending.channel);
            Ok(RawSubscription::new(session, channel, ItemSource::Subscription { key, pending }))
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
    shared: &'a Shared,
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
            self.shared.abandon(pending);
        }
    }
}
