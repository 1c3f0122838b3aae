//! What is sent where there are no parameters.

/// What a message has for `params` where a call has no parameters.
///
/// [2.0](https://www.jsonrpc.org/specification#request_object) lets the member be left out, and that is the default: servers of
/// the Model Context Protocol never answer a request whose `params` is an array. Some peers insist on one, or on an object:
/// then it is said of the method or the service (`#[rpc(empty_params = "array")]`), of a client
/// ([`WithEmptyParams`](crate::WithEmptyParams)), or of the connection
/// ([`Connector::empty_params`](crate::Connector::empty_params)). The first of these that says something holds.
///
/// 1.0 [requires](https://www.jsonrpc.org/specification_v1) an array: where it is spoken, `[]` is sent whatever is said here. An
/// empty array or object that a caller gives itself is sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EmptyParams {
    /// Nothing: the message has no member `params`.
    #[default]
    Absent,
    /// `"params":[]`
    Array,
    /// `"params":{}`
    Object,
}
