//! What is said of parameters that a method does not name, and where it has none: out of place, or in a wrong form.

use futures::Stream;
use rpc::{Progress, rpc_service};

#[rpc_service(empty_params = "[]", allow_unknown = "_meta")]
pub trait Forms {
    #[rpc(empty_params)]
    async fn unsaid(&self);
    #[rpc(empty_params = "none")]
    async fn other(&self);
    #[rpc(empty_params("array"))]
    async fn listed(&self);
    #[rpc(allow_unknown())]
    async fn nothing(&self);
    #[rpc(allow_unknown(_meta, "b"))]
    async fn no_strings(&self);
    #[rpc(allow_unknown("a", "b", "a"))]
    async fn twice(&self);
    #[rpc(allow_unknown["a"])]
    async fn brackets(&self);
    #[rpc(allow_unknown, allow_unknown("a"))]
    async fn again(&self);
    async fn param(&self, #[rpc(allow_unknown)] a: u8, #[rpc(empty_params = "array")] b: u8);
}

#[rpc_service(empty_params = "array", allow_unknown("a", "_meta"))]
pub trait Places {
    #[rpc(allow_unknown("a", "c", "d"))]
    async fn own(&self, a: u8, #[rpc(name = "c")] b: u8);
    #[rpc(allow_unknown)]
    async fn whole(&self, #[rpc(whole)] all: Vec<u8>);
    #[rpc(empty_params = "object")]
    async fn never_empty(&self, #[rpc(default)] a: u8);
    #[rpc(subscription, style = "progress", empty_params = "object")]
    async fn token(&self) -> impl Stream<Item = Progress<u8, u8>>;
    #[rpc(empty_params = "absent", allow_unknown("a"))]
    async fn right(&self, #[rpc(rest)] rest: Vec<u8>);
    #[rpc(notification, empty_params = "object", allow_unknown)]
    async fn right_too(&self);
    async fn right_as_well(&self, a: u8, #[rpc(context)] cx: &rpc::Context);
    #[rpc(empty_params = "array")]
    async fn at_last(&self, #[rpc(whole)] all: Option<Vec<u8>>);
}

fn main() {}
