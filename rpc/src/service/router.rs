//! Services put together by hand: untyped methods, and other services beside them.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{Context, Handled, Params, Request, Service, handle::start, no_such_method};
use crate::{
    jsonrpc::{MethodInfo, RpcError},
    session::Returns,
};

/// A service whose methods are registered one by one, for those who have no trait.
///
/// A handler takes the [`Params`] and the [`Context`], and returns a `Result`. Registering a name twice replaces what it
/// stood for.
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
    routes: Vec<Route>,
}

type Route = Arc<dyn Fn(Request<'_>) -> Handled + Send + Sync>;

/// An untyped handler: `async |params: Params, context: Context| …`.
pub trait Handler<R>: Send + Sync + 'static {
    /// Runs it.
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
    /// No methods yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method that answers.
    pub fn method<T, E>(self, name: &'static str, handler: impl Handler<Result<T, E>>) -> Self
    where
        T: Serialize + 'static,
        E: RpcError,
    {
        self.add::<true, _>(MethodInfo::request(name), handler)
    }

    /// Adds a method that does not answer.
    pub fn notification(self, name: &'static str, handler: impl Handler<()>) -> Self {
        self.add::<false, _>(MethodInfo::notification(name), handler)
    }

    fn add<const FALLIBLE: bool, R>(mut self, info: MethodInfo, handler: impl Handler<R>) -> Self
    where
        R: Returns<FALLIBLE, Value: Serialize> + 'static,
    {
        let route: Route = Arc::new(move |request| match request.owned_params() {
            Ok(params) => start(request, |request| handler.call(params, request.context())),
            Err(error) => Handled::refused(error),
        });
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
