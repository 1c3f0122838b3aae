//! Methods whose parameters depend on conditions.
//!
//! Types and patterns take no `#[cfg(..)]` inside, so such a method becomes several, each under the condition that its
//! parameters are those that exist. One of them exists in the end.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use crate::model::{Method, Param};

/// More would be more methods than anybody wants to compile.
const MOST_CONDITIONS: usize = 4;

/// The variants of `method`: itself, for nearly all.
pub(super) fn variants(method: Method, errors: &mut Errors) -> Vec<Method> {
    let mut conditions: Vec<TokenStream> = Vec::new();
    for condition in method.params.iter().filter_map(condition) {
        if !conditions.iter().any(|known| known.to_string() == condition.to_string()) {
            conditions.push(condition);
        }
    }
    if conditions.len() > MOST_CONDITIONS {
        let message = format!(
            "the parameters of a method depend on at most {MOST_CONDITIONS} conditions; write several methods"
        );
        errors.at(&method.ident, message);
        return Vec::new();
    }
    conditions.iter().fold(vec![method], |variants, condition| {
        variants
            .into_iter()
            .flat_map(|method| [with(&method, condition), without(&method, condition)])
            .collect()
    })
}

/// All conditions of a parameter as one.
fn condition(param: &Param) -> Option<TokenStream> {
    match &param.conditions[..] {
        [] => None,
        [condition] => Some(condition.clone()),
        conditions => Some(quote!(all(#(#conditions),*))),
    }
}

fn with(method: &Method, condition: &TokenStream) -> Method {
    let mut method = method.clone();
    method.conditions.push(condition.clone());
    method
}

fn without(method: &Method, absent: &TokenStream) -> Method {
    let mut method = method.clone();
    method.conditions.push(quote!(not(#absent)));
    method
        .params
        .retain(|param| condition(param).is_none_or(|condition| condition.to_string() != absent.to_string()));
    method
}
