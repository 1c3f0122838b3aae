//! A service built by hand, from untyped handlers.

use std::{fmt, sync::Arc};

use futures::Stream;
use serde::Serialize;

use super::{
    context::Context,
    handler::handle,
    reply::returned,
    request::{Handled, Params, Request, Service, no_such_method},
    subscribe::{Sink, subscribe},
};
use crate::{
    jsonrpc::{MethodInfo, MethodKind, Progress, RpcError, SubscriptionInfo, SubscriptionStyle},
    session::Returns,
};

/// A service whose methods are registered one by one, without a trait.
///
/// A handler takes the [`Params`] and the [`Context`], and returns a `Result`. A method that is
/// registered twice has the second handler.
///
/// ```
/// use rpc::{Context, ErrorObject, Params, Router};
///
/// let router = Router::new()
///     .method("echo", async |params: Params, _: Context| {
///         let (text,): (String,) = params.parse()?;
///         Ok::<_, ErrorObject>(text)
///     })
///     .notification("log", async |params: Params, _: Context| {
///         println!("{:?}", params.as_json());
///     });
/// # let _ = router;
/// ```
#[derive(Clone, Default)]
pub struct Router {
    methods: Vec<MethodInfo>,
    routes: Vec<RouteFn>,
}

type RouteFn = Arc<dyn Fn(Request<'_>) -> Handled + Send + Sync>;

/// An untyped handler: `async |params: Params, context: Context| …`.
pub trait Handler<R>: Send + Sync + 'static {
    /// Runs the handler.
    fn call(&self, params: Params, context: Context) -> impl Future<Output = R> + Send + 'static;
}

impl<F, Fut, R> Handler<R> for F
where
    F: Fn(Params, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    fn call(&self, params: Params, context: Context) -> impl Future<Output = R> + Send + 'static {
        self(params, context)
    }
}

impl Router {
    /// A router without methods.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method that answers: under its name on the wire, or as a [`MethodInfo`] describes it.
    ///
    /// ```
    /// use rpc::{Context, ErrorObject, MethodInfo, Order, Params, Router};
    ///
    /// let router = Router::new()
    ///     .method(MethodInfo::request("rescan").with_order(Order::Exclusive), async |_: Params, _: Context| {
    ///         Ok::<_, ErrorObject>("nothing else has run meanwhile")
    ///     });
    /// # let _ = router;
    /// ```
    pub fn method<T, E>(self, method: impl Into<MethodInfo>, handler: impl Handler<Result<T, E>>) -> Self
    where
        T: Serialize + Send + 'static,
        E: RpcError + Send,
    {
        self.add::<true, _>(method.into().of_kind(MethodKind::Request), handler)
    }

    /// Adds a method that does not answer.
    pub fn notification(self, method: impl Into<MethodInfo>, handler: impl Handler<()>) -> Self {
        self.add::<false, _>(method.into().of_kind(MethodKind::Notification), handler)
    }

    /// Adds a method that begins a subscription: its handler returns a stream of items, or an
    /// error. [`SubscriptionInfo`] sets the style, and the names on the wire.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{StreamExt, stream};
    /// use rpc::{Context, ErrorObject, MethodInfo, Params, Router, SubscriptionInfo, SubscriptionStyle};
    ///
    /// let ticks = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick").with_unsubscribe("untick");
    /// let router = Router::new().subscription(
    ///     MethodInfo::request("ticks").with_subscription(ticks),
    ///     async |params: Params, _: Context| {
    ///         let (from,): (u64,) = params.parse()?;
    ///         Ok::<_, ErrorObject>(stream::iter(from..from + 3))
    ///     },
    /// );
    ///
    /// let (session, _peer) = rpc::testing::pair((), router);
    /// let ticks = session.subscribe::<u64>("ticks", (7,)).unsubscribe_with("untick").await?;
    /// let ticks: Vec<u64> = ticks.map(Result::unwrap).collect().await;
    /// assert_eq!(ticks, [7, 8, 9]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// In a style of progress: use [`progress`](Self::progress) for a stream of [`Progress`].
    pub fn subscription<T, E, S>(
        self,
        method: impl Into<MethodInfo>,
        handler: impl Handler<Result<S, E>>,
    ) -> Self
    where
        T: Serialize + 'static,
        E: RpcError + Send,
        S: Stream<Item = T> + Send + 'static,
    {
        let info = method.into().of_kind(MethodKind::Request);
        let info = match info.subscription() {
            Some(_) => info,
            None => info.with_subscription(SubscriptionInfo::new(SubscriptionStyle::PubSub, info.name())),
        };
        let style = info.subscription().map(|of| of.style()).unwrap_or_default();
        assert!(
            !style.is_progress(),
            "`{}` reports its progress: add it with `Router::progress`",
            info.name()
        );
        self.stream(info, handler, Sink::run::<true, false, _>)
    }

    fn stream<R, F>(
        self,
        info: MethodInfo,
        handler: impl Handler<R>,
        run: impl Fn(Sink, R) -> F + Copy + Send + Sync + 'static,
    ) -> Self
    where
        R: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.route(info, move |request| match request.owned_params() {
            Ok(params) => {
                let (handler, context) = (Arc::clone(&handler), request.context());
                let handler = move |(), sink| async move {
                    run(sink, handler.call(params, context).await).await;
                };
                subscribe(request, |_| Ok(()), handler)
            }
            Err(error) => Handled::refused(error),
        })
    }

    /// Adds a method that reports its progress: its handler returns a stream of [`Progress`], or an
    /// error. [`SubscriptionInfo`] sets the style, and the names of the reports.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::{StreamExt, stream};
    /// use rpc::{Context, ErrorObject, Params, Progress, Router, SubscriptionStyle};
    ///
    /// let router = Router::new().progress("count", async |_: Params, _: Context| {
    ///     Ok::<_, ErrorObject>(stream::iter([Progress::Step(1), Progress::Step(2), Progress::Done("two")]))
    /// });
    ///
    /// let (session, _peer) = rpc::testing::pair((), router);
    /// let count = session.subscribe::<Progress<u8, String>>("count", ()).style(SubscriptionStyle::Progress).await?;
    /// let count: Vec<_> = count.map(Result::unwrap).collect().await;
    /// assert_eq!(count, [Progress::Step(1), Progress::Step(2), Progress::Done("two".to_owned())]);
    /// # Ok(()) }
    /// ```
    pub fn progress<T, D, E, S>(
        self,
        method: impl Into<MethodInfo>,
        handler: impl Handler<Result<S, E>>,
    ) -> Self
    where
        T: Serialize + Send + 'static,
        D: Serialize + Send + 'static,
        E: RpcError + Send,
        S: Stream<Item = Progress<T, D>> + Send + 'static,
    {
        let info = method.into().of_kind(MethodKind::Request);
        let info = match info.subscription() {
            Some(_) => info,
            None => info.with_subscription(SubscriptionInfo::of_style(SubscriptionStyle::Progress)),
        };
        self.stream(info, handler, Sink::run_work::<true, false, _>)
    }

    fn add<const FALLIBLE: bool, R>(self, info: MethodInfo, handler: impl Handler<R>) -> Self
    where
        R: Returns<FALLIBLE, Value: Serialize> + Send + 'static,
    {
        self.route(info, move |request| match request.owned_params() {
            Ok(params) => {
                let context = request.context();
                handle(request, |_| {
                    let handling = handler.call(params, context);
                    Ok(async move { returned::<FALLIBLE, _>(handling.await) })
                })
            }
            Err(error) => Handled::refused(error),
        })
    }

    fn route(
        mut self,
        info: MethodInfo,
        route: impl Fn(Request<'_>) -> Handled + Send + Sync + 'static,
    ) -> Self {
        let route: RouteFn = Arc::new(route);
        match self.methods.iter().position(|method| method.name() == info.name()) {
            Some(index) => {
                self.methods[index] = info;
                self.routes[index] = route;
            }
            None => {
                self.methods.push(info);
                self.routes.push(route);
            }
        }
        self
    }
}

impl Service for Router {
    fn methods(&self) -> &[MethodInfo] {
        &self.methods
    }

    fn call(&self, method: usize, request: Request<'_>) -> Handled {
        match self.routes.get(method) {
            Some(route) => route(request),
            None => no_such_method(request),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("methods", &self.methods).finish_non_exhaustive()
    }
}
