//! An expansion names nothing that the user's crate could mean by another name.
#![no_implicit_prelude]
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub, reason = "these are about names only")]

/// The runtime, under a path of the user's.
mod runtime {
    pub mod deeper {
        pub use ::rpc::*;
    }
}

/// Types under the names that an expansion would mean if it were careless.
#[allow(dead_code)]
mod decoys {
    pub struct Arc;
    pub struct Borrowed;
    pub struct Box;
    pub struct Call;
    pub struct Caller;
    pub struct Clone;
    pub struct Debug;
    pub struct From;
    pub struct Future;
    pub struct Handled;
    pub struct MethodInfo;
    pub struct Notify;
    pub struct Of;
    pub struct Option;
    pub struct OrDefault;
    pub struct Owned;
    pub struct ParamInfo;
    pub struct PhantomData;
    pub struct Request;
    pub struct Result;
    pub struct Send;
    pub struct Serialize;
    pub struct Service;
    pub struct Sized;
    pub struct String;
    pub struct Sync;
    pub struct Vec;
}

#[allow(unused_imports)]
use self::decoys::*;

mod core {}
mod std {}
mod alloc {}
mod rpc {}
mod serde {}

#[derive(::core::fmt::Debug, ::rpc::RpcError)]
#[rpc(crate = runtime::deeper)]
pub enum Error {
    #[rpc(code = 1)]
    Plain,
    /// Fields named as the derive's variables could be.
    #[rpc(code = 2)]
    Named { error: u8, self_: u8, value: u8, field0: u8, field1: u8, r#type: u8 },
    #[rpc(code = 3)]
    One(u8),
    #[rpc(code = 4)]
    Two(u8, u8),
    #[rpc(code = 5)]
    EmptyNamed {},
    #[rpc(code = 6)]
    EmptyTuple(),
    #[rpc(code = 8)]
    r#Raw,
}

#[derive(::core::fmt::Debug, ::rpc::RpcError)]
#[rpc(crate = self::runtime::deeper)]
pub enum Never {}

#[derive(::core::fmt::Debug, ::rpc::RpcError)]
#[rpc(code = 9, crate = crate::runtime::deeper)]
pub struct Whole(u8, u8);

macro_rules! display {
    ($($error:ident)*) => {$(
        impl ::core::fmt::Display for $error {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::result::Result::Ok(())
            }
        }
        impl ::core::error::Error for $error {}
    )*};
}
display!(Error Never Whole InAMacroError);

/// Types that are called as the expansion's type parameters are.
pub type C = u8;
pub type S = u8;

#[::rpc::rpc_service(crate = runtime::deeper, namespace = "names")]
#[allow(clippy::wrong_self_convention, clippy::too_many_arguments)]
pub trait Names {
    async fn new(&self, c: C) -> S;
    async fn from(&self, s: &S) -> C;
    async fn call(&self);
    async fn clone(&self);
    async fn drop(&self);
    async fn caller(&self);
    async fn to(&self);
    async fn fmt(&self);
    async fn into(&self);
    async fn methods(&self);
    async fn declared(&self);
    async fn service(&self);
    fn r#type(&self) -> ::core::result::Result<C, Error>;
    async fn r#match(&self, r#type: C, r#move: &S) -> C;
    async fn request(
        &self,
        self_: &C,
        session: C,
        cx: C,
        params: C,
        f: C,
        request: &C,
        method: &C,
        service: &C,
    );
    fn context(&self, #[rpc(context)] service: &runtime::deeper::Context, context: &C, request: C);
    async fn both(&self, context: &C, #[rpc(context)] request: &runtime::deeper::Context, service: C);
    async fn with_body(&self, body: &C) -> C {
        self.new(*body).await
    }
}

/// Every word, and type parameters that are called as ours are.
#[::rpc::rpc_service(crate = runtime::deeper, rename_all = "camelCase", auto_impl)]
pub trait Words<T, S, const N: usize>: ::core::fmt::Debug
where
    T: ::core::clone::Clone
        + ::core::default::Default
        + ::core::marker::Send
        + ::core::marker::Sync
        + 'static,
    S: ::core::marker::Send + ::core::marker::Sync + 'static,
    [C; N]: ::serde::Serialize + ::serde::de::DeserializeOwned,
    Self: ::core::fmt::Debug,
{
    #[rpc(alias = "p", timeout = "5s", idempotent)]
    async fn put(&self, service: T, #[rpc(default)] caller: &T, context: ::core::option::Option<&str>) -> &T;
    #[rpc(blocking)]
    fn block(&self, #[rpc(whole)] request: &S, #[rpc(context)] context: &runtime::deeper::Context) -> &str;
    #[rpc(params = "by_name")]
    fn named(
        &self,
        #[rpc(name = "x")] _: C,
        #[rpc(rest)] service: [T; 2],
    ) -> ::core::result::Result<[C; N], Error>;
    fn rest(&self, #[rpc(rest)] params: [T; 2], #[rpc(context)] _: &runtime::deeper::Context);
    async fn lent<'call>(&self, text: &'call str) -> &'call str;
    async fn list<'call>(&self, service: &[&'call str], request: ::core::option::Option<&[&T]>)
    -> &'call str;
    fn sometimes(&self, #[cfg(any())] absent: Missing, #[cfg(not(any()))] method: &C) {
        _ = method;
    }
}

#[::rpc::rpc_service(crate = runtime::deeper, client)]
pub trait Called {
    async fn from(&self, #[rpc(rest)] to: [C; 2]) -> &str;
}

#[::rpc::rpc_service(crate = runtime::deeper, server)]
pub trait Served {
    async fn serve(&self, #[rpc(rest)] to: [C; 2]) -> &str;
}

/// As `macro_rules!` hands it over.
macro_rules! in_a_macro {
    ($vis:vis $name:ident $wire:literal $code:literal, $method:ident($param:ident: $ty:ty) -> $reply:ty) => {
        #[derive(::core::fmt::Debug, ::rpc::RpcError)]
        #[rpc(crate = runtime::deeper, code = $code)]
        $vis struct InAMacroError($ty);

        #[::rpc::rpc_service(crate = runtime::deeper, namespace = $wire)]
        $vis trait $name {
            #[rpc(name = $wire, alias = "other", timeout = "1s")]
            async fn $method(&self, $param: $ty, fixed: $ty) -> $reply;
            #[rpc(name = "rest")]
            fn rest(&self, $param: &$ty, #[rpc(rest)] fixed: [$ty; 2], #[rpc(context)] _: &runtime::deeper::Context);
            fn fixed(&self, #[rpc(context)] cx: &runtime::deeper::Context, $param: &$ty);
        }
    };
}
in_a_macro!(pub InAMacro "wire" -32001, method(request: C) -> ::core::result::Result<C, Error>);

/// Every trait may be called as a trait of the runtime's.
mod service {
    #[::rpc::rpc_service(crate = super::runtime::deeper)]
    pub trait Service {
        fn call(&self);
    }
}

fn main() {}
