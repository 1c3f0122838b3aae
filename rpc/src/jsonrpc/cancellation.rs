//! Cancellation of calls: how a peer is told to stop. JSON-RPC itself defines no message for it.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use super::{ErrorCode, ErrorObject, Id, RawParams};

/// The way a caller cancels a request: the message that carries the id of the request to the peer.
///
/// Two peers of this crate cancel calls by [`RPC`](Self::RPC), unless another way or `None` is
/// configured. A peer that does not know `rpc.cancel` is found out, and is not sent it:
///
/// - Over WebSocket, each side says in the handshake which notices it takes, in the header
///   `Rpc-Notices`; `rpc.cancel` is one of them.
/// - Over a stream of bytes, nothing is sent until a call is cancelled: its future is dropped, or
///   its timeout passes. The first cancellation is a request,
///   `{"jsonrpc":"2.0","id":8,"method":"rpc.cancel","params":{"id":7}}`. If the peer answers it
///   with an error, such as -32601 (method not found), or not within
///   [`Limits::call_timeout`](crate::Limits::call_timeout), the session sends the peer no further
///   cancellations. Otherwise the following ones are notifications.
/// - Over HTTP, cancelling a call ends its HTTP request: the connection is closed, or the HTTP/2
///   stream is reset.
/// - A peer that speaks JSON-RPC 1.0, which has no named parameters, is sent no cancellations.
///
/// A configured way is used without negotiation, as notifications: both sides have to know it. It
/// also applies to the requests that the peer cancels: their handlers are dropped at the point
/// where they await. Work that has to complete is [shielded](crate::Context::shield).
///
/// The id is compared with those of the requests as a JSON value (see [`Id`](crate::jsonrpc::Id));
/// the reply carries it as the request wrote it.
///
/// ```
/// use rpc::Cancellation;
///
/// let lsp = Cancellation::LSP;
/// assert_eq!((lsp.method(), lsp.member()), ("$/cancelRequest", "id"));
/// let own = Cancellation::new("calc.cancel", "call");
/// assert_eq!((own.method(), own.member()), ("calc.cancel", "call"));
/// assert_eq!(Cancellation::RPC.method(), "rpc.cancel");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    method: Cow<'static, str>,
    member: Cow<'static, str>,
    answers: bool,
}

impl Cancellation {
    /// The way of the [Language Server Protocol]: `$/cancelRequest` with `{"id": ..}`. The request
    /// is still answered, with -32800 unless its handler had finished.
    ///
    /// [Language Server Protocol]: https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#cancelRequest
    pub const LSP: Self = Self::with("$/cancelRequest", "id", true);

    /// The way of the [Model Context Protocol]: `notifications/cancelled` with `{"requestId": ..}`.
    /// The request is not answered.
    ///
    /// [Model Context Protocol]: https://modelcontextprotocol.io/specification/2025-06-18/basic/utilities/cancellation
    pub const MCP: Self = Self::with("notifications/cancelled", "requestId", false);

    /// The way of this crate: `rpc.cancel` with `{"id": ..}`, as a request or a notification. The
    /// cancelled request is still answered, with -32800 unless its handler had finished. If
    /// `rpc.cancel` is a request, its result is `null`, whether the cancelled request was found or
    /// not.
    ///
    /// If it is configured explicitly, every cancellation is a notification, from the first one on.
    pub const RPC: Self = Self::with("rpc.cancel", "id", true);

    const fn with(method: &'static str, member: &'static str, answers: bool) -> Self {
        Self { method: Cow::Borrowed(method), member: Cow::Borrowed(member), answers }
    }

    /// Notifications named `method`, whose parameters carry the id in `member`. The cancelled
    /// request is answered with -32800.
    pub fn new(method: impl Into<Cow<'static, str>>, member: impl Into<Cow<'static, str>>) -> Self {
        Self { method: method.into(), member: member.into(), answers: true }
    }

    /// The same cancellation, where a cancelled request is not answered.
    pub fn without_answer(self) -> Self {
        Self { answers: false, ..self }
    }

    /// The name of the method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The member of the parameters that carries the id.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// Whether a cancelled request is still answered.
    pub const fn answers(&self) -> bool {
        self.answers
    }

    /// The parameters that cancel the call with this id.
    pub(crate) fn params(&self, id: u64) -> String {
        format!("{{{}:{id}}}", serde_json::Value::from(&*self.member))
    }

    /// The id in the parameters of a cancellation: its member, or the only element of an array.
    pub(crate) fn id<'a>(&self, params: RawParams<'a>) -> Option<Id<'a>> {
        let text = params.as_json()?;
        let id: &RawValue = match text.starts_with('[') {
            true => serde_json::from_str::<(&RawValue,)>(text).ok()?.0,
            false => {
                let members: std::collections::HashMap<Cow<'_, str>, &RawValue> =
                    serde_json::from_str(text).ok()?;
                members.get(&*self.member)?
            }
        };
        Some(Id::from_json(id.get()))
    }
}

/// The way a session cancels calls, as it was configured.
#[derive(Debug, Clone, Default)]
pub(crate) enum CancelBy {
    /// By [`Cancellation::RPC`], if the peer knows it.
    #[default]
    Negotiated,
    Chosen(Arc<Cancellation>),
    /// The peer is not told.
    Nothing,
}

impl From<Option<Cancellation>> for CancelBy {
    fn from(chosen: Option<Cancellation>) -> Self {
        chosen.map_or(Self::Nothing, |chosen| Self::Chosen(Arc::new(chosen)))
    }
}

/// The reply to a cancelled request, if it gets one.
pub(crate) fn cancelled() -> ErrorObject {
    ErrorObject::new(ErrorCode::REQUEST_CANCELLED, "the request was cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_by_name_and_by_position_as_it_was_sent() {
        let id = |params| Cancellation::LSP.id(RawParams::from_json(params)).map(|id| id.to_string());
        assert_eq!(id(r#"{"id":7}"#).as_deref(), Some("7"));
        assert_eq!(id(r#"{"reason":"no","id":"a\u0062"}"#).as_deref(), Some(r#""a\u0062""#));
        assert_eq!(id("[1.0]").as_deref(), Some("1.0"));
        for nothing in ["{}", "[]", "[1,2]", r#"{"requestId":7}"#, "null"] {
            assert_eq!(id(nothing), None, "{nothing}");
        }
        assert_eq!(Cancellation::MCP.params(7), r#"{"requestId":7}"#);
    }
}
