//! Values attached to a session or a request, keyed by type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

type AnyValue = Arc<dyn Any + Send + Sync>;
type ValueMap = HashMap<TypeId, AnyValue>;

/// One value per type, shared by everything that knows the session, or the request if it has no
/// session.
///
/// For messages that came over HTTP or a WebSocket, a lookup falls back to the extensions of the
/// [HTTP request](Self::http): a value inserted by a layer before the service, for example the
/// authenticated user, is found here by its type.
///
/// ```
/// # let (session, _peer) = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async { rpc::testing::pair((), ()) });
/// #[derive(Debug)]
/// struct User(String);
///
/// session.extensions().insert(User("ann".into()));
/// assert_eq!(session.extensions().get::<User>().unwrap().0, "ann");
/// assert!(session.extensions().get::<u8>().is_none());
/// ```
#[derive(Default)]
pub struct Extensions {
    /// Allocated with the first value or the first share: most sessions and messages have no
    /// values.
    values: OnceLock<Arc<RwLock<ValueMap>>>,
    #[cfg(any(feature = "http", feature = "ws"))]
    http: Option<Arc<http::request::Parts>>,
}

impl Extensions {
    /// Inserts `value`, and replaces one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        let value = Arc::new(value);
        let mut values = self.values().write().unwrap_or_else(PoisonError::into_inner);
        let replaced = values.insert(TypeId::of::<T>(), value);
        drop(values);
        // Dropped after the lock is released: `Drop` is user code, and may access the extensions.
        drop(replaced);
    }

    /// Returns the value of type `T`, if there is one.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        match self.own(TypeId::of::<T>()) {
            Some(own) => Some(Extension(ExtensionSource::Own(own.downcast().ok()?))),
            None => self.of_request(),
        }
    }

    /// Removes and returns the value of type `T`. A value in the extensions of the HTTP request
    /// stays there.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let mut values = self.values.get()?.write().unwrap_or_else(PoisonError::into_inner);
        let own = values.remove(&TypeId::of::<T>())?;
        Some(Extension(ExtensionSource::Own(own.downcast().ok()?)))
    }

    /// The same values for another owner: a value inserted into either is visible in both.
    pub(crate) fn share(&self) -> Self {
        Self {
            values: OnceLock::from(Arc::clone(self.values())),
            #[cfg(any(feature = "http", feature = "ws"))]
            http: self.http.clone(),
        }
    }

    fn values(&self) -> &Arc<RwLock<ValueMap>> {
        self.values.get_or_init(Arc::default)
    }

    fn own(&self, of: TypeId) -> Option<AnyValue> {
        self.values.get()?.read().unwrap_or_else(PoisonError::into_inner).get(&of).cloned()
    }

    #[cfg(not(any(feature = "http", feature = "ws")))]
    fn of_request<T>(&self) -> Option<Extension<T>> {
        None
    }
}

#[cfg(any(feature = "http", feature = "ws"))]
impl Extensions {
    /// Extensions of a message that came in an HTTP request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, Dispatcher, ErrorObject, Extensions, Params, Router};
    ///
    /// let router = Router::new().method("agent", async |_: Params, cx: Context| {
    ///     let agent = cx.http().and_then(|request| request.headers.get("user-agent")?.to_str().ok());
    ///     Ok::<_, ErrorObject>(agent.map(str::to_owned))
    /// });
    /// let dispatcher = Dispatcher::builder().service(router).build()?;
    ///
    /// let call = r#"{"jsonrpc":"2.0","id":1,"method":"agent"}"#;
    /// let request = http::Request::post("/").header("user-agent", "curl/8").body(call)?;
    /// let (parts, body) = request.into_parts();
    /// let reply = dispatcher.dispatch_with(body.as_bytes(), Extensions::of_http(parts)).await;
    /// assert_eq!(reply.unwrap(), br#"{"jsonrpc":"2.0","id":1,"result":"curl/8"}"#[..]);
    /// # Ok(()) }
    /// ```
    pub fn of_http(request: http::request::Parts) -> Self {
        Self { values: OnceLock::new(), http: Some(Arc::new(request)) }
    }

    /// The HTTP request that carried the message, or that opened the session: its headers, path and
    /// extensions. A session does not keep headers that concern the handshake only: `Connection`,
    /// `Upgrade`, and the key, version and extensions of a WebSocket.
    pub fn http(&self) -> Option<&http::request::Parts> {
        self.http.as_deref()
    }

    fn of_request<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let request = self.http.as_ref()?;
        request.extensions.get::<T>()?;
        Some(Extension(ExtensionSource::OfRequest(Arc::clone(request))))
    }

    /// A copy of the connection's values, for one of its requests or for the session that the
    /// request opened.
    pub(crate) fn for_request(&self, request: http::request::Parts) -> Self {
        let copied = self.values.get().map(|values| {
            let values = values.read().unwrap_or_else(PoisonError::into_inner);
            OnceLock::from(Arc::new(RwLock::new(values.clone())))
        });
        Self { values: copied.unwrap_or_default(), http: Some(Arc::new(request)) }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").finish_non_exhaustive()
    }
}

/// A shared reference to a value in [`Extensions`], which may be kept.
pub struct Extension<T>(ExtensionSource<T>);

enum ExtensionSource<T> {
    Own(Arc<T>),
    /// A value in the extensions of this request, which is immutable.
    #[cfg(any(feature = "http", feature = "ws"))]
    OfRequest(Arc<http::request::Parts>),
}

impl<T: Send + Sync + 'static> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            ExtensionSource::Own(value) => value,
            #[cfg(any(feature = "http", feature = "ws"))]
            ExtensionSource::OfRequest(request) => request.extensions.get().expect("it was found there"),
        }
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            ExtensionSource::Own(value) => ExtensionSource::Own(Arc::clone(value)),
            #[cfg(any(feature = "http", feature = "ws"))]
            ExtensionSource::OfRequest(request) => ExtensionSource::OfRequest(Arc::clone(request)),
        })
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Extension<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
