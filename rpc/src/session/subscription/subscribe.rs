//! Typed subscriptions: lazy until awaited.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{RawSubscription, Subscription};
use crate::{
    jsonrpc::{
        EmptyParams, MethodInfo, Overflow, ParamInfo, Progress, RpcError, SubscriptionInfo, SubscriptionStyle,
    },
    session::{Call, CallError, Caller, Outgoing, Returns, outgoing::CallTimeout},
};

/// What can be subscribed to: a [`Session`](crate::Session), or what stands in for one.
pub trait Subscriber: Caller {
    /// Begins a subscription. It is sent when the future is first polled; dropping the future ends it.
    fn subscribe<'a>(
        &'a self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>>;
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

/// Stands for the stream in the type of a method that begins a subscription: `T` is the type of its items, and `FALLIBLE` says
/// whether that is a `Result`.
pub struct Items<T, const FALLIBLE: bool = false>(PhantomData<fn() -> T>);

impl<T, const FALLIBLE: bool> fmt::Debug for Items<T, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}

/// A subscription that knows its items' type and was not asked for yet. Awaiting it asks, and gives a [`Subscription`].
///
/// `R` is what the method returns, with [`Items`] for the stream, and `FALLIBLE` says whether that is a `Result`.
#[must_use = "a subscription is asked for when it is awaited"]
pub struct Subscribe<'a, C, P, R, const FALLIBLE: bool = false> {
    caller: &'a C,
    method: &'a str,
    params: P,
    names: Option<&'static [ParamInfo]>,
    empty_params: Option<EmptyParams>,
    timeout: CallTimeout,
    info: SubscriptionInfo,
    unsubscribe: Option<&'a str>,
    buffer: Option<usize>,
    overflow: Overflow,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C, P, R, const FALLIBLE: bool> Subscribe<'a, C, P, R, FALLIBLE> {
    /// A subscription to a method that is described by a table. What generated clients do.
    pub const fn to(caller: &'a C, method: &'a MethodInfo, params: P) -> Self {
        let info = match method.subscription() {
            Some(info) => info,
            None => SubscriptionInfo::of_style(SubscriptionStyle::PubSub),
        };
        let timeout = match method.timeout() {
            Some(after) => CallTimeout::After(after),
            None => CallTimeout::Default,
        };
        Self {
            caller,
            method: method.name(),
            params,
            names: method.names(),
            empty_params: method.empty_params(),
            timeout,
            info,
            unsubscribe: info.unsubscribe(),
            buffer: None,
            overflow: Overflow::DropOldest,
            returns: PhantomData,
        }
    }

    /// How many items are kept that were not taken yet. Without it,
    /// [`Limits::subscription_items`](crate::Limits::subscription_items) holds.
    pub fn buffer(mut self, items: usize) -> Self {
        self.buffer = Some(items);
        self
    }

    /// What is done when more items come than are kept. Unless said otherwise the oldest is dropped, and the stream says how many
    /// were lost.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Ends the call with [`CallError::Timeout`] when no reply came within `after`.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = CallTimeout::After(after);
        self
    }
}

impl<'a, C, P, T> Subscribe<'a, C, P, Items<T>> {
    /// A subscription to a method by its name, in the style of [`SubscriptionStyle::PubSub`].
    pub const fn untyped(caller: &'a C, method: &'a str, params: P) -> Self {
        Self {
            caller,
            method,
            params,
            names: None,
            empty_params: None,
            timeout: CallTimeout::Default,
            info: SubscriptionInfo::of_style(SubscriptionStyle::PubSub),
            unsubscribe: None,
            buffer: None,
            overflow: Overflow::DropOldest,
            returns: PhantomData,
        }
    }

    /// How its items look.
    pub fn style(mut self, style: SubscriptionStyle) -> Self {
        self.info = SubscriptionInfo::of_style(style);
        self
    }

    /// How its items look, what they are called, where a token stands and what ends it.
    pub fn described_by(mut self, info: SubscriptionInfo) -> Self {
        self.unsubscribe = info.unsubscribe();
        self.info = info;
        self
    }

    /// The method that ends it. Without it the peer is not told when the subscription is dropped, and what it still sends is ignored.
    pub fn unsubscribe_with(mut self, method: &'a str) -> Self {
        self.unsubscribe = Some(method);
        self
    }
}

impl<'a, C, P, R, const FALLIBLE: bool> Subscribe<'a, C, P, R, FALLIBLE> {
    /// The call, without a token.
    fn unreported<T, const FAILS: bool>(self) -> Call<'a, C, P, T, FAILS> {
        let Self { caller, method, params, names, empty_params, timeout, .. } = self;
        Call::of_result(caller, method, params, names, empty_params, timeout)
    }
}

/// Work whose steps are not wanted.
impl<'a, C, P, S, T> Subscribe<'a, C, P, Items<Progress<S, T>>> {
    /// Asks for the result alone: a [`Call`] that gives what [`Progress::Done`] has, and of which nothing is reported. It can
    /// be made through every [`Caller`], over HTTP too, where nothing comes that is no reply, and be a member of a batch.
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
    pub fn result_alone(self) -> Call<'a, C, P, T> {
        self.unreported()
    }
}

/// Work that can fail on its way, and whose steps are not wanted.
impl<'a, C, P, S, T, E> Subscribe<'a, C, P, Items<Result<Progress<S, T>, E>, true>> {
    /// Asks for the result alone. What is an error of the stream's is one of the call's.
    pub fn result_alone(self) -> Call<'a, C, P, Result<T, E>, true> {
        self.unreported()
    }
}

/// Work that can be refused, and whose steps are not wanted.
impl<'a, C, P, S, T, E> Subscribe<'a, C, P, Result<Items<Progress<S, T>>, E>, true> {
    /// Asks for the result alone.
    pub fn result_alone(self) -> Call<'a, C, P, Result<T, E>, true> {
        self.unreported()
    }
}

/// Work that can be refused and can fail on its way, and whose steps are not wanted.
impl<'a, C, P, S, T, E, F> Subscribe<'a, C, P, Result<Items<Result<Progress<S, T>, F>, true>, E>, true> {
    /// Asks for the result alone. An error of the stream's that is none of the method's is [`CallError::Rpc`].
    pub fn result_alone(self) -> Call<'a, C, P, Result<T, E>, true> {
        self.unreported()
    }
}

impl<'a, C: Subscriber, P: Serialize, R, const FALLIBLE: bool> Subscribe<'a, C, P, R, FALLIBLE> {
    fn start(self) -> SubscribeFuture<'a, R, FALLIBLE> {
        SubscribeFuture { begun: self.raw(), returns: PhantomData }
    }

    /// Asks, and looks into no item.
    pub(crate) fn raw(self) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        match self.written() {
            Err(error) => Box::pin(std::future::ready(Err(error))),
            Ok(subscription) => self.caller.subscribe(subscription),
        }
    }

    fn written(&self) -> Result<OutgoingSubscription<'a>, CallError> {
        let Self { method, empty_params, timeout, info, unsubscribe, buffer, overflow, .. } = *self;
        let style = info.style();
        let write = |names| Outgoing::write(method, &self.params, names, empty_params, timeout);
        let positional = match (style, self.names) {
            (SubscriptionStyle::Electrum, Some(_)) => write(None)?.params().map(Into::into),
            _ => None,
        };
        let call = write(self.names)?;
        let (item, token) = (info.item(), info.token());
        Ok(OutgoingSubscription { call, positional, item, token, style, unsubscribe, buffer, overflow })
    }
}

/// Methods that cannot refuse in a way of their own.
impl<'a, C, P, T, const ITEMS: bool> IntoFuture for Subscribe<'a, C, P, Items<T, ITEMS>, false>
where
    C: Subscriber,
    P: Serialize,
    T: Returns<ITEMS, Value: DeserializeOwned>,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError>;
    type IntoFuture = SubscribeFuture<'a, Items<T, ITEMS>, false>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

/// Methods that return a `Result`.
impl<'a, C, P, T, E, const ITEMS: bool> IntoFuture for Subscribe<'a, C, P, Result<Items<T, ITEMS>, E>, true>
where
    C: Subscriber,
    P: Serialize,
    T: Returns<ITEMS, Value: DeserializeOwned>,
    E: RpcError,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError<E>>;
    type IntoFuture = SubscribeFuture<'a, Result<Items<T, ITEMS>, E>, true>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

impl<C, P, R, const FALLIBLE: bool> fmt::Debug for Subscribe<'_, C, P, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a [`Subscribe`] becomes when it is awaited. Dropping it ends the subscription, if there is one by then.
#[must_use = "a subscription is asked for when it is awaited"]
pub struct SubscribeFuture<'a, R, const FALLIBLE: bool> {
    begun: BoxFuture<'a, Result<RawSubscription, CallError>>,
    returns: PhantomData<fn() -> R>,
}

impl<T, const ITEMS: bool> Future for SubscribeFuture<'_, Items<T, ITEMS>, false>
where
    T: Returns<ITEMS>,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun.as_mut().poll(cx).map_ok(Subscription::new)
    }
}

impl<T, E, const ITEMS: bool> Future for SubscribeFuture<'_, Result<Items<T, ITEMS>, E>, true>
where
    T: Returns<ITEMS>,
    E: RpcError,
{
    type Output = Result<Subscription<T::Value, T::Error>, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun.as_mut().poll(cx).map_ok(Subscription::new).map_err(|error| match error {
            CallError::Rpc(object) => CallError::of_object(object),
            other => other.widen(),
        })
    }
}

impl<R, const FALLIBLE: bool> fmt::Debug for SubscribeFuture<'_, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeFuture").finish_non_exhaustive()
    }
}
