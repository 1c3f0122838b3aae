//! What a handler may want to know about the request it serves.

use tokio::time::Instant;

use crate::{
    jsonrpc::RequestId,
    session::{Extensions, Session},
    transport::Endpoint,
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
    session: Session,
    method: &'static str,
    id: Option<RequestId>,
    deadline: Option<Instant>,
    /// Which request of the session it is.
    number: u64,
}

impl Context {
    pub(super) const fn new(
        session: Session,
        method: &'static str,
        id: Option<RequestId>,
        deadline: Option<Instant>,
        number: u64,
    ) -> Self {
        Self { session, method, id, deadline, number }
    }

    /// The session that the request came in by: a way to call the caller back.
    ///
    /// A request that came by itself (see [`Dispatcher`](crate::Dispatcher)) has one that is closed, with
    /// [`CloseReason::NoSession`](crate::CloseReason::NoSession).
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Where the caller is.
    pub fn peer(&self) -> &Endpoint {
        self.session.peer()
    }

    /// The name of the method on the wire: its own, also where it was called by an alias.
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The id of the request; `None` where it is a notification.
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// When the handler will be dropped if it has not finished: see
    /// [`Limits::request_timeout`](crate::Limits::request_timeout).
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Closes the session in good order once this request is answered, whether with a result or an error: for a peer that is to be told
    /// why it is sent away.
    ///
    /// Until then the session goes on, and the handler may still call its peer. Where the request came in a batch, the close begins when
    /// the reply to the batch is out; that of a notification begins when its handler has finished. Then it is as with
    /// [`Session::start_close`]: no further request is read, other handlers at work are finished and answered, and after
    /// [`Limits::close_timeout`](crate::Limits::close_timeout) that is forced. Asked of a context whose request was answered already, it
    /// begins at once.
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
        self.session.link().close_after(self.number);
    }

    /// What the application keeps with the session.
    pub fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }
}
