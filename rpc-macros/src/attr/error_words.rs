//! What the words on an error type and its variants mean.

use proc_macro2::TokenStream;
use syn::{Attribute, Path};

use super::word::{self, Word};
use super::{Place, runtime};
use crate::errors::Errors;

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
