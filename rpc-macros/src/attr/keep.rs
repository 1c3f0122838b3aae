//! What becomes of the attributes that are not ours: which are copied where.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use super::HELPER;

/// All attributes but ours: the helpers, which the compiler does not know, and one that is given twice.
pub(crate) fn without_helpers(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter(|attr| !attr.path().is_ident(HELPER) && !is_ours(attr)).cloned().collect()
}

/// Whether this is the attribute that is being expanded, once more.
pub(crate) fn is_ours(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| last.ident == "rpc_service")
}

/// What a client's method takes over from the trait's: what a reader of its documentation needs to know. (Its conditions are
/// kept by themselves.)
pub(crate) fn for_client(attrs: &[Attribute]) -> Vec<Attribute> {
    const COPIED: [&str; 3] = ["doc", "deprecated", "cfg_attr"];
    let copied = |attr: &&Attribute| COPIED.iter().any(|name| attr.path().is_ident(name));
    attrs.iter().filter(copied).cloned().collect()
}

/// The conditions of `#[cfg(..)]`, each as it stands in the parentheses.
pub(crate) fn conditions(attrs: &[Attribute]) -> Vec<TokenStream> {
    let condition = |attr: &Attribute| match &attr.meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(list.tokens.clone()),
        _ => None,
    };
    attrs.iter().filter_map(condition).collect()
}

/// Those of `attrs` that are a `cfg` within a `cfg_attr`: a condition that cannot be evaluated here.
pub(crate) fn hidden_conditions(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let attributes = list.tokens.clone().into_iter().skip_while(|token| !is_comma(token));
            attributes.into_iter().any(|token| matches!(token, TokenTree::Ident(name) if name == "cfg"))
        }
        _ => false,
    })
}

/// Whether an attribute is a documentation comment.
pub(crate) fn is_doc(attr: &Attribute) -> bool {
    attr.path().is_ident("doc")
}

/// The text of the documentation comments.
pub(crate) fn docs(attrs: &[Attribute]) -> Option<String> {
    let line = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    let lines: Vec<_> = attrs.iter().filter_map(line).collect();
    let text: Vec<_> = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    Some(text.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}
