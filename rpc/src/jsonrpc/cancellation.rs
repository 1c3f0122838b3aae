//! How a call that is not wanted any more is taken back. JSON-RPC has no word for it.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use super::{ErrorCode, ErrorObject, Id, RawParams};

/// How one side tells the other that it does not want a reply any more: a message that carries the id of
/// the request.
///
/// Two peers of this crate take calls back by [`RPC`](Self::RPC), unless another way is chosen or
/// `None`. What a peer is that knows nothing of it is found out, and such a peer is not told:
///
/// - Over WebSocket both sides say in the handshake what they take, by the header `Rpc-Notices`, in
///   which `rpc.cancel` stands.
/// - Over a stream of bytes nothing is sent until a call is given up: its future is dropped, or its
///   timeout passes. That of the first one is a request,
///   `{"jsonrpc":"2.0","id":8,"method":"rpc.cancel","params":{"id":7}}`. Where it is answered with an
///   error, such as -32601 (there is no such method), or not at all within
///   [`Limits::call_timeout`](crate::Limits::call_timeout), the peer is told of no more of them as long
///   as the session lives. Otherwise those that follow are notifications.
/// - Over HTTP a call that is given up gives up its request: its connection, or its stream of HTTP/2, is
///   ended.
/// - A peer that speaks JSON-RPC 1.0, which has no named parameters, is never told.
///
/// A way that is chosen is used without asking, as notifications: both sides have to know it. Requests
/// that the peer takes back are taken back in the same way, and their handlers are dropped where they
/// wait; what has to be done to its end is [shielded](crate::Context::shield).
///
/// The id is compared with those of requests as a JSON value (see [`Id`](crate::jsonrpc::Id)), and
/// the answer has it as the request wrote it.
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
    /// The [Language Server Protocol]'s: `$/cancelRequest` with `{"id": ..}`. The request is still answered, with -32800 unless it was done
    /// already.
    ///
    /// [Language Server Protocol]: https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#cancelRequest
    pub const LSP: Self = Self::with("$/cancelRequest", "id", true);

    /// The [Model Context Protocol]'s: `notifications/cancelled` with `{"requestId": ..}`. The request is not answered.
    ///
    /// [Model Context Protocol]: https://modelcontextprotocol.io/specification/2025-06-18/basic/utilities/cancellation
    pub const MCP: Self = Self::with("notifications/cancelled", "requestId", false);

    /// That of two peers of this crate: `rpc.cancel` with `{"id": ..}`, as a request or a notification.
    /// The request that is taken back is still answered, with -32800 unless it was done already; where
    /// `rpc.cancel` is a request, its result is `null`, whether the other was found or not.
    ///
    /// Chosen by name, it is sent as a notification from the first one on.
    pub const RPC: Self = Self::with("rpc.cancel", "id", true);

    const fn with(method: &'static str, member: &'static str, answers: bool) -> Self {
        Self { method: Cow::Borrowed(method), member: Cow::Borrowed(member), answers }
    }

    /// Notifications called `method`, which have the id in `member` of its parameters. The request is answered with -32800.
    pub fn new(method: impl Into<Cow<'static, str>>, member: impl Into<Cow<'static, str>>) -> Self {
        Self { method: method.into(), member: member.into(), answers: true }
    }

    /// The same, where a request that was taken back is not answered.
    pub fn without_answer(self) -> Self {
        Self { answers: false, ..self }
    }

    /// The name of the notification.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The member of its parameters that has the id.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// Whether a request that was taken back is answered all the same.
    pub const fn answers(&self) -> bool {
        self.answers
    }

    /// The parameters that take back the call with this id.
    pub(crate) fn params(&self, id: u64) -> String {
        format!("{{{}:{id}}}", serde_json::Value::from(&*self.member))
    }

    /// The id in the parameters of such a notification: its member, or the only element of an array.
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

/// How the calls of a session are taken back, as it was configured.
#[derive(Debug, Clone, Default)]
pub(crate) enum CancelBy {
    /// By [`Cancellation::RPC`], where the peer knows it.
    #[default]
    Negotiated,
    Chosen(Arc<Cancellation>),
    /// They are not.
    Nothing,
}

impl From<Option<Cancellation>> for CancelBy {
    fn from(chosen: Option<Cancellation>) -> Self {
        chosen.map_or(Self::Nothing, |chosen| Self::Chosen(Arc::new(chosen)))
    }
}

/// The answer to a request that was taken back, where there is to be one.
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
