//! All that a trait can say, in a crate that is as strict as can be: no allowance here is for generated code.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, clippy::all, clippy::pedantic)]

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use rpc::{Context, ErrorObject, Service, rpc_service};
use serde::{Serialize, de::DeserializeOwned};

/// What is stored.
pub trait Value: Clone + Debug + Default + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Debug + Default + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// Where values are kept.
#[rpc_service(
    namespace = "store",
    separator = "/",
    rename_all = "camelCase",
    params = "by_name",
    empty_params = "array",
    allow_unknown,
    notices,
    auto_impl
)]
pub trait Store<K: Value + Ord, V: Value = String>: Debug
where
    Self: Send,
{
    /// Keeps a value.
    #[rpc(alias = "put", alias = "set", timeout = "1m", idempotent)]
    async fn put_value(&self, key: K, #[rpc(default)] value: &V, note: Option<&str>) -> Option<V>;

    /// Finds a value.
    ///
    /// # Errors
    /// If there is none.
    async fn find(&self, key: &K) -> Result<&V, ErrorObject>;

    /// Finds many.
    #[rpc(params = "by_position")]
    async fn find_all(&self, first: K, #[rpc(rest)] others: Vec<K>, #[rpc(context)] cx: &Context) -> Vec<V>;

    /// All at once.
    #[rpc(blocking)]
    fn replace(&self, #[rpc(whole)] values: BTreeMap<String, V>) -> usize;

    /// Tells, and does not wait.
    #[rpc(blocking, notification)]
    fn forget(
        &self,
        /// What to forget.
        key: K,
    );

    /// What it is called.
    #[rpc(empty_params = "object", allow_unknown("_meta", "traceparent"))]
    fn name(&self) -> &str;

    /// Depends.
    fn depends(&self, always: u8, #[cfg(any())] never: Missing, #[cfg(not(any()))] here: u8) -> u8 {
        always + here
    }

    /// Borrows, and says from whom.
    async fn longest<'a>(&self, one: &'a str, other: &'a str) -> &'a str;

    /// Takes something that it does not use.
    fn unused(&self, _unused: u8, #[rpc(name = "nameless")] _: u8) {}

    /// Old.
    #[deprecated = "use `find`"]
    async fn look(&self, key: K) -> V;
}

#[derive(Debug)]
struct One(String);

impl Store<u8> for One {
    async fn put_value(&self, _: u8, value: &String, note: Option<&str>) -> Option<String> {
        note.map(|note| format!("{note}{value}"))
    }
    async fn find(&self, _: &u8) -> Result<&String, ErrorObject> {
        Ok(&self.0)
    }
    async fn find_all(&self, _: u8, others: Vec<u8>, _: &Context) -> Vec<String> {
        others.iter().map(u8::to_string).collect()
    }
    fn replace(&self, values: BTreeMap<String, String>) -> usize {
        values.len()
    }
    fn forget(&self, _: u8) {}
    fn name(&self) -> &str {
        &self.0
    }
    async fn longest<'a>(&self, one: &'a str, _: &'a str) -> &'a str {
        one
    }
    async fn look(&self, _: u8) -> String {
        String::new()
    }
}

/// Deprecated as a whole.
#[deprecated]
#[rpc_service]
pub trait Old {
    /// Does nothing.
    async fn nothing(&self);
}

/// Called only.
pub mod far {
    /// Far away.
    #[rpc::rpc_service(client)]
    pub trait Away {
        /// Goes.
        async fn go(&self, #[rpc(rest)] to: &[String]) -> &str;
    }

    #[rpc::rpc_service(client)]
    trait Private {
        async fn go(&self);
    }
}

/// Served only.
pub mod near {
    /// Nearby.
    #[rpc::rpc_service(server)]
    pub trait Here {
        /// Comes.
        async fn come(&self) -> &str;
    }
}

/// Its table says what the trait says.
fn main() {
    let server = StoreServer::new(One("one".to_owned()));
    let named: Vec<_> = server.methods().iter().map(rpc::MethodInfo::name).collect();
    assert_eq!(named[..3], ["store/putValue", "store/find", "store/findAll"]);
    let shared: StoreServer<u8, String, Arc<One>> = StoreServer::new(Arc::new(One(String::new())));
    assert_eq!(shared.methods(), server.methods());
}
