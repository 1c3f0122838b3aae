//! Where words may stand, and which ones: the whole vocabulary in one table.

/// What an attribute is written on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The arguments of `#[rpc_service(..)]`.
    Service,
    /// `#[rpc(..)]` on a method of a service.
    Method,
    /// `#[rpc(..)]` on a parameter of a method.
    Param,
    /// `#[rpc(..)]` on an enum that derives `RpcError`.
    ErrorEnum,
    /// `#[rpc(..)]` on a struct that derives `RpcError`.
    ErrorStruct,
    /// `#[rpc(..)]` on a variant of such an enum.
    Variant,
}

impl Place {
    const ALL: [Self; 6] =
        [Self::Service, Self::Method, Self::Param, Self::ErrorEnum, Self::ErrorStruct, Self::Variant];

    /// The words that may stand here.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Service => &[
                "namespace",
                "separator",
                "rename_all",
                "params",
                "empty_params",
                "allow_unknown",
                "notices",
                "client",
                "server",
                "auto_impl",
                "crate",
            ],
            Self::Method => &[
                "name",
                "alias",
                "notification",
                "subscription",
                "style",
                "item",
                "unsubscribe",
                "token",
                "overflow",
                "notices",
                "params",
                "empty_params",
                "allow_unknown",
                "timeout",
                "idempotent",
                "blocking",
                "ordered",
                "exclusive",
            ],
            Self::Param => &["context", "name", "default", "rest", "whole", "secret"],
            Self::ErrorEnum => &["crate"],
            Self::ErrorStruct => &["code", "crate"],
            Self::Variant => &["code"],
        }
    }

    /// Whether `word` may stand here more than once.
    pub(super) fn repeats(self, word: &str) -> bool {
        self == Self::Method && word == "alias"
    }

    /// Whether `word` may have a list in parentheses behind it.
    pub(super) fn takes_list(self, word: &str) -> bool {
        matches!(self, Self::Service | Self::Method) && word == "allow_unknown"
    }

    /// The place as it is called in messages.
    fn noun(self) -> &'static str {
        match self {
            Self::Service => "a service trait",
            Self::Method => "a method",
            Self::Param => "a parameter",
            Self::ErrorEnum => "an error enum",
            Self::ErrorStruct => "an error struct",
            Self::Variant => "a variant",
        }
    }

    /// `None` if `word` may stand here, otherwise what to tell the user.
    pub(super) fn objection(self, word: &str) -> Option<String> {
        if self.words().contains(&word) {
            return None;
        }
        let here = self.noun();
        let problem = match Self::ALL.into_iter().find(|place| place.words().contains(&word)) {
            Some(other) => format!("`{word}` is for {}, not for {here}", other.noun()),
            None => format!("unknown word `{word}`"),
        };
        Some(format!("{problem}; {here} takes {}", self.listed()))
    }

    /// The words that may stand here, for a message.
    pub(super) fn listed(self) -> String {
        let quoted: Vec<_> = self.words().iter().map(|word| format!("`{word}`")).collect();
        quoted.join(", ")
    }
}
