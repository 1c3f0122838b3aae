//! Whether a call that ended with an error was carried out: what decides whether it may be tried again.

use serde::Deserialize;

use super::{ErrorCode, ErrorObject};

/// Whether a call that has failed was carried out.
///
/// | | it was | may it be tried again? |
/// |---|---|---|
/// | [`No`](Self::No) | refused before a handler was started, or never left | yes, where the reason has gone |
/// | [`Perhaps`](Self::Perhaps) | under way, or done, or neither: the error does not tell | where doing it twice does what doing it once does: see [`MethodInfo::idempotent`](crate::MethodInfo::idempotent) |
/// | [`Yes`](Self::Yes) | handled: the error is the answer of the handler, or its answer could not be read | as one asks again whose answer was no |
///
/// [`guide::errors`](crate::guide::errors) has it for every error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It was not, and will not be.
    No,
    /// The error does not tell.
    Perhaps,
    /// A handler has answered.
    Yes,
}

/// What `data` says of an error whose code may mean both.
#[derive(Deserialize)]
struct Says {
    executed: bool,
}

impl ErrorObject {
    /// Whether the call that was answered with this error was carried out, as far as it tells.
    ///
    /// The codes of the specification for what cannot be called say that it was not, those of an
    /// application that it was. -101, -102, -32603 and -32800 may mean both. Servers of this crate that have
    /// not started a handler say so in `data`: `{"executed":false}`. Without that the answer is
    /// [`Executed::Perhaps`], as it is for what is reserved for others.
    ///
    /// ```
    /// use rpc::{ErrorCode, ErrorObject, Executed};
    ///
    /// let unknown = ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, "there is no method `x`");
    /// assert_eq!(unknown.executed(), Executed::No);
    /// let busy = ErrorObject::new(ErrorCode::SERVER_BUSY, "try again later");
    /// assert_eq!(busy.executed(), Executed::Perhaps);
    /// assert_eq!(busy.not_executed().executed(), Executed::No);
    /// assert_eq!(ErrorObject::new(7, "out of stock").executed(), Executed::Yes);
    /// ```
    pub fn executed(&self) -> Executed {
        match self.code() {
            ErrorCode::PARSE_ERROR
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::INVALID_PARAMS
            | ErrorCode::TOO_MANY_SUBSCRIPTIONS => Executed::No,
            ErrorCode::SERVER_BUSY
            | ErrorCode::EXCESSIVE_RESOURCE_USAGE
            | ErrorCode::REQUEST_CANCELLED
            | ErrorCode::INTERNAL_ERROR => match self.data::<Says>() {
                Some(Ok(Says { executed: false })) => Executed::No,
                Some(Ok(Says { executed: true })) => Executed::Yes,
                _ => Executed::Perhaps,
            },
            ErrorCode::CODE_UNAVAILABLE => Executed::Perhaps,
            // What the specification reserves (5.1), for itself and for servers.
            code if (-32768..=-32000).contains(&code.value()) => Executed::Perhaps,
            _ => Executed::Yes,
        }
    }

    /// The same error, which says in its `data` that no handler was started: for what refuses a request
    /// with a code that may also mean the contrary, such as [`ErrorCode::SERVER_BUSY`].
    #[must_use]
    pub fn not_executed(self) -> Self {
        self.and_executed(Some(false))
    }

    /// The same, with whatever is known of it.
    pub(crate) fn and_executed(self, executed: Option<bool>) -> Self {
        let says = match executed {
            Some(false) => r#"{"executed":false}"#,
            Some(true) => r#"{"executed":true}"#,
            None => r#"{"executed":null}"#,
        };
        match serde_json::value::RawValue::from_string(says.to_owned()) {
            Ok(says) => self.with_raw_data(says),
            Err(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_it_or_its_data_does() {
        let of = |code: i64, data: Option<&str>| {
            let error = ErrorObject::new(code, "no");
            let raw = |json: &str| serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
            data.map_or(error.clone(), |data| error.with_raw_data(raw(data))).executed()
        };
        for code in [-32700, -32600, -32601, -32602, -32006] {
            assert_eq!(of(code, None), Executed::No, "{code}");
            assert_eq!(of(code, Some(r#"{"executed":true}"#)), Executed::No, "{code}");
        }
        for code in [-102, -101, -32603, -32800] {
            for (data, executed) in [
                (None, Executed::Perhaps),
                (Some("null"), Executed::Perhaps),
                (Some(r#""executed""#), Executed::Perhaps),
                (Some(r#"{"executed":null}"#), Executed::Perhaps),
                (Some(r#"{"executed":false}"#), Executed::No),
                (Some(r#"{"more":1,"executed":false}"#), Executed::No),
                (Some(r#"{"executed":true}"#), Executed::Yes),
            ] {
                assert_eq!(of(code, data), executed, "{code}: {data:?}");
            }
        }
        for code in [-100, -32000, -32099, -32768, -32005, -32500] {
            assert_eq!(of(code, None), Executed::Perhaps, "{code}");
        }
        for code in [0, 1, -1, -99, -103, -31999, -32769, i64::MAX, i64::MIN] {
            assert_eq!(of(code, None), Executed::Yes, "{code}");
            // It is the application's own.
            assert_eq!(of(code, Some(r#"{"executed":false}"#)), Executed::Yes, "{code}");
        }
    }
}
