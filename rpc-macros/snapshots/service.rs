/// What a calculator offers.
pub trait Calc: ::core::marker::Send + ::core::marker::Sync + 'static {
    /// Adds two numbers.
    fn add(
        &self,
        a: i64,
        b: i64,
    ) -> impl ::core::future::Future<Output = i64> + ::core::marker::Send;
    /// Borrowed in, on both sides.
    fn greet(
        &self,
        name: &str,
    ) -> impl ::core::future::Future<Output = String> + ::core::marker::Send;
    /// Typed failure.
    fn div(
        &self,
        a: i64,
        b: i64,
    ) -> impl ::core::future::Future<
        Output = Result<i64, DivError>,
    > + ::core::marker::Send;
    fn version(&self) -> u32;
    /// No reply travels back.
    fn log(
        &self,
        line: &str,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    fn rename(
        &self,
        cx: &Context,
        from: &str,
        to: Cow<'_, str>,
    ) -> impl ::core::future::Future<
        Output = Result<usize, DivError>,
    > + ::core::marker::Send;
    fn twice(
        &self,
        a: i64,
    ) -> impl ::core::future::Future<Output = i64> + ::core::marker::Send {
        async move { self.add(a, a).await }
    }
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
#[allow(dead_code)]
impl<C> CalcClient<C> {
    ///The methods of [`Calc`], in the order of the trait.
    pub const METHODS: &'static [::rpc::MethodInfo] = &[
        ::rpc::MethodInfo::request("calc.add")
            .with_params(&[::rpc::ParamInfo::new("a"), ::rpc::ParamInfo::new("b")])
            .with_docs("Adds two numbers."),
        ::rpc::MethodInfo::request("calc.greet")
            .with_params(&[::rpc::ParamInfo::new("name")])
            .with_docs("Borrowed in, on both sides."),
        ::rpc::MethodInfo::request("calc.div")
            .with_params(&[::rpc::ParamInfo::new("a"), ::rpc::ParamInfo::new("b")])
            .with_docs("Typed failure."),
        ::rpc::MethodInfo::request("calc.version"),
        ::rpc::MethodInfo::notification("calc.log")
            .with_params(&[::rpc::ParamInfo::new("line")])
            .by_name()
            .with_docs("No reply travels back."),
        ::rpc::MethodInfo::request("calc.renameAll")
            .with_params(&[::rpc::ParamInfo::new("old"), ::rpc::ParamInfo::new("to")]),
        ::rpc::MethodInfo::request("calc.twice")
            .with_params(&[::rpc::ParamInfo::new("a")]),
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
impl<C: ::rpc::Caller> CalcClient<C> {
    /// Adds two numbers.
    pub fn add(&self, a: i64, b: i64) -> ::rpc::Call<'static, C, i64> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[0], (a, b))
    }
    /// Borrowed in, on both sides.
    pub fn greet(
        &self,
        name: &str,
    ) -> ::rpc::Call<
        'static,
        C,
        String,
        {
            #[allow(unused_imports)]
            use ::rpc::private::Plain as _;
            ::rpc::private::Probe::<String>::FALLIBLE
        },
    > {
        ::rpc::Call::to(&self.caller, &Self::METHODS[1], (name,))
    }
    /// Typed failure.
    pub fn div(
        &self,
        a: i64,
        b: i64,
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
        ::rpc::Call::to(&self.caller, &Self::METHODS[2], (a, b))
    }
    pub fn version(&self) -> ::rpc::Call<'static, C, u32> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[3], ())
    }
    /// No reply travels back.
    pub fn log(&self, line: &str) -> ::rpc::Notify<'static, C> {
        ::rpc::Notify::to(&self.caller, &Self::METHODS[4], (line,))
    }
    pub fn rename(
        &self,
        from: &str,
        to: Cow<'_, str>,
    ) -> ::rpc::Call<
        'static,
        C,
        Result<usize, DivError>,
        {
            #[allow(unused_imports)]
            use ::rpc::private::Plain as _;
            ::rpc::private::Probe::<Result<usize, DivError>>::FALLIBLE
        },
    > {
        ::rpc::Call::to(&self.caller, &Self::METHODS[5], (from, to))
    }
    pub fn twice(&self, a: i64) -> ::rpc::Call<'static, C, i64> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[6], (a,))
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
#[allow(dead_code)]
impl<S: ?::core::marker::Sized> CalcServer<S> {
    ///The methods of [`Calc`], in the order of the trait.
    pub const METHODS: &'static [::rpc::MethodInfo] = CalcClient::<()>::METHODS;
}
#[allow(dead_code, deprecated)]
impl<S: Calc> CalcServer<S> {
    ///Serves `service`. One that is shared already comes in by `CalcServer::from(Arc::clone(..))`.
    pub fn new(service: S) -> Self {
        Self {
            service: ::rpc::private::Arc::new(service),
        }
    }
}
#[allow(deprecated)]
#[automatically_derived]
impl<S: Calc + ?::core::marker::Sized> ::core::convert::From<::rpc::private::Arc<S>>
for CalcServer<S> {
    fn from(service: ::rpc::private::Arc<S>) -> Self {
        Self { service }
    }
}
#[allow(deprecated, clippy::all, clippy::pedantic)]
#[automatically_derived]
impl<S: Calc + ?::core::marker::Sized> ::rpc::Service for CalcServer<S> {
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
                    (::rpc::private::Of::<i64>, ::rpc::private::Of::<i64>),
                    |(a, b)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                false,
                                _,
                            >(<S as Calc>::add(&service, a, b).await)
                        }
                    },
                )
            }
            1 => {
                ::rpc::private::handle(
                    request,
                    (::rpc::private::Of::<::rpc::private::Owned<str>>,),
                    |(name,)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                { ::rpc::private::Probe::<String>::FALLIBLE },
                                _,
                            >(
                                <S as Calc>::greet(
                                        &service,
                                        ::rpc::private::Borrowed::lend(&name),
                                    )
                                    .await,
                            )
                        }
                    },
                )
            }
            2 => {
                ::rpc::private::handle(
                    request,
                    (::rpc::private::Of::<i64>, ::rpc::private::Of::<i64>),
                    |(a, b)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                {
                                    ::rpc::private::Probe::<Result<i64, DivError>>::FALLIBLE
                                },
                                _,
                            >(<S as Calc>::div(&service, a, b).await)
                        }
                    },
                )
            }
            3 => {
                ::rpc::private::handle_now(
                    request,
                    (),
                    |()| ::rpc::private::returned::<
                        false,
                        _,
                    >(<S as Calc>::version(&self.service)),
                )
            }
            4 => {
                ::rpc::private::handle(
                    request,
                    (::rpc::private::Of::<::rpc::private::Owned<str>>,),
                    |(line,)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                false,
                                _,
                            >(
                                <S as Calc>::log(
                                        &service,
                                        ::rpc::private::Borrowed::lend(&line),
                                    )
                                    .await,
                            )
                        }
                    },
                )
            }
            5 => {
                let context = request.context();
                ::rpc::private::handle(
                    request,
                    (
                        ::rpc::private::Of::<::rpc::private::Owned<str>>,
                        ::rpc::private::Of::<Cow<'static, str>>,
                    ),
                    |(from, to)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                {
                                    ::rpc::private::Probe::<Result<usize, DivError>>::FALLIBLE
                                },
                                _,
                            >(
                                <S as Calc>::rename(
                                        &service,
                                        &context,
                                        ::rpc::private::Borrowed::lend(&from),
                                        to,
                                    )
                                    .await,
                            )
                        }
                    },
                )
            }
            6 => {
                ::rpc::private::handle(
                    request,
                    (::rpc::private::Of::<i64>,),
                    |(a,)| {
                        let service = ::core::clone::Clone::clone(&self.service);
                        async move {
                            ::rpc::private::returned::<
                                false,
                                _,
                            >(<S as Calc>::twice(&service, a).await)
                        }
                    },
                )
            }
            _ => ::rpc::private::no_such_method(request),
        }
    }
}
