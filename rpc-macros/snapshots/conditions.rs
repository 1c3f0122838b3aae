trait Conditional: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn first(&self);
    #[cfg(unix)]
    fn second(&self);
    #[deprecated]
    fn third(&self);
}
/**Calls a [`Conditional`] through anything that can be called: a session, unless said otherwise.

Made by `ConditionalClient::from(session)`, or by `session.into()` where a method is called `from`. Each method gives a call that is sent when it is awaited.*/
#[allow(dead_code, non_camel_case_types)]
struct ConditionalClient<C = ::rpc::Session> {
    caller: C,
}
#[automatically_derived]
impl<C> ::core::convert::From<C> for ConditionalClient<C> {
    fn from(caller: C) -> Self {
        Self { caller }
    }
}
#[automatically_derived]
impl<C: ::core::clone::Clone> ::core::clone::Clone for ConditionalClient<C> {
    fn clone(&self) -> Self {
        Self {
            caller: ::core::clone::Clone::clone(&self.caller),
        }
    }
}
#[automatically_derived]
impl<C: ::core::fmt::Debug> ::core::fmt::Debug for ConditionalClient<C> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ConditionalClient").field("caller", &self.caller).finish()
    }
}
#[allow(dead_code)]
impl<C> ConditionalClient<C> {
    ///The methods of [`Conditional`], in the order of the trait.
    const METHODS: &'static [::rpc::MethodInfo] = &[
        ::rpc::MethodInfo::request("first"),
        #[cfg(unix)]
        ::rpc::MethodInfo::request("second"),
        ::rpc::MethodInfo::request("third"),
    ];
}
#[allow(
    dead_code,
    deprecated,
    elided_lifetimes_in_paths,
    missing_docs,
    non_snake_case,
    clippy::all,
    clippy::pedantic
)]
impl<C: ::rpc::Caller> ConditionalClient<C> {
    fn first(&self) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[0], ())
    }
    #[cfg(unix)]
    fn second(&self) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[1], ())
    }
    #[deprecated]
    fn third(&self) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(
            &self.caller,
            &Self::METHODS[1 + ::core::cfg!(unix) as usize],
            (),
        )
    }
}
///Serves a [`Conditional`]: what a server or a connector takes as its service. Clones share it.
#[allow(dead_code, non_camel_case_types)]
struct ConditionalServer<S: ?::core::marker::Sized> {
    service: ::rpc::private::Arc<S>,
}
#[automatically_derived]
impl<S: ?::core::marker::Sized> ::core::clone::Clone for ConditionalServer<S> {
    fn clone(&self) -> Self {
        Self {
            service: ::core::clone::Clone::clone(&self.service),
        }
    }
}
#[automatically_derived]
impl<S: ?::core::marker::Sized> ::core::fmt::Debug for ConditionalServer<S> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ConditionalServer").finish_non_exhaustive()
    }
}
#[allow(dead_code)]
impl<S: ?::core::marker::Sized> ConditionalServer<S> {
    ///The methods of [`Conditional`], in the order of the trait.
    const METHODS: &'static [::rpc::MethodInfo] = ConditionalClient::<()>::METHODS;
}
#[allow(dead_code, deprecated)]
impl<S: Conditional> ConditionalServer<S> {
    ///Serves `service`. One that is shared already comes in by `ConditionalServer::from(Arc::clone(..))`.
    fn new(service: S) -> Self {
        Self {
            service: ::rpc::private::Arc::new(service),
        }
    }
}
#[allow(deprecated)]
#[automatically_derived]
impl<
    S: Conditional + ?::core::marker::Sized,
> ::core::convert::From<::rpc::private::Arc<S>> for ConditionalServer<S> {
    fn from(service: ::rpc::private::Arc<S>) -> Self {
        Self { service }
    }
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<S: Conditional + ?::core::marker::Sized> ::rpc::Service for ConditionalServer<S> {
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
                ::rpc::private::handle_now(
                    request,
                    (),
                    |()| ::rpc::private::returned::<
                        false,
                        _,
                    >(<S as Conditional>::first(&self.service)),
                )
            }
            #[cfg(unix)]
            1 => {
                ::rpc::private::handle_now(
                    request,
                    (),
                    |()| ::rpc::private::returned::<
                        false,
                        _,
                    >(<S as Conditional>::second(&self.service)),
                )
            }
            method if method == 1 + ::core::cfg!(unix) as usize => {
                ::rpc::private::handle_now(
                    request,
                    (),
                    |()| ::rpc::private::returned::<
                        false,
                        _,
                    >(<S as Conditional>::third(&self.service)),
                )
            }
            _ => ::rpc::private::no_such_method(request),
        }
    }
}
