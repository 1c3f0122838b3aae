//! Typed subscriptions: the call is sent when they are first polled.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Call, CallError, Caller, Outgoing, OutgoingSubscription, RawSubscription, Returns, Subscriber,
    Subscription, call::Lazy, outgoing::CallTimeout,
};
use crate::jsonrpc::{MethodInfo, Overflow, Progress, RpcError, SubscriptionInfo, SubscriptionStyle};

/// Stands for the stream in the return type of a subscription method: `T` is the type of its items,
/// and `FALLIBLE` is true if that is a `Result`.
pub struct Items<T, const FALLIBLE: bool = false>(PhantomData<fn() -> T>);

impl<T, const FALLIBLE: bool> fmt::Debug for Items<T, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}

/// A typed subscription: a future that sends the call when it is first polled, and gives a
/// [`Subscription`].
///
/// `R` is the return type of the method, with [`Items`] in place of the stream, and `FALLIBLE` is
/// true if that is a `Result`. Like a [`Call`] it has its parameters serialized, owns a clone of
/// its caller, and can be given to `tokio::spawn`; its options are set before the first poll.
/// Dropping it ends the subscription, if it has begun.
#[must_use = "a subscription is asked for when it is awaited"]
pub struct Subscribe<'a, C: Caller, R, const FALLIBLE: bool = false> {
    stage: Lazy<C, OutgoingSubscription<'a>, BoxFuture<'a, Result<RawSubscription, CallError>>, CallError>,
    method: &'a str,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C: Caller, R, const FALLIBLE: bool> Subscribe<'a, C, R, FALLIBLE> {
    /// A subscription to a method with a descriptor. Used by generated clients.
    pub fn to<P: Serialize>(caller: &C, method: &'a MethodInfo, params: P) -> Self {
        let info = match method.subscription() {
            Some(info) => info,
            None => SubscriptionInfo::of_style(SubscriptionStyle::PubSub),
        };
        let written = Outgoing::of(method, &params).and_then(|call| {
            let positional = match info.style() {
                SubscriptionStyle::Electrum if method.sends_by_name() => {
                    Outgoing::new(method.name(), &params)?.params().map(Into::into)
                }
                _ => None,
            };
            Ok(OutgoingSubscription { positional, ..OutgoingSubscription::new(call, info) })
        });
        Self::of(Lazy::Unsent { caller: caller.clone(), written }, method.name())
    }

    const fn of(
        stage: Lazy<
            C,
            OutgoingSubscription<'a>,
            BoxFuture<'a, Result<RawSubscription, CallError>>,
            CallError,
        >,
        method: &'a str,
    ) -> Self {
        Self { stage, method, returns: PhantomData }
    }

    /// The number of items that are buffered until they are taken. Default:
    /// [`Limits::subscription_items`](crate::Limits::subscription_items).
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn buffer(mut self, items: usize) -> Self {
        self.stage.set("buffer", |subscription| subscription.buffer = Some(items));
        self
    }

    /// The rule for items beyond the buffer. Default: the oldest item is dropped, and the stream
    /// reports how many were lost.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.stage.set("overflow", |subscription| subscription.overflow = overflow);
        self
    }

    /// Ends the call with [`CallError::Timeout`] if no reply comes within `after`.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn timeout(mut self, after: Duration) -> Self {
        self.stage.set("timeout", |subscription| subscription.call.set_timeout(CallTimeout::After(after)));
        self
    }
}

impl<'a, C: Caller, T> Subscribe<'a, C, Items<T>> {
    /// A subscription to a method by its name, in the style [`SubscriptionStyle::PubSub`].
    pub fn untyped(caller: &C, method: &'a str, params: impl Serialize) -> Self {
        let info = SubscriptionInfo::of_style(SubscriptionStyle::PubSub);
        let written = Outgoing::new(method, &params).map(|call| OutgoingSubscription::new(call, info));
        Self::of(Lazy::Unsent { caller: caller.clone(), written }, method)
    }

    /// The style of the subscription on the wire.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn style(mut self, style: SubscriptionStyle) -> Self {
        self.stage.set("style", |subscription| subscription.describe(SubscriptionInfo::of_style(style)));
        self
    }

    /// The style of the subscription on the wire, the method of its items, the place of the token,
    /// and the method that ends it.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn described_by(mut self, info: SubscriptionInfo) -> Self {
        self.stage.set("described_by", |subscription| {
            subscription.describe(info);
            subscription.unsubscribe = info.unsubscribe();
        });
        self
    }

    /// The method that ends the subscription. Without it the peer is not told when the subscription
    /// is dropped, and further items are ignored.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn unsubscribe_with(mut self, method: &'a str) -> Self {
        self.stage.set("unsubscribe_with", |subscription| subscription.unsubscribe = Some(method));
        self
    }
}

impl<'a, C: Caller, R, const FALLIBLE: bool> Subscribe<'a, C, R, FALLIBLE> {
    /// The call, without a token.
    #[track_caller]
    fn unreported<T, const FAILS: bool>(self) -> Call<'a, C, T, FAILS> {
        Call::of(self.stage.convert("result_alone", |subscription| subscription.call), self.method)
    }
}

/// Work with progress reports that are not wanted.
impl<'a, C: Caller, S, T> Subscribe<'a, C, Items<Progress<S, T>>> {
    /// Asks for the result alone: a [`Call`] that gives the value of [`Progress::Done`], without
    /// progress reports. It works with every [`Caller`], even over HTTP, which carries only
    /// replies, and as a member of a batch.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{Stream, stream};
    /// use rpc::{Dispatcher, Progress, rpc_service};
    ///
    /// #[rpc_service]
    /// trait Indexer {
    ///     #[rpc(subscription, style = "progress")]
    ///     async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, usize>>;
    /// }
    ///
    /// struct Files;
    /// impl Indexer for Files {
    ///     async fn index(&self, _folder: &str) -> impl Stream<Item = Progress<String, usize>> {
    ///         stream::iter([Progress::Step("a.md".to_owned()), Progress::Done(1)])
    ///     }
    /// }
    ///
    /// let dispatcher = Dispatcher::builder().service(IndexerServer::new(Files)).build()?;
    /// assert_eq!(IndexerClient::from(dispatcher).index("notes").result_alone().await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn result_alone(self) -> Call<'a, C, T> {
        self.unreported()
    }
}

/// Work that can fail while it runs, and whose progress reports are not wanted.
impl<'a, C: Caller, S, T, E> Subscribe<'a, C, Items<Result<Progress<S, T>, E>, true>> {
    /// Asks for the result alone. An error of the stream becomes one of the call.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn result_alone(self) -> Call<'a, C, Result<T, E>, true> {
        self.unreported()
    }
}

/// Work that can be refused, and whose progress reports are not wanted.
impl<'a, C: Caller, S, T, E> Subscribe<'a, C, Result<Items<Progress<S, T>>, E>, true> {
    /// Asks for the result alone.
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn result_alone(self) -> Call<'a, C, Result<T, E>, true> {
        self.unreported()
    }
}

/// Work that can be refused and can fail while it runs, and whose progress reports are not wanted.
impl<'a, C: Caller, S, T, E, F> Subscribe<'a, C, Result<Items<Result<Progress<S, T>, F>, true>, E>, true> {
    /// Asks for the result alone. An error of the stream that the method does not declare is
    /// [`CallError::Rpc`].
    ///
    /// # Panics
    ///
    /// If the subscription was polled before.
    #[track_caller]
    pub fn result_alone(self) -> Call<'a, C, Result<T, E>, true> {
        self.unreported()
    }
}

impl<C: Subscriber, R, const FALLIBLE: bool> Subscribe<'_, C, R, FALLIBLE> {
    /// Begins the subscription without decoding its items.
    pub(crate) async fn raw(mut self) -> Result<RawSubscription, CallError> {
        poll_fn(|cx| self.poll_begun(cx)).await
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawSubscription, CallError>> {
        self.stage.poll("subscription", |caller, subscription| caller.subscribe(subscription), cx)
    }
}

/// Methods without an error of their own.
impl<C, T, const ITEMS: bool> Future for Subscribe<'_, C, Items<T, ITEMS>, false>
where
    C: Subscriber,
    T: Returns<ITEMS, Value: DeserializeOwned>,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_begun(cx).map_ok(Subscription::new)
    }
}

/// Methods that return a `Result`.
impl<C, T, E, const ITEMS: bool> Future for Subscribe<'_, C, Result<Items<T, ITEMS>, E>, true>
where
    C: Subscriber,
    T: Returns<ITEMS, Value: DeserializeOwned>,
    E: RpcError,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_begun(cx).map_ok(Subscription::new).map_err(|error| match error {
            CallError::Rpc(object) => CallError::of_object(object),
            other => other.widen(),
        })
    }
}

/// No field is pinned.
impl<C: Caller, R, const FALLIBLE: bool> Unpin for Subscribe<'_, C, R, FALLIBLE> {}

impl<C: Caller, R, const FALLIBLE: bool> fmt::Debug for Subscribe<'_, C, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("method", &self.method).finish_non_exhaustive()
    }
}
