pub trait Store<
    K: Ord,
    V = String,
>: Debug + ::core::marker::Send + ::core::marker::Sync + 'static
where
    V: Clone,
    Self: Unpin,
{
    fn put_value(
        &self,
        key: K,
        value: &V,
    ) -> impl ::core::future::Future<
        Output = Result<V, StoreError>,
    > + ::core::marker::Send;
    fn find_first(&self, note: Option<&str>, keys: Vec<K>) -> Option<&V>;
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<K: Ord, V, S: Store<K, V> + ?::core::marker::Sized> Store<K, V>
for ::rpc::private::Arc<S>
where
    V: Clone,
    Self: Unpin,
    Self: Debug,
{
    fn put_value(
        &self,
        param0: K,
        param1: &V,
    ) -> impl ::core::future::Future<
        Output = Result<V, StoreError>,
    > + ::core::marker::Send {
        <S as Store<K, V>>::put_value(&**self, param0, param1)
    }
    fn find_first(&self, param0: Option<&str>, param1: Vec<K>) -> Option<&V> {
        <S as Store<K, V>>::find_first(&**self, param0, param1)
    }
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<K: Ord, V, S: Store<K, V> + ?::core::marker::Sized> Store<K, V>
for ::rpc::private::Box<S>
where
    V: Clone,
    Self: Unpin,
    Self: Debug,
{
    fn put_value(
        &self,
        param0: K,
        param1: &V,
    ) -> impl ::core::future::Future<
        Output = Result<V, StoreError>,
    > + ::core::marker::Send {
        <S as Store<K, V>>::put_value(&**self, param0, param1)
    }
    fn find_first(&self, param0: Option<&str>, param1: Vec<K>) -> Option<&V> {
        <S as Store<K, V>>::find_first(&**self, param0, param1)
    }
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<K: Ord, V, S: Store<K, V> + ?::core::marker::Sized> Store<K, V> for &'static S
where
    V: Clone,
    Self: Unpin,
    Self: Debug,
{
    fn put_value(
        &self,
        param0: K,
        param1: &V,
    ) -> impl ::core::future::Future<
        Output = Result<V, StoreError>,
    > + ::core::marker::Send {
        <S as Store<K, V>>::put_value(&**self, param0, param1)
    }
    fn find_first(&self, param0: Option<&str>, param1: Vec<K>) -> Option<&V> {
        <S as Store<K, V>>::find_first(&**self, param0, param1)
    }
}
///Serves a [`Store`]: what a server or a connector takes as its service. Clones share it.
#[allow(dead_code, non_camel_case_types)]
pub struct StoreServer<K: Ord, V, S: ?::core::marker::Sized>
where
    V: Clone,
{
    service: ::rpc::private::Arc<S>,
    types: ::core::marker::PhantomData<(fn() -> K, fn() -> V)>,
}
#[automatically_derived]
impl<K: Ord, V, S: ?::core::marker::Sized> ::core::clone::Clone for StoreServer<K, V, S>
where
    V: Clone,
{
    fn clone(&self) -> Self {
        Self {
            service: ::core::clone::Clone::clone(&self.service),
            types: ::core::marker::PhantomData,
        }
    }
}
#[automatically_derived]
impl<K: Ord, V, S: ?::core::marker::Sized> ::core::fmt::Debug for StoreServer<K, V, S>
where
    V: Clone,
{
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("StoreServer").finish_non_exhaustive()
    }
}
#[allow(dead_code)]
impl<K: Ord, V, S: ?::core::marker::Sized> StoreServer<K, V, S>
where
    V: Clone,
{
    ///The methods of [`Store`], in the order of the trait.
    pub const METHODS: &'static [::rpc::MethodInfo] = &[
        ::rpc::MethodInfo::request("putValue")
            .with_aliases(&["put"])
            .with_params(
                &[
                    ::rpc::ParamInfo::new("key"),
                    ::rpc::ParamInfo::new("value").with_default(),
                ],
            )
            .with_timeout(::core::time::Duration::from_millis(5000u64))
            .idempotent(),
        ::rpc::MethodInfo::request("findFirst")
            .with_params(
                &[
                    ::rpc::ParamInfo::new("note").optional(),
                    ::rpc::ParamInfo::new("keys").rest(),
                ],
            ),
    ];
}
#[allow(dead_code, deprecated)]
impl<K: Ord, V, S: Store<K, V>> StoreServer<K, V, S>
where
    V: Clone,
{
    ///Serves `service`. One that is shared already comes in by `StoreServer::from(Arc::clone(..))`.
    pub fn new(service: S) -> Self {
        Self {
            service: ::rpc::private::Arc::new(service),
            types: ::core::marker::PhantomData,
        }
    }
}
#[allow(deprecated)]
#[automatically_derived]
impl<
    K: Ord,
    V,
    S: Store<K, V> + ?::core::marker::Sized,
> ::core::convert::From<::rpc::private::Arc<S>> for StoreServer<K, V, S>
where
    V: Clone,
{
    fn from(service: ::rpc::private::Arc<S>) -> Self {
        Self {
            service,
            types: ::core::marker::PhantomData,
        }
    }
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<K: Ord, V, S: Store<K, V> + ?::core::marker::Sized> ::rpc::Service
for StoreServer<K, V, S>
where
    V: Clone,
    K: ::core::marker::Send + ::core::marker::Sync + 'static
        + ::rpc::private::DeserializeOwned,
    V: ::core::marker::Send + ::core::marker::Sync + 'static
        + ::rpc::private::DeserializeOwned + ::rpc::private::Serialize,
{
    fn declared() -> &'static [::rpc::MethodInfo] {
        Self::METHODS
    }
    fn methods(&self) -> &[::rpc::MethodInfo] {
        Self::METHODS
    }
    fn call(&self, method: usize, request: ::rpc::Request<'_>) -> ::rpc::Handled {
        #[allow(unused_imports)]
        use ::rpc::private::Plain as _;
        match method {
            0 => {
                ::rpc::private::handle(
                    request,
                    (
                        ::rpc::private::Of::<K>,
                        ::rpc::private::Of::<
                            ::rpc::private::OrDefault<::rpc::private::Owned<V>>,
                        >,
                    ),
                    |(key, ::rpc::private::OrDefault(value))| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                {
                                    ::rpc::private::Probe::<Result<(), StoreError>>::FALLIBLE
                                },
                                _,
                            >(
                                <S as Store<
                                    K,
                                    V,
                                >>::put_value(
                                        &service,
                                        key,
                                        ::rpc::private::Borrowed::lend(&value),
                                    )
                                    .await,
                            )
                        }
                    },
                )
            }
            1 => {
                ::rpc::private::handle(
                    request,
                    (
                        ::rpc::private::Of::<
                            ::core::option::Option<::rpc::private::Owned<str>>,
                        >,
                        ::rpc::private::Of::<Vec<K>>,
                    ),
                    |(note, keys)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        ::rpc::private::blocking(move || ::rpc::private::returned::<
                            true,
                            _,
                        >(
                            ::rpc::private::written::<
                                { ::rpc::private::Probe::<Option<()>>::FALLIBLE },
                                _,
                            >(
                                <S as Store<
                                    K,
                                    V,
                                >>::find_first(
                                    &service,
                                    ::rpc::private::lend_option(&note),
                                    keys,
                                ),
                            ),
                        ))
                    },
                )
            }
            _ => ::rpc::private::no_such_method(request),
        }
    }
}
