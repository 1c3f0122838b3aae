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

/// Begins subscriptions: a [`Session`](crate::Session), or an adapter or mock in its place.
pub trait Subscriber: Caller {
    /// Begins a subscription. The call is sent when the future is first polled; dropping the future
    /// ends the subscription.
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>>;
}

/// Subscribes through a shared caller.
impl<C: Subscriber> Subscriber for Arc<C> {
    fn subscribe<'a>(
        &self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        (**self).subscribe(subscription)
    }
}

/// A subscription that was not sent yet: its call, and its style on the wire.
#[derive(Debug, Clone)]
pub struct OutgoingSubscription<'a> {
    pub(in crate::session) call: Outgoing<'a>,
    /// The parameters by position, if they are sent by name and the key of the subscription is made
    /// of them.
    pub(in crate::session) positional: Option<Box<str>>,
    /// The method of the items; empty if it is not known.
    pub(in crate::session) item: &'a str,
    /// In the styles of progress a token ties the items to the call: the path of the token in the
    /// parameters. The session chooses the token.
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

    /// The same subscription with a deadline for its call: see [`Outgoing::until`].
    pub fn until(self, deadline: Instant) -> Self {
        self.map(|call| call.until(deadline))
    }

    /// The same subscription, with `empty` if it has no parameters: see
    /// [`Outgoing::empty_params_or`].
    pub fn empty_params_or(self, empty: EmptyParams) -> Self {
        self.map(|call| call.empty_params_or(empty))
    }

    /// The same subscription, with `change` applied to its call.
    pub(in crate::session) fn map(self, change: impl FnOnce(Outgoing<'a>) -> Outgoing<'a>) -> Self {
        Self { call: change(self.call), ..self }
    }

    /// The style of the subscription on the wire.
    pub const fn style(&self) -> SubscriptionStyle {
        self.style
    }
}

/// The items of a subscription as a stream. `E` is the error type of items that are `Result`s.
///
/// Dropping it ends the subscription, and tells the peer to stop. The stream ends with the peer's
/// stream; if that failed, or the session ended, its last element is the error. It keeps the
/// session open.
///
/// Polling is cancel safe: no item is lost.
pub struct Subscription<T, E = Infallible> {
    raw: RawSubscription,
    has_ended: bool,
    items: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Subscription<T, E> {
    /// Decodes items as `T`, which is not checked before the first one.
    pub const fn new(raw: RawSubscription) -> Self {
        Self { raw, has_ended: false, items: PhantomData }
    }

    /// Ends it, like dropping it.
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

/// An error in place of an item of a [`Subscription`]. `E` is the error type of the stream's items.
///
/// The subscription goes on after [`Lost`](Self::Lost) and [`Decode`](Self::Decode), and has ended
/// after all others.
#[derive(Debug)]
#[non_exhaustive]
pub enum SubscriptionError<E: std::error::Error + 'static = Infallible> {
    /// The stream failed with the error type that it declares.
    Service(E),

    /// The stream failed with another error, or the server ended it: a failed handler, a subscriber
    /// that was too slow.
    Rpc(ErrorObject),

    /// Items were dropped on either side, because they were not taken as fast as they came.
    Lost(u64),

    /// More items came than the buffer holds, and the overflow rule ended the subscription: see
    /// [`Overflow::End`](crate::Overflow::End).
    TooSlow(usize),

    /// Work that reports its progress sent neither a report nor its result in time. It was
    /// cancelled at the peer.
    Timeout(Duration),

    /// The reply that ends the stream violates the protocol.
    Protocol(ProtocolError),

    /// The session ended.
    Closed(CloseReason),

    /// An item does not have the expected type.
    Decode(serde_json::Error),
}

/// The text of this layer only: the [`source`](std::error::Error::source) has the rest, and
/// [`chain`](crate::chain) shows all of it. An error of the service is shown as it is.
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
            // Its text is shown as that of this error, so the next in the chain is its source.
            Self::Service(error) => error.source(),
            Self::Rpc(error) => Some(error),
            Self::Lost(_) | Self::TooSlow(_) | Self::Timeout(_) => None,
            Self::Protocol(error) => error.source(),
            Self::Closed(reason) => Some(reason),
            Self::Decode(error) => Some(error),
        }
    }
}

/// The capacity in bytes that is kept for the next item.
const KEPT: usize = 4 << 10;

/// A subscription without the type of its items: the result of a [`Subscriber`], and the input of a
/// [`Subscription`].
pub struct RawSubscription {
    channel: Arc<ItemChannel>,
    session: Session,
    source: ItemSource,
    /// The JSON of the last item.
    json: Vec<u8>,
}

impl RawSubscription {
    pub(crate) const fn new(session: Session, channel: Arc<ItemChannel>, source: ItemSource) -> Self {
        Self { channel, session, source, json: Vec::new() }
    }

    /// The notifications of one method.
    pub(in crate::session) fn listening(session: &Session, method: &str) -> Self {
        let shared = session.shared();
        let channel =
            Arc::new(ItemChannel::new(shared.bounds_of_ours(Overflow::DropOldest), shared.full_channels()));
        shared.listen(method, &channel);
        Self::new(session.clone(), channel, ItemSource::Notifications(method.into()))
    }

    /// The session that carries the items.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    fn poll_take(&mut self, cx: &Context<'_>) -> Poll<ChannelEvent> {
        // Frees memory that only a large item needed.
        self.json.shrink_to(KEPT);
        let (taken, resumes) = ready!(self.channel.poll_take(cx, &mut self.json));
        if resumes {
            self.session.shared().wake();
        }
        Poll::Ready(taken)
    }

    /// Decodes the last item.
    fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if let ItemSource::Notifications(_) = self.source {
            // A notification without parameters gives `()`, as it does in a handler.
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
                // The duration of work says nothing about the response time of the peer, which the
                // limiter adapts to.
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

/// Ends the subscription if the caller drops the future before the reply: the peer must not go on
/// sending items that no subscriber takes.
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
