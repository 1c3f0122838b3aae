//! What can be wrong with parameters.

use std::fmt;

use serde::de;

use crate::jsonrpc::ParamInfo;

/// What is wrong with parameters, in words that follow «invalid params for `add`: ».
#[derive(Debug)]
pub(super) enum Problem {
    TooMany { takes: usize, got: usize },
    TooFew { takes: usize, has_rest: bool, got: usize, name: &'static str },
    Wrong { index: usize, name: &'static str, why: String },
    Text(String),
}

impl Problem {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Text(error.to_string())
    }

    pub(super) fn unknown(name: &str, expected: &[ParamInfo]) -> Self {
        let name: String = name.chars().take(100).collect();
        let known: Vec<String> = expected.iter().map(|param| format!("`{}`", param.name())).collect();
        Self::Text(match known.len() {
            0 => format!("unknown parameter `{name}`: it takes none"),
            _ => format!("unknown parameter `{name}`: it takes {}", known.join(", ")),
        })
    }
}

/// A position within one parameter would be taken for one within the message.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn parameters(n: usize) -> String {
    match n {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        n => format!("{n} parameters"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { takes, got } => write!(f, "too many: it takes {}, got {got}", parameters(*takes)),
            Self::TooFew { takes, has_rest, got, name } => {
                let least = if *has_rest { "at least " } else { "" };
                let takes = parameters(*takes);
                write!(f, "too few: it takes {least}{takes}, got {got}; `{name}` is missing")
            }
            Self::Wrong { index, name, why } => write!(f, "parameter {} (`{name}`): {why}", index + 1),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Text(why.to_string())
    }
}
