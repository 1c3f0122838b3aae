//! What a handler may want to know about the request it serves.

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
    session::{Session, Within, WorkNumber},
    transport::{Endpoint, Extensions},
};

/// The request being served, and who asked: a handler that takes `#[rpc(context)] cx: &Context` is given one.
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
    /// The number by which its session knows the request.
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

    /// The session that the request came in by: a way to call the caller back.
    ///
    /// A request that came by itself (see [`Dispatcher`](crate::Dispatcher)) has one that is closed, with
    /// [`CloseReason::NoSession`](crate::CloseReason::NoSession). It is made when it is asked for, once for all requests of a message:
    /// [`peer`](Self::peer) and [`extensions`](Self::extensions) do without.
    pub fn session(&self) -> &Session {
        self.peer.session()
    }

    /// Where the caller is.
    pub fn peer(&self) -> &Endpoint {
        self.peer.endpoint()
    }

    /// The name of the method on the wire: its own, also where it was called by an alias.
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The id of the request; `None` where it is a notification.
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// The members of the parameters that the method does not name, in the order in which they came: those that `allow_unknown` on
    /// the method or its trait, or [`UnknownParams`](crate::UnknownParams), lets pass.
    pub fn unknown_params(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.passed.iter().flat_map(|passed| passed.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// One of [`unknown_params`](Self::unknown_params), read into a type of yours; `None` where there is none of this name.
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
    /// An [`ErrorObject`] with code -32602 that says what was wrong, where it is there and no `T`.
    pub fn unknown_param<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ErrorObject> {
        let found = self.unknown_params().find(|(other, _)| *other == name);
        found
            .map(|(_, value)| serde_json::from_str(value.get()))
            .transpose()
            .map_err(|error| invalid(self.method, &format_args!("`{name}`: {error}")))
    }

    /// When the handler will be dropped if it has not finished: see
    /// [`Limits::request_timeout`](crate::Limits::request_timeout).
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The session that the request came in by, for calls that end when the handler has to: see [`deadline`](Self::deadline).
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
    pub fn caller(&self) -> Within<Session> {
        self.within(self.session().clone())
    }

    /// Any other caller, for calls that end when the handler has to: what it asks of others does not outlive it.
    pub const fn within<C>(&self, caller: C) -> Within<C> {
        Within::new(caller, self.deadline)
    }

    /// Whether nobody waits for the handler any more: the request was taken back, took too long, was answered, or its session has ended.
    ///
    /// A handler is dropped then, wherever it awaits something, and need not ask. This is for what it has handed to other tasks or threads
    /// with a clone of the context, and for a handler that computes for long without awaiting. A stream that a handler has returned counts
    /// as the handler going on.
    ///
    /// A request that came by itself (see [`Dispatcher`](crate::Dispatcher)) is worked on until the message that it came in is answered, or
    /// nobody waits for the answer any more.
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

    /// Runs `work` to its end, even where the handler is dropped before: for what must not be left half done. It is started at once, as a
    /// task; awaiting what this gives waits for its value, and dropping that does not stop it.
    ///
    /// A session that closes in good order waits for it as for a handler, until
    /// [`Limits::close_timeout`](crate::Limits::close_timeout); so does a server that is shut down, where the request came over HTTP. It goes
    /// on after that, and after a session that ends in another way. Until it
    /// has ended it takes up one of the places of [`Limits::requests_in_flight`](crate::Limits::requests_in_flight), besides its
    /// handler's.
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
    /// Outside a tokio runtime. A panic of `work` is passed on to whoever awaits it.
    pub fn shield<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Shielded<T> {
        Shielded::start(&self.peer, self.method, work)
    }

    /// Closes the session in good order once this request is answered, whether with a result or an error: for a peer that is to be told
    /// why it is sent away.
    ///
    /// Until then the session goes on, and the handler may still call its peer. Where the request came in a batch, the close begins when
    /// the reply to the batch is out; that of a notification begins when its handler has finished. Then it is as with
    /// [`Session::start_close`]: no further request is read, other handlers at work are finished and answered, and after
    /// [`Limits::close_timeout`](crate::Limits::close_timeout) that is forced. Asked of a context whose request was answered already, it
    /// begins at once. A request that came by itself has no session to close, and nothing happens.
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

    /// What is kept with the session: by the transport, and by the application. Of a request that came by itself (by HTTP, or see
    /// [`Dispatcher`](crate::Dispatcher)) it is what came with it, and ends with it.
    pub fn extensions(&self) -> &Extensions {
        self.peer.extensions()
    }

    /// The HTTP request that this one came in, or by which its session was begun (WebSocket): its headers, and its path. `None` for all that
    /// came in another way.
    ///
    /// What a layer has put into its extensions is found in [`extensions`](Self::extensions), too.
    #[cfg(any(feature = "http", feature = "ws"))]
    pub fn http(&self) -> Option<&http::request::Parts> {
        self.extensions().http()
    }
}

/// Work that is finished whatever becomes of its handler: made by [`Context::shield`](crate::Context::shield). Awaiting it gives the
/// work's value; dropping it lets the work go on.
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
            // Nobody may be left to hear of it.
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
            // The runtime is stopping, and drops whoever waits here, too.
            Err(_) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded").finish_non_exhaustive()
    }
}
