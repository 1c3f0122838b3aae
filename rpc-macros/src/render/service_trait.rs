//! The trait under its own name: `async fn f(..) -> T` becomes `fn f(..) -> impl Future<Output = T> + Send`, which
//! implementations write as `async fn` again.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{FnArg, ItemTrait, ReturnType, TraitItem, TraitItemFn, parse_quote, parse_quote_spanned};

use super::at;
use crate::attr::without_helpers;

pub(crate) fn service_trait(item: &ItemTrait) -> TokenStream {
    let mut item = item.clone();
    // Calls share the service, from any thread, and may outlive the session that brought them.
    item.colon_token.get_or_insert_default();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    desugared(item, |span| quote_spanned!(span=> + ::core::marker::Send))
}

/// The trait as it is, but for what only the attribute understands. `bounds` are those of futures beside `Future`.
pub(crate) fn desugared(mut item: ItemTrait, bounds: fn(Span) -> TokenStream) -> TokenStream {
    item.attrs = without_helpers(&item.attrs);
    for item in &mut item.items {
        if let TraitItem::Fn(method) = item {
            strip(method);
            desugar(method, bounds);
        }
    }
    quote!(#item)
}

fn strip(method: &mut TraitItemFn) {
    method.attrs = without_helpers(&method.attrs);
    for input in &mut method.sig.inputs {
        let attrs = match input {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(param) => &mut param.attrs,
        };
        *attrs = without_helpers(attrs);
    }
}

fn desugar(method: &mut TraitItemFn, bounds: fn(Span) -> TokenStream) {
    if method.sig.asyncness.take().is_none() {
        return;
    }
    let output = match &method.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    // Said to stand where the method does, or messages about it would point at the attribute.
    let span = at(method.sig.ident.span());
    let bounds = bounds(span);
    method.sig.output = parse_quote_spanned! {span=>
        -> impl ::core::future::Future<Output = #output> #bounds
    };
    if let Some(body) = &method.default {
        method.default = Some(parse_quote!({ async move #body }));
    }
}
