//! Pointers to an implementation as implementations.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Generics, ItemTrait, Token, TraitItem, TraitItemFn, WherePredicate, parse_quote, punctuated::Punctuated,
};

use super::{at, generics, local, service_trait};
use crate::attr;
use crate::model::{Names, Service};

/// `impl<S: Calc> Calc for Arc<S>`, and for `Box<S>` and `&S`: each method is that of what is pointed to.
pub(super) fn auto_impls(item: &ItemTrait, service: &Service) -> TokenStream {
    let Service { runtime, names: Names { service: service_trait, implementor, .. }, .. } = service;
    let (_, args, _) = item.generics.split_for_impl();
    let generics = generics(item, service);
    let (impl_generics, _, conditions) = generics.split_for_impl();
    let methods: Vec<_> = item.items.iter().filter_map(|item| forwarded(item, service)).collect();
    let pointers = [
        quote!(#runtime::private::Arc<#implementor>),
        quote!(#runtime::private::Box<#implementor>),
        quote!(&'static #implementor),
    ];
    let auto_impl = |pointer| {
        quote! {
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            #[automatically_derived]
            impl #impl_generics #service_trait #args for #pointer #conditions {
                #(#methods)*
            }
        }
    };
    pointers.into_iter().map(auto_impl).collect()
}

/// The pointer has to be what the trait asks for as well.
fn generics(item: &ItemTrait, service: &Service) -> Generics {
    let Names { service: service_trait, implementor, .. } = &service.names;
    let (_, args, _) = item.generics.split_for_impl();
    let own = parse_quote!(#implementor: #service_trait #args + ?::core::marker::Sized);
    let mut generics = generics::with_last(&item.generics, own);
    if !item.supertraits.is_empty() {
        let supertraits = &item.supertraits;
        let predicate: WherePredicate = parse_quote!(Self: #supertraits);
        let clause = generics.where_clause.get_or_insert_with(|| syn::WhereClause {
            where_token: <Token![where]>::default(),
            predicates: Punctuated::new(),
        });
        clause.predicates.push(predicate);
    }
    generics
}

fn forwarded(item: &TraitItem, service: &Service) -> Option<TokenStream> {
    let TraitItem::Fn(method) = item else { return None };
    let TraitItemFn { attrs, mut sig, .. } = service_trait::desugared_method(method.clone());
    let Names { service: service_trait, implementor, .. } = &service.names;
    let (_, args, _) = service.generics.split_for_impl();
    let ident = sig.ident.clone();
    let conditions = attr::conditions(&attrs);
    let arguments = sig.inputs.iter_mut().filter_map(|input| match input {
        syn::FnArg::Typed(param) => Some(param),
        syn::FnArg::Receiver(_) => None,
    });
    let arguments: Vec<_> = arguments
        .enumerate()
        .map(|(index, param)| {
            let conditions = attr::conditions(&param.attrs);
            // Whatever the trait calls it: it may be `_`.
            let name = local(&format!("param{index}"));
            *param.pat = parse_quote!(#name);
            quote!(#(#[cfg(#conditions)])* #name)
        })
        .collect();
    Some(quote_spanned! {at(ident.span())=>
        #(#[cfg(#conditions)])*
        #sig {
            <#implementor as #service_trait #args>::#ident(&**self, #(#arguments),*)
        }
    })
}
