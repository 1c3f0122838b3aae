//! The way of an expansion: read, then render, or report and fall back.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, ItemTrait};

use crate::attr::{ErrorWords, ServiceWords};
use crate::errors::Errors;
use crate::{fallback, parse, render};

/// `#[rpc_service(words)] item`
pub(crate) fn service(words: TokenStream, item: &TokenStream) -> TokenStream {
    let item: ItemTrait = match syn::parse2(item.clone()) {
        Ok(item) => item,
        Err(error) => return not_a_trait(item, &error),
    };
    let mut errors = Errors::default();
    let words = ServiceWords::read(words, &mut errors);
    match parse::service(&words, &item, errors) {
        Ok(service) => render::service(&item, &service),
        Err(error) => {
            let error = error.into_compile_error();
            let inert = fallback::service(&item, &words.runtime());
            quote!(#error #inert)
        }
    }
}

/// `#[derive(RpcError)] input`
pub(crate) fn error_type(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let words = ErrorWords::read(&input.attrs, parse::place(&input), &mut errors);
    match parse::error_type(&input, &words, errors) {
        Ok(error) => render::error_type(&error),
        Err(error) => {
            let error = error.into_compile_error();
            let inert = fallback::error_type(&input, &words.runtime());
            quote!(#error #inert)
        }
    }
}

/// The attribute stands on something else. That stays as it is, so that what uses it still finds it.
fn not_a_trait(item: &TokenStream, error: &syn::Error) -> TokenStream {
    let error = match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Impl(block)) => syn::Error::new_spanned(
            block.impl_token,
            "`#[rpc_service]` goes on the trait; an implementation needs no attribute",
        ),
        Ok(_) => syn::Error::new(error.span(), "`#[rpc_service]` goes on a trait"),
        Err(_) => error.clone(),
    };
    let error = error.into_compile_error();
    quote!(#error #item)
}
