//! The macros of the crate `rpc`, which exports them.
//!
//! The way of an expansion: `expand` reads the words of attributes (`attr`) and lets `parse` make a `model` of the item,
//! which `render` writes out. Where there are mistakes, all are reported, and `fallback` writes what keeps the rest of
//! the user's code compiling.

mod attr;
mod errors;
mod expand;
mod fallback;
mod model;
mod parse;
mod render;
#[cfg(test)]
mod snapshots;
mod types;

use proc_macro::TokenStream;

/// Makes a trait a service: something to implement and serve on one side, and to call on the other.
///
/// ```
/// use rpc::{Context, RpcError, rpc_service};
///
/// #[derive(Debug, thiserror::Error, RpcError)]
/// #[error("division by zero")]
/// #[rpc(code = -32001)]
/// pub struct ByZero;
///
/// #[rpc_service(namespace = "calc", separator = ".")]
/// pub trait Calc {
///     /// Adds two numbers.
///     async fn add(&self, a: i64, b: i64) -> i64;
///
///     /// What is borrowed here is borrowed by the caller too, and owned by the server while this runs.
///     async fn greet(&self, name: &str) -> String;
///
///     /// The caller gets `CallError::Service(ByZero)`.
///     async fn div(&self, a: i64, b: i64) -> Result<i64, ByZero>;
///
///     /// Answers at once, where its request was read.
///     fn version(&self) -> u32;
///
///     /// Nothing comes back.
///     #[rpc(notification)]
///     async fn log(&self, line: &str);
///
///     /// Knows who calls, and can call back.
///     async fn whoami(&self, #[rpc(context)] cx: &Context) -> String;
///
///     /// Need not be implemented.
///     async fn double(&self, a: i64) -> i64 {
///         self.add(a, a).await
///     }
/// }
///
/// struct MyCalc;
///
/// impl Calc for MyCalc {
///     async fn add(&self, a: i64, b: i64) -> i64 {
///         a + b
///     }
///     async fn greet(&self, name: &str) -> String {
///         format!("Hello, {name}")
///     }
///     async fn div(&self, a: i64, b: i64) -> Result<i64, ByZero> {
///         a.checked_div(b).ok_or(ByZero)
///     }
///     fn version(&self) -> u32 {
///         1
///     }
///     async fn log(&self, line: &str) {
///         println!("{line}");
///     }
///     async fn whoami(&self, _: &Context) -> String {
///         "somebody".to_owned()
///     }
/// }
///
/// let server = CalcServer::new(MyCalc);
/// assert_eq!(CalcServer::<MyCalc>::METHODS.len(), 7);
/// ```
///
/// # What there is afterwards
///
/// - The trait. Each `async fn f(..) -> T` has become `fn f(..) -> impl Future<Output = T> + Send`, which
///   implementations write as `async fn` again. It has the supertraits `Send + Sync + 'static`, beside yours.
/// - `CalcClient<C = Session>`, made by `CalcClient::from(session)`, with the same methods. Each returns a call that is
///   sent when it is awaited. (With a method that is itself called `from`, make the client by `session.into()`.)
/// - `CalcServer<S>`, made by `CalcServer::new(service)`, or by `From` of an `Arc` that you keep a clone of: the
///   service that a server or a connector takes.
///
/// Client and server are as visible as the trait, and say in `METHODS` what it consists of.
///
/// # Words for the trait
///
/// What each word means is said, with an example, in the guide: [`rpc::guide::service`](../rpc/guide/service/index.html).
///
/// | `#[rpc_service(..)]` | |
/// |---|---|
/// | `namespace = "calc"` | What all names begin with; nothing, unless given. |
/// | `separator = "."` | What stands between the namespace and a method's name: `"_"`, unless given. |
/// | `rename_all = "camelCase"` | How names are spelled that are not given: serde's words. |
/// | `params = "by_name"` | How the client sends parameters: `"by_position"`, unless given. The server takes both. |
/// | `empty_params = "array"` | What the client sends where there are no parameters: `"absent"`, unless given; or `"object"`. |
/// | `allow_unknown("_meta")` | Members of named parameters that pass though a method does not have them: those listed, or all without a list. |
/// | `notices` | Subscribers are told of the end and of lost items, whether they are known to take that or not. |
/// | `client`, `server` | Only that half is generated. |
/// | `auto_impl` | `Arc<T>`, `Box<T>` and `&'static T` implement the trait where `T` does. |
/// | `crate = path::to::rpc` | Where this crate is found, if not at `::rpc`. |
///
/// # Words for a method
///
/// | `#[rpc(..)]` | |
/// |---|---|
/// | `name = "addAll"` | The method's name on the wire, after the namespace; its name here, unless given. |
/// | `alias = "math.add"` | Another name that the server answers to, whole. There may be several. |
/// | `notification` | Nothing is sent back, not even that it failed. It returns nothing. |
/// | `params = ".."` | As for the trait, for this method. |
/// | `empty_params = ".."`, `allow_unknown` | As for the trait, for this method, in place of what the trait says. |
/// | `timeout = "5s"` | How long the client waits, unless a call says otherwise: in `ms`, `s`, `m` or `h`. |
/// | `idempotent` | It may be called again where it is not known what became of a call. |
/// | `blocking` | A plain `fn` that runs where it may block its thread. |
/// | `ordered` | One after another, in the order in which they came, with the other `ordered` ones of a session. |
/// | `exclusive` | Alone: no other request of the session is worked on meanwhile. |
/// | `subscription` | It returns a stream, `impl Stream<Item = T>` or a `Result` of one. The client gets a `Subscription<T>`. |
/// | `style = "electrum"` | How the subscription looks on the wire: `"pubsub"`, unless given; or `"progress"`, `"mcp_progress"`, whose items are `Progress`. |
/// | `item = ".."` | The name that its items come under, after the namespace; the method's own, unless given. What a style of progress says, it says as it is. |
/// | `unsubscribe = ".."` | The method that ends it, after the namespace. Unless given: the method's name with `unsubscribe` for `subscribe`, or else `unsubscribe_` before it. `""`: there is none. |
/// | `token = ".."` | In the styles of progress: the member of the parameters that has the token; `"workDoneToken"` or `"_meta.progressToken"`, unless given. |
/// | `overflow = "drop_oldest"` | What the server does for a peer that is slow to take items: `"wait"`, unless given; or `"end"`. |
/// | `notices` | As for the trait, for this subscription. |
///
/// # Words for a parameter
///
/// | `#[rpc(..)]` | |
/// |---|---|
/// | `name = "type"` | The parameter's name on the wire; its name here, without `r#`, unless given. |
/// | `default` | It may be missing: then it is `Default::default()`. |
/// | `rest` | All that is left, as a list. |
/// | `whole` | The whole array or object of parameters. |
/// | `secret` | Kept out of the log of messages. |
/// | `context` | A `&Context`, which the server makes. It is not sent, and the client's method does not take it. |
///
/// # What travels
///
/// Parameters are `Serialize` and `DeserializeOwned`, at most 16 of them, by value or lent: `&str`, `&[T]`, `&T`, `&[&str]`
/// and the like, and `Option` of these. What is lent is decoded as `String`, `Vec<T>`, `T`, `Vec<String>`. Replies are `Serialize` and `DeserializeOwned`; they may be borrowed
/// from the service or a parameter, and the caller has them owned. A reply that is a `Result`, under whatever alias, travels as a
/// result or an error; its error type implements `RpcError`.
///
/// # Other attributes
///
/// Those of the trait and its methods stay where they are. The client's methods have the documentation and
/// `#[deprecated]` as well. A method or a parameter under `#[cfg(..)]` exists in all places or in none.
#[proc_macro_attribute]
pub fn rpc_service(words: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(words.into(), &item.into()).into()
}

/// Gives an error codes on the wire, so that callers get it back as the same type, with its fields.
///
/// The message is what `Display` says; the fields travel as the error object's `data`. They are `Serialize` and
/// `DeserializeOwned`.
///
/// ```
/// use rpc::RpcError;
///
/// #[derive(Debug, PartialEq, thiserror::Error, RpcError)]
/// pub enum WithdrawError {
///     /// No `data`.
///     #[error("the account is closed")]
///     #[rpc(code = 1)]
///     Closed,
///
///     /// `data` is `{"have": 5, "need": 7}`.
///     #[error("{have} is not enough, {need} needed")]
///     #[rpc(code = 2)]
///     NotEnough { have: u64, need: u64 },
///
///     /// `data` is `"EUR"`.
///     #[error("no such currency: {0}")]
///     #[rpc(code = 3)]
///     NoSuchCurrency(String),
///
///     /// `data` is `[5, "EUR"]`.
///     #[error("{0} {1} is too much")]
///     #[rpc(code = -32001)]
///     TooMuch(u64, String),
/// }
///
/// let error = WithdrawError::NotEnough { have: 5, need: 7 };
/// let sent = error.to_error_object();
/// assert_eq!(sent.code().value(), 2);
/// assert_eq!(WithdrawError::from_error_object(&sent), Some(error));
/// ```
///
/// A field that is null in JSON is null in `data`, alone or as a member. Where a peer has left it
/// out, it is read as null: `None`, `()`, a unit struct.
///
/// An error object whose code is none of these, or whose `data` does not fit, is left as it is.
///
/// # Words
///
/// | `#[rpc(..)]` | on | |
/// |---|---|---|
/// | `code = 2` | each variant, or the struct | -32099 to -32000, which JSON-RPC leaves to servers, or anything outside of -32768 to -32000. |
/// | `crate = path::to::rpc` | the type | Where this crate is found, if not at `::rpc`. |
#[proc_macro_derive(RpcError, attributes(rpc))]
pub fn derive_rpc_error(input: TokenStream) -> TokenStream {
    expand::error_type(input.into()).into()
}
