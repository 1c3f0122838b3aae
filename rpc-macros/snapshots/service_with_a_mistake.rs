::core::compile_error! {
    "unknown word `colour`; a service trait takes `namespace`, `separator`, `rename_all`, `params`, `empty_params`, `allow_unknown`, `notices`, `client`, `server`, `auto_impl`, `crate`"
}
::core::compile_error! {
    "a parameter is a plain name, by which callers can give it; take it apart in the method"
}
pub trait Calc: ::core::marker::Sized {
    fn add(
        &self,
        _: (i64, i64),
    ) -> impl ::core::future::Future<Output = Result<i64, DivError>>;
    fn log(&self, _: &str) -> impl ::core::future::Future<Output = ()>;
}
/**Calls a [`Calc`] through anything that can be called: a session, unless said otherwise.

Made by `CalcClient::from(session)`, or by `session.into()` where a method is called `from`. Each method gives a call that is sent when it is awaited.*/
#[allow(dead_code, non_camel_case_types)]
pub struct CalcClient<C = ::rpc::Session> {
    caller: C,
}
#[automatically_derived]
impl<C> ::core::convert::From<C> for CalcClient<C> {
    fn from(caller: C) -> Self {
        Self { caller }
    }
}
#[automatically_derived]
impl<C: ::core::clone::Clone> ::core::clone::Clone for CalcClient<C> {
    fn clone(&self) -> Self {
        Self {
            caller: ::core::clone::Clone::clone(&self.caller),
        }
    }
}
#[automatically_derived]
impl<C: ::core::fmt::Debug> ::core::fmt::Debug for CalcClient<C> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("CalcClient").field("caller", &self.caller).finish()
    }
}
///Serves a [`Calc`]: what a server or a connector takes as its service. Clones share it.
#[allow(dead_code, non_camel_case_types)]
pub struct CalcServer<S: ?::core::marker::Sized> {
    service: ::rpc::private::Arc<S>,
}
#[automatically_derived]
impl<S: ?::core::marker::Sized> ::core::clone::Clone for CalcServer<S> {
    fn clone(&self) -> Self {
        Self {
            service: ::core::clone::Clone::clone(&self.service),
        }
    }
}
#[automatically_derived]
impl<S: ?::core::marker::Sized> ::core::fmt::Debug for CalcServer<S> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("CalcServer").finish_non_exhaustive()
    }
}
#[allow(warnings)]
impl<C: ::rpc::Caller> CalcClient<C> {
    pub const METHODS: &'static [::rpc::MethodInfo] = &[];
    #[doc(hidden)]
    pub fn add(
        &self,
        _: (i64, i64),
    ) -> ::rpc::Call<
        'static,
        C,
        Result<i64, DivError>,
        {
            #[allow(unused_imports)]
            use ::rpc::private::Plain as _;
            ::rpc::private::Probe::<Result<i64, DivError>>::FALLIBLE
        },
    > {
        ::core::unreachable!()
    }
    #[doc(hidden)]
    pub fn log(&self, _: &str) -> ::rpc::Notify<'static, C> {
        ::core::unreachable!()
    }
}
#[allow(warnings)]
impl<S: ?::core::marker::Sized> CalcServer<S> {
    pub const METHODS: &'static [::rpc::MethodInfo] = &[];
}
#[allow(warnings)]
impl<S> CalcServer<S> {
    pub fn new(_: S) -> Self {
        ::core::unreachable!()
    }
}
impl<S: ?::core::marker::Sized> ::core::convert::From<::rpc::private::Arc<S>>
for CalcServer<S> {
    fn from(_: ::rpc::private::Arc<S>) -> Self {
        ::core::unreachable!()
    }
}
impl<
    S: ::core::marker::Send + ::core::marker::Sync + ?::core::marker::Sized + 'static,
> ::rpc::Service for CalcServer<S> {
    fn declared() -> &'static [::rpc::MethodInfo] {
        &[]
    }
    fn methods(&self) -> &[::rpc::MethodInfo] {
        &[]
    }
    fn call(&self, _: usize, _: ::rpc::Request<'_>) -> ::rpc::Handled {
        ::core::unreachable!()
    }
}
