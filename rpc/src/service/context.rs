//! The context of a handler: the request that it serves, its peer, its deadline ([`Context`]), and
//! work that outlives the handler ([`Shielded`]).

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    task::{self, Poll, ready},
};

use futures::FutureExt;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    peer::RequestPeer,
    reply::{PanicPayload, log_panic},
};
use crate::{
    jsonrpc::{
        ErrorObject, RequestId,
        params::{PassedParams, invalid},
    },
    session::{DeadlineCaller, Session, WorkNumber},
    transport::{Endpoint, Extensions},
};

/// The request being served, and the peer that sent it. A handler that takes
/// `#[rpc(context)] cx: &Context` is given one.
///
/// ```
/// use rpc::{Context, rpc_service};
///
/// #[rpc_service]
/// trait Greeter {
///     async fn hello(&self, #[rpc(context)] cx: &Context) -> String;
/// }
///
/// struct Polite;
/// impl Greeter for Polite {
///     async fn hello(&self, cx: &Context) -> String {
///         format!("hello, {}", cx.peer())
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let (session, _peer) = rpc::testing::pair((), GreeterServer::new(Polite));
/// assert_eq!(GreeterClient::from(session).hello().await.unwrap(), "hello, memory:");
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Context {
    peer: RequestPeer,
    method: &'static str,
    id: Option<RequestId>,
    deadline: Option<Instant>,
    /// The number by which the session knows the request.
    work: WorkNumber,
    /// The parameters that the method does not name.
    passed: Option<PassedParams>,
}

impl Context {
    pub(super) const fn new(
        peer: RequestPeer,
        method: &'static str,
        id: Option<RequestId>,
        deadline: Option<Instant>,
        work: WorkNumber,
        passed: Option<PassedParams>,
    ) -> Self {
        Self { peer, method, id, deadline, work, passed }
    }

    /// The session that the request came in by: a way to call the peer back.
    ///
    /// A message without a session (see [`Dispatcher`](crate::Dispatcher)) has a closed one, with
    /// [`CloseReason::NoSession`](crate::CloseReason::NoSession). It is made on the first use, once
    /// for all requests of the message; [`peer`](Self::peer) and [`extensions`](Self::extensions)
    /// do without.
    pub fn session(&self) -> &Session {
        self.peer.session()
    }

    /// The address of the peer.
    pub fn peer(&self) -> &Endpoint {
        self.peer.endpoint()
    }

    /// The name of the method on the wire: its own name, also where the peer used an alias.
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The id of the request; `None` for a notification.
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// The members of the parameters that the method does not name, in the order in which they
    /// came: those that `allow_unknown` on the method or its trait, or
    /// [`UnknownParams`](crate::UnknownParams), lets pass.
    pub fn unknown_params(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.passed.iter().flat_map(|passed| passed.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// One of the [`unknown_params`](Self::unknown_params), read into a type of yours; `None` where
    /// there is none of this name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::BTreeMap;
    /// use rpc::{Context, ErrorObject, rpc_service};
    ///
    /// #[rpc_service(allow_unknown("_meta"))]
    /// trait Tools {
    ///     async fn call(&self, name: &str, #[rpc(context)] cx: &Context) -> Result<String, ErrorObject>;
    /// }
    ///
    /// struct MyTools;
    /// impl Tools for MyTools {
    ///     async fn call(&self, name: &str, cx: &Context) -> Result<String, ErrorObject> {
    ///         let meta: BTreeMap<String, String> = cx.unknown_param("_meta")?.unwrap_or_default();
    ///         Ok(format!("{name} for {}", meta.get("user").map_or("nobody", String::as_str)))
    ///     }
    /// }
    ///
    /// let (session, _peer) = rpc::testing::pair((), ToolsServer::new(MyTools));
    /// let params = serde_json::json!({ "name": "grep", "_meta": { "user": "ann" } });
    /// assert_eq!(session.call::<String>("call", params).await?, "grep for ann");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that says what was wrong, where the parameter is present
    /// and is not a `T`.
    pub fn unknown_param<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ErrorObject> {
        let found = self.unknown_params().find(|(other, _)| *other == name);
        found
            .map(|(_, value)| serde_json::from_str(value.get()))
            .transpose()
            .map_err(|error| invalid(self.method, &format_args!("`{name}`: {error}")))
    }

    /// The deadline of the request, at which an unfinished handler is dropped: see
    /// [`Limits::request_timeout`](crate::Limits::request_timeout).
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The session of the request, as a caller whose calls end at the [`deadline`](Self::deadline)
    /// of this request.
    ///
    /// ```
    /// use rpc::{CallError, Context, rpc_service};
    ///
    /// #[rpc_service]
    /// trait Editor {
    ///     async fn text(&self) -> String;
    /// }
    ///
    /// async fn length(cx: &Context) -> Result<usize, CallError> {
    ///     Ok(EditorClient::from(cx.caller()).text().await?.len())
    /// }
    /// ```
    pub fn caller(&self) -> DeadlineCaller<Session> {
        self.within(self.session().clone())
    }

    /// Wraps any other caller so that its calls end at the deadline of this request: calls made for
    /// a handler do not outlive it.
    pub const fn within<C>(&self, caller: C) -> DeadlineCaller<C> {
        DeadlineCaller::new(caller, self.deadline)
    }

    /// True once the handler is no longer needed: the request was cancelled, timed out or answered,
    /// or its session has ended.
    ///
    /// The handler itself is dropped then, at its next await, and need not ask. This is for other
    /// tasks and threads that have a clone of the context, and for a handler that computes for long
    /// without awaiting. A subscription is in flight for as long as its stream goes on.
    ///
    /// A request of a message without a session (see [`Dispatcher`](crate::Dispatcher)) is in
    /// flight until the whole message is answered, or its future is dropped.
    pub fn is_cancelled(&self) -> bool {
        !self.peer.is_in_flight(self.work)
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled). Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let (stopped, stops) = tokio::sync::oneshot::channel();
    /// let stopped = std::sync::Mutex::new(Some(stopped));
    /// let router = Router::new().method("search", move |_: Params, cx: Context| {
    ///     let stopped = stopped.lock().unwrap().take();
    ///     tokio::spawn(async move {
    ///         cx.cancelled().await;
    ///         stopped.map(|stopped| stopped.send(()))
    ///     });
    ///     std::future::pending::<Result<(), ErrorObject>>()
    /// });
    /// let (session, _peer) = rpc::testing::pair((), router);
    /// session.notify("search", ()).await?;
    /// session.close().await;
    /// stops.await?;
    /// # Ok(()) }
    /// ```
    pub async fn cancelled(&self) {
        self.peer.request_ended(self.work).await;
    }

    /// Runs `work` to its end, even if the handler is dropped before: for work that must not be
    /// left half done. A task for it starts at once. Awaiting the [`Shielded`] gives the value of
    /// `work`; dropping it does not stop the task.
    ///
    /// A graceful close of the session waits for the task as it does for a handler, until
    /// [`Limits::close_timeout`](crate::Limits::close_timeout). So does the shutdown of a server,
    /// for requests over HTTP. The task goes on after that time-out, and after a session that ends
    /// in any other way. Until it ends it takes one permit of
    /// [`Limits::requests_in_flight`](crate::Limits::requests_in_flight), beside the one of its
    /// handler.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("pay", async |_: Params, cx: Context| {
    ///     let receipt = cx.shield(async { 17 }).await;
    ///     Ok::<_, ErrorObject>(receipt)
    /// });
    /// let (session, _peer) = rpc::testing::pair((), router);
    /// assert_eq!(session.call::<u32>("pay", ()).await?, 17);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. A panic of `work` is resumed in the task that awaits the
    /// [`Shielded`].
    pub fn shield<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Shielded<T> {
        Shielded::start(&self.peer, self.method, work)
    }

    /// Closes the session gracefully once this request is answered, with a result or an error: for
    /// a peer that has to be told why it is disconnected.
    ///
    /// Until then the session goes on, and the handler may still call its peer. In a batch, the
    /// close begins when the reply to the batch is sent; for a notification, when its handler has
    /// finished; for a request that was answered already, at once. Then it is as with
    /// [`Session::start_close`]: no further request is read, other handlers in flight are finished
    /// and answered, and the session is ended after
    /// [`Limits::close_timeout`](crate::Limits::close_timeout). Without a session this does
    /// nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("login", async |_: Params, cx: Context| {
    ///     cx.close_after_reply();
    ///     Err::<(), _>(ErrorObject::new(1, "no such user"))
    /// });
    /// let (session, _peer) = rpc::testing::pair((), router);
    /// assert!(session.call::<()>("login", ("Mallory",)).await.is_err());
    /// session.closed().await;
    /// # Ok(()) }
    /// ```
    pub fn close_after_reply(&self) {
        self.peer.close_after(self.work);
    }

    /// The extensions of the session: values kept there by the transport and by the application. A
    /// message without a session (over HTTP, or see [`Dispatcher`](crate::Dispatcher)) has its own,
    /// which end with it.
    pub fn extensions(&self) -> &Extensions {
        self.peer.extensions()
    }

    /// The headers and the path of the HTTP request that carried this request, or that began its
    /// session (WebSocket). `None` on every other transport.
    ///
    /// Extensions that a layer has put into the HTTP request are also found in
    /// [`extensions`](Self::extensions).
    #[cfg(any(feature = "http", feature = "ws"))]
    pub fn http(&self) -> Option<&http::request::Parts> {
        self.extensions().http()
    }
}

/// Work that runs to its end, whatever happens to its handler: made by
/// [`Context::shield`](crate::Context::shield). Awaiting it gives the value of the work; dropping
/// it lets the work go on.
pub struct Shielded<T>(JoinHandle<Result<T, PanicPayload>>);

impl<T: Send + 'static> Shielded<T> {
    pub(super) fn start(
        peer: &RequestPeer,
        method: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let shield = peer.shield();
        Self(tokio::spawn(async move {
            let done = AssertUnwindSafe(work).catch_unwind().await;
            drop(shield);
            // The log is told here: the handler that would await the panic may be gone.
            done.inspect_err(|panic| log_panic(method, &**panic))
        }))
    }
}

impl<T> Future for Shielded<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Ok(value)) => Poll::Ready(value),
            Ok(Err(panic)) => resume_unwind(panic),
            // The runtime is shutting down, and drops this future as well.
            Err(_) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded").finish_non_exhaustive()
    }
}
