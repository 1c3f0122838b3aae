//! A method under a condition that does not hold is not there, and the others are still told apart.
#![deny(warnings)]
#![allow(missing_docs, reason = "these are about names only")]

use rpc::{MethodInfo, rpc_service};

#[rpc_service]
pub trait Conditional {
    async fn first(&self);
    #[cfg(any())]
    async fn absent(&self, missing: Missing) -> Missing;
    #[cfg(not(any()))]
    #[cfg(any(unix, not(unix)))]
    async fn present(&self);
    #[cfg(any())]
    #[rpc(name = "either")]
    async fn one(&self);
    #[cfg(not(any()))]
    #[rpc(name = "either")]
    async fn other(&self);
    #[cfg_attr(not(any()), doc = "The last.")]
    async fn last(&self);
}

struct Nothing;

impl Conditional for Nothing {
    async fn first(&self) {}
    async fn present(&self) {}
    async fn other(&self) {}
    async fn last(&self) {}
}

fn main() {
    let names: Vec<_> = ConditionalServer::<Nothing>::METHODS.iter().map(MethodInfo::name).collect();
    assert_eq!(names, ["first", "present", "either", "last"]);
}
