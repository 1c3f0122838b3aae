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
    Unknown { name: String, takes: String },
    Text(String),
}

impl Problem {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Text(error.to_string())
    }

    pub(super) fn unknown(name: &str, expected: &[ParamInfo]) -> Self {
        let known: Vec<String> = expected.iter().map(|param| format!("`{}`", param.name())).collect();
        let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Self::Unknown { name: start_of(name), takes }
    }

    pub(super) fn twice(name: &str) -> Self {
        Self::Text(format!("`{}` is given twice", start_of(name)))
    }
}

/// As much of a name that the peer has chosen as is repeated.
fn start_of(name: &str) -> String {
    name.chars().take(100).collect()
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
            Self::Unknown { name, takes } => write!(f, "unknown parameter `{name}`: it takes {takes}"),
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
