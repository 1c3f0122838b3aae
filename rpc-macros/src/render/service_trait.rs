//! The trait under its own name: `async fn f(..) -> T` becomes `fn f(..) -> impl Future<Output = T> + Send`, which
//! implementations write as `async fn` again.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ItemTrait, ReturnType, TraitItem, TraitItemFn, parse_quote, parse_quote_spanned};

use super::at;
use crate::attr::{is_doc, without_helpers};
use crate::model::Halves;
use crate::types::replace_impl;

pub(super) fn service_trait(item: &ItemTrait, halves: Halves) -> TokenStream {
    let mut item = item.clone();
    if !halves.server {
        // Nobody has to implement what is only called.
        item.attrs.push(parse_quote!(#[allow(dead_code)]));
    }
    // Calls share the service, from any thread, and may outlive the session that brought them.
    item.colon_token.get_or_insert_default();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    desugared(item, and_send)
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

/// One method as it stands in the trait afterwards.
pub(super) fn desugared_method(mut method: TraitItemFn) -> TraitItemFn {
    strip(&mut method);
    desugar(&mut method, and_send);
    method
}

fn and_send(span: Span) -> TokenStream {
    quote_spanned!(span=> + ::core::marker::Send)
}

fn strip(method: &mut TraitItemFn) {
    method.attrs = without_helpers(&method.attrs);
    for input in &mut method.sig.inputs {
        let attrs = match input {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(param) => &mut param.attrs,
        };
        *attrs = without_helpers(attrs);
        // The language has no documentation of parameters: theirs is in the table.
        attrs.retain(|attr| !is_doc(attr));
    }
}

fn desugar(method: &mut TraitItemFn, bounds: fn(Span) -> TokenStream) {
    if let ReturnType::Type(_, ty) = &mut method.sig.output {
        // The only things without a name that a method may return are streams, which are sent from any thread.
        replace_impl(ty, &mut |stream| {
            let bounds = bounds(at(stream.span()));
            parse_quote!(#stream #bounds)
        });
    }
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
