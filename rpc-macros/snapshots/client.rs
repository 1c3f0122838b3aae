#[allow(dead_code)]
trait Editor: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn initialize(
        &self,
        params: &Initialize,
    ) -> impl ::core::future::Future<Output = &str> + ::core::marker::Send;
    fn open(
        &self,
        force: bool,
        paths: &[PathBuf],
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    fn resize(
        &self,
        width: u16,
        #[cfg(unix)]
        height: u16,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
}
/**Calls a [`Editor`] through anything that can be called: a session, unless said otherwise.

Made by `EditorClient::from(session)`, or by `session.into()` where a method is called `from`. Each method gives a call that is sent when it is awaited.*/
#[allow(dead_code, non_camel_case_types)]
struct EditorClient<C = ::rpc::Session> {
    caller: C,
}
#[automatically_derived]
impl<C> ::core::convert::From<C> for EditorClient<C> {
    fn from(caller: C) -> Self {
        Self { caller }
    }
}
#[automatically_derived]
impl<C: ::core::clone::Clone> ::core::clone::Clone for EditorClient<C> {
    fn clone(&self) -> Self {
        Self {
            caller: ::core::clone::Clone::clone(&self.caller),
        }
    }
}
#[automatically_derived]
impl<C: ::core::fmt::Debug> ::core::fmt::Debug for EditorClient<C> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("EditorClient").field("caller", &self.caller).finish()
    }
}
#[allow(dead_code)]
impl<C> EditorClient<C> {
    ///The methods of [`Editor`], in the order of the trait.
    const METHODS: &'static [::rpc::MethodInfo] = &[
        ::rpc::MethodInfo::request("initialize")
            .with_params(&[::rpc::ParamInfo::new("params").whole()]),
        ::rpc::MethodInfo::request("open")
            .with_params(
                &[::rpc::ParamInfo::new("force"), ::rpc::ParamInfo::new("paths").rest()],
            ),
        #[cfg(unix)]
        ::rpc::MethodInfo::request("resize")
            .with_params(
                &[::rpc::ParamInfo::new("width"), ::rpc::ParamInfo::new("height")],
            ),
        #[cfg(not(unix))]
        ::rpc::MethodInfo::request("resize")
            .with_params(&[::rpc::ParamInfo::new("width")]),
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
impl<C: ::rpc::Caller> EditorClient<C> {
    fn initialize(
        &self,
        params: &Initialize,
    ) -> ::rpc::Call<'static, C, ::rpc::private::Owned<str>> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[0], params)
    }
    fn open(&self, force: bool, paths: &[PathBuf]) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(
            &self.caller,
            &Self::METHODS[1],
            ::rpc::private::WithRest((force,), paths),
        )
    }
    #[cfg(unix)]
    fn resize(&self, width: u16, height: u16) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(&self.caller, &Self::METHODS[2], (width, height))
    }
    #[cfg(not(unix))]
    fn resize(&self, width: u16) -> ::rpc::Call<'static, C, ()> {
        ::rpc::Call::to(
            &self.caller,
            &Self::METHODS[2 + ::core::cfg!(unix) as usize],
            (width,),
        )
    }
}
