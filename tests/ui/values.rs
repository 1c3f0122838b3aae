//! Words whose values are one of a few, or of a certain form.

use rpc::rpc_service;

#[rpc_service(rename_all = "CamelCase", client = true, auto_impl = "Arc")]
pub trait Calc {
    #[rpc(timeout = "5")]
    async fn no_unit(&self);
    #[rpc(timeout = "5 sec")]
    async fn other_unit(&self);
    #[rpc(timeout = 5)]
    async fn number(&self);
    #[rpc(timeout = "0s")]
    async fn none(&self);
    #[rpc(timeout = "9999999999999999h")]
    async fn for_ever(&self);
    #[rpc(timeout)]
    async fn unsaid(&self);
    #[rpc(timeout = "1s", timeout = "2s")]
    async fn twice(&self);
    #[rpc(alias = ["a", "b"])]
    async fn list(&self);
    #[rpc(idempotent = "yes", blocking = 4)]
    fn valued(&self);
}

fn main() {}
