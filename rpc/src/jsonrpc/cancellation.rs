//! How a call that is not wanted any more is taken back. JSON-RPC has no word for it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{ErrorCode, ErrorObject, Id, RawParams};

/// How one side tells the other that it does not want a reply any more: a notification that carries the id of the request.
///
/// Both sides have to know it; so unless it is chosen, no such message is sent and none is looked for.
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

    const fn with(method: &'static str, member: &'static str, answers: bool) -> Self {
        Self { method: Cow::Borrowed(method), member: Cow::Borrowed(member), answers }
    }

    /// A notification called `method`, which has the id in `member` of its parameters. The request is answered with -32800.
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
