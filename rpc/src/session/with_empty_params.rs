//! A caller for peers that insist on parameters where there are none.

use super::Outgoing;
use crate::jsonrpc::EmptyParams;

/// A caller whose messages have this `params` where a call has no parameters: for a peer that insists on `[]` or `{}`, while
/// others on the same connection, or other methods, do not. A method or a service that says something itself goes before
/// (`#[rpc(empty_params = "array")]`); what the connection says comes after
/// ([`Connector::empty_params`](crate::Connector::empty_params)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, EmptyParams, ErrorObject, Params, Router, WithEmptyParams, rpc_service};
///
/// #[rpc_service]
/// trait Node {
///     async fn height(&self) -> u64;
/// }
///
/// // It refuses a request without `params`.
/// let strict = Router::new().method("height", async |params: Params, _: Context| {
///     params.as_json().map(|_| 7).ok_or_else(|| ErrorObject::new(-32602, "no params"))
/// });
/// let (session, _peer) = rpc::testing::pair((), strict);
/// assert!(NodeClient::from(session.clone()).height().await.is_err());
///
/// let node = NodeClient::from(WithEmptyParams::new(session, EmptyParams::Array));
/// assert_eq!(node.height().await?, 7);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct WithEmptyParams<C> {
    caller: C,
    empty: EmptyParams,
}

impl<C> WithEmptyParams<C> {
    /// Calls through `caller`, with `empty` where there are no parameters.
    pub const fn new(caller: C, empty: EmptyParams) -> Self {
        Self { caller, empty }
    }

    /// What is sent where there are no parameters.
    pub const fn empty_params(&self) -> EmptyParams {
        self.empty
    }

    fn changed<'a>(&self, outgoing: Outgoing<'a>) -> Outgoing<'a> {
        outgoing.empty_params_or(self.empty)
    }
}

calls_through!(WithEmptyParams);
