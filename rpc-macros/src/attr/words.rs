//! What the words of each place mean, as one struct a place.
//!
//! A place lets no other words through than its own, so that the last arm of each `match` is the last of its words.

use proc_macro2::TokenStream;
use syn::{Attribute, LitStr, Path, parse_quote};

use super::Place;
use super::word::{self, Word};
use crate::errors::Errors;
use crate::model::Sent;

/// `#[rpc_service(namespace = "..", separator = "..", params = "..", crate = ..)]`
#[derive(Default)]
pub(crate) struct ServiceWords {
    pub(crate) namespace: Option<LitStr>,
    pub(crate) separator: Option<LitStr>,
    pub(crate) params: Option<Sent>,
    runtime: Option<Path>,
}

impl ServiceWords {
    pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_arguments(tokens, Place::Service, errors) {
            match word.name.to_string().as_str() {
                "namespace" => words.namespace = word.string(errors),
                "separator" => words.separator = word.string(errors),
                "params" => words.params = sent(&word, errors),
                _ => words.runtime = word.path(errors),
            }
        }
        words
    }

    /// What every name of the service begins with.
    pub(crate) fn prefix(&self) -> String {
        let Some(namespace) = &self.namespace else { return String::new() };
        let separator = self.separator.as_ref().map_or_else(|| "_".to_owned(), LitStr::value);
        namespace.value() + &separator
    }

    /// The crate that the expansion names.
    pub(crate) fn runtime(&self) -> Path {
        runtime(self.runtime.as_ref())
    }
}

/// `#[rpc(name = "..", notification, params = "..")]` on a method.
#[derive(Default)]
pub(crate) struct MethodWords {
    pub(crate) name: Option<LitStr>,
    pub(crate) notification: bool,
    pub(crate) params: Option<Sent>,
}

impl MethodWords {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_helpers(attrs, Place::Method, errors) {
            match word.name.to_string().as_str() {
                "name" => words.name = word.string(errors),
                "params" => words.params = sent(&word, errors),
                _ => {
                    word.flag(errors);
                    words.notification = true;
                }
            }
        }
        words
    }
}

/// `#[rpc(context, name = "..")]` on a parameter.
#[derive(Default)]
pub(crate) struct ParamWords {
    pub(crate) context: bool,
    pub(crate) name: Option<LitStr>,
}

impl ParamWords {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut words = Self::default();
        for word in word::of_helpers(attrs, Place::Param, errors) {
            match word.name.to_string().as_str() {
                "name" => words.name = word.string(errors),
                _ => {
                    word.flag(errors);
                    words.context = true;
                }
            }
        }
        words
    }
}

/// `#[rpc(crate = ..)]` on an error enum, with `code = ..` on an error struct.
#[derive(Default)]
pub(crate) struct ErrorWords {
    pub(crate) code: VariantWords,
    runtime: Option<Path>,
}

impl ErrorWords {
    pub(crate) fn read(attrs: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut words = Self::default();
        let mistakes = errors.len();
        for word in word::of_helpers(attrs, place, errors) {
            match word.name.to_string().as_str() {
                "code" => words.code = VariantWords::of(&word, errors),
                _ => words.runtime = word.path(errors),
            }
        }
        words.code.given |= errors.len() > mistakes;
        words
    }

    /// The crate that the expansion names.
    pub(crate) fn runtime(&self) -> Path {
        runtime(self.runtime.as_ref())
    }
}

/// `#[rpc(code = ..)]` on a variant.
#[derive(Clone, Default)]
pub(crate) struct VariantWords {
    pub(crate) code: Option<(i64, TokenStream)>,
    /// Whether there was an attempt to give one: a wrong code is not a missing one.
    pub(crate) given: bool,
}

impl VariantWords {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mistakes = errors.len();
        let listed = word::of_helpers(attrs, Place::Variant, errors);
        let mut words = listed.first().map(|word| Self::of(word, errors)).unwrap_or_default();
        words.given |= errors.len() > mistakes;
        words
    }

    fn of(word: &Word, errors: &mut Errors) -> Self {
        Self { code: word.integer(errors), given: true }
    }
}

fn sent(word: &Word, errors: &mut Errors) -> Option<Sent> {
    let how = word.string(errors)?;
    match how.value().as_str() {
        "by_position" => Some(Sent::ByPosition),
        "by_name" => Some(Sent::ByName),
        _ => {
            errors.at(how, r#"`params` is "by_position" or "by_name""#);
            None
        }
    }
}

fn runtime(given: Option<&Path>) -> Path {
    given.cloned().unwrap_or_else(|| parse_quote!(::rpc))
}
