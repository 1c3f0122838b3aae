//! An expansion names nothing that the user's crate could mean by another name.
#![no_implicit_prelude]
#![deny(warnings)]

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
    pub struct Call;
    pub struct Caller;
    pub struct Clone;
    pub struct Debug;
    pub struct From;
    pub struct Future;
    pub struct Handled;
    pub struct MethodInfo;
    pub struct Notify;
    pub struct Option;
    pub struct ParamInfo;
    pub struct Request;
    pub struct Send;
    pub struct Service;
    pub struct Sync;
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

/// As `macro_rules!` hands it over.
macro_rules! in_a_macro {
    ($vis:vis $name:ident $wire:literal $code:literal, $method:ident($param:ident: $ty:ty) -> $reply:ty) => {
        #[derive(::core::fmt::Debug, ::rpc::RpcError)]
        #[rpc(crate = runtime::deeper, code = $code)]
        $vis struct InAMacroError($ty);

        #[::rpc::rpc_service(crate = runtime::deeper, namespace = $wire)]
        $vis trait $name {
            #[rpc(name = $wire)]
            async fn $method(&self, $param: $ty, fixed: $ty) -> $reply;
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
