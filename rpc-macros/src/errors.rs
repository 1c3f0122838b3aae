//! The mistakes found so far. Nothing stops at the first one: a user sees all of them at once.

use std::fmt::Display;

use quote::ToTokens;

/// Collects mistakes, each at the tokens that have to change.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// Reports a mistake at `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Reports a mistake that is already an error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// How many there are so far.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// All mistakes as one error, if there were any.
    pub(crate) fn into_result(self) -> syn::Result<()> {
        let all = self.found.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        all.map_or(Ok(()), Err)
    }
}
