//! The parameters of the trait, which are those of its client and its server too.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{GenericParam, Generics, Ident, ItemTrait, WherePredicate};

use crate::errors::Errors;
use crate::types;

/// The generics that client and server share with the trait: without what is said of `Self`, which they are not.
pub(crate) fn generics(item: &ItemTrait) -> Generics {
    let mut generics = item.generics.clone();
    if let Some(clause) = &mut generics.where_clause {
        let shared = clause.predicates.iter().filter(|predicate| !mentions_self(predicate)).cloned();
        clause.predicates = shared.collect();
    }
    if generics.where_clause.as_ref().is_some_and(|clause| clause.predicates.is_empty()) {
        generics.where_clause = None;
    }
    generics
}

/// Takes away what [`check`] reports of bounds.
pub(crate) fn repair(generics: &mut Generics) {
    for param in generics.type_params_mut().filter(|param| mentions_self(&param.bounds)) {
        param.bounds.clear();
    }
    if let Some(clause) = &mut generics.where_clause {
        let right = |predicate: &&WherePredicate| !mentions_self(predicate) || is_about_self(predicate);
        clause.predicates = clause.predicates.iter().filter(right).cloned().collect();
    }
}

/// Reports what client and server could not share.
pub(super) fn check(generics: &Generics, errors: &mut Errors) {
    const NO_SELF: &str =
        "the client has no `Self`, which is the service; say this of `Self`, as `Self: Trait<T>`";
    for param in &generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => errors.at(
                lifetime,
                "a service outlives whoever calls it, and borrows nothing; use owned types, and remove the lifetime",
            ),
            GenericParam::Type(param) if mentions_self(&param.bounds) => errors.at(&param.bounds, NO_SELF),
            _ => {}
        }
    }
    for predicate in generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        if mentions_self(predicate) && !is_about_self(predicate) {
            errors.at(predicate, NO_SELF);
        }
    }
}

fn is_about_self(predicate: &WherePredicate) -> bool {
    matches!(predicate, WherePredicate::Type(predicate) if predicate.bounded_ty.to_token_stream().to_string() == "Self")
}

fn mentions_self(tokens: &impl ToTokens) -> bool {
    types::mentions(tokens, &[&Ident::new("Self", Span::call_site())])
}
