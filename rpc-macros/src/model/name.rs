//! A name as it travels.

use std::fmt;

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Ident, LitStr};

/// A name on the wire, with the place in the source that chose it.
#[derive(Clone)]
pub(crate) struct WireName(LitStr);

impl WireName {
    pub(crate) fn new(text: &str, span: Span) -> Self {
        Self(LitStr::new(text, span))
    }

    /// The name of a thing that was not given another: its identifier, without `r#`.
    pub(crate) fn of(ident: &Ident) -> Self {
        Self::new(&ident.unraw().to_string(), ident.span())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.value().is_empty()
    }

    pub(crate) fn span(&self) -> Span {
        self.0.span()
    }
}

impl From<&LitStr> for WireName {
    fn from(literal: &LitStr) -> Self {
        Self::new(&literal.value(), literal.span())
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.value())
    }
}

impl ToTokens for WireName {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        self.0.to_tokens(tokens);
    }
}

impl PartialEq for WireName {
    fn eq(&self, other: &Self) -> bool {
        self.0.value() == other.0.value()
    }
}
