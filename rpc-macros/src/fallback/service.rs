//! Instead of a service: its trait, as close to what the user wrote as the compiler takes it, and a client and a server
//! whose methods can be named but not run.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    FnArg, ItemTrait, Pat, PatWild, ReturnType, Signature, Token, TraitItem, TraitItemFn, Type, parse_quote,
};

use crate::attr;
use crate::model::{Names, Reply};
use crate::parse;
use crate::render::{self, client, server};
use crate::types::{self, Part, with_lifetime};

pub(crate) fn service(item: &ItemTrait, runtime: &syn::Path) -> TokenStream {
    let item = repaired(item);
    let names = parse::names(&item);
    // Without the bounds of a service: what implements it is not to be judged by what it will not be.
    let service_trait = render::desugared(item.clone(), |_| TokenStream::new());
    let client_type = client::declaration(runtime, &names, &item.vis);
    let server_type = server::declaration(runtime, &names, &item.vis);
    let methods = item.items.iter().filter_map(|method| match method {
        TraitItem::Fn(method) => call(method, &item, &names, runtime),
        _ => None,
    });
    let Names { client, server, caller, implementor, .. } = &names;
    let vis = &item.vis;
    quote! {
        #service_trait
        #client_type
        #server_type

        #[allow(warnings)]
        impl<#caller> #client<#caller> {
            #vis const METHODS: &'static [#runtime::MethodInfo] = &[];
            #(#methods)*
        }

        #[allow(warnings)]
        impl<#implementor> #server<#implementor> {
            #vis const METHODS: &'static [#runtime::MethodInfo] = &[];

            #vis fn new(_: #implementor) -> Self {
                ::core::unreachable!()
            }
        }

        impl<#implementor> ::core::convert::From<#runtime::private::Arc<#implementor>> for #server<#implementor> {
            fn from(service: #runtime::private::Arc<#implementor>) -> Self {
                Self { service }
            }
        }

        impl<#implementor> #runtime::Service for #server<#implementor>
        where
            #implementor: ::core::marker::Send + ::core::marker::Sync + 'static,
        {
            fn declared() -> &'static [#runtime::MethodInfo] {
                &[]
            }

            fn methods(&self) -> &[#runtime::MethodInfo] {
                &[]
            }

            fn call(&self, _: usize, _: #runtime::Request<'_>) -> #runtime::Handled {
                ::core::unreachable!()
            }
        }
    }
}

/// The trait without what the compiler would report again.
fn repaired(item: &ItemTrait) -> ItemTrait {
    let mut item = item.clone();
    item.modifiers = syn::TraitModifiers::default();
    item.unsafety = None;
    let is_async = |item: &TraitItem| matches!(item, TraitItem::Fn(method) if method.sig.asyncness.is_some());
    if item.items.iter().any(is_async) {
        // What returns `Self` needs it, and a trait with futures has no trait objects that it could hurt.
        item.colon_token.get_or_insert_default();
        item.supertraits.push(parse_quote!(::core::marker::Sized));
    }
    let mut seen = HashSet::new();
    item.items.retain_mut(|item| {
        if let Some((_, method)) = parse::visible_method(item) {
            *item = TraitItem::Fn(method);
        }
        match item {
            TraitItem::Fn(method) => {
                repair(method);
                return seen.insert(method.sig.ident.clone()) || !attr::conditions(&method.attrs).is_empty();
            }
            TraitItem::Const(item) => item.attrs = attr::without_helpers(&item.attrs),
            TraitItem::Type(item) => item.attrs = attr::without_helpers(&item.attrs),
            TraitItem::Macro(item) => item.attrs = attr::without_helpers(&item.attrs),
            _ => return false,
        }
        true
    });
    item
}

fn repair(method: &mut TraitItemFn) {
    method.modifiers = syn::FnModifiers::default();
    method.sig.constness = None;
    method.sig.variadic = None;
    if method.default.is_none() {
        // A pattern is an error where there is no body, and so is a name that stands there twice.
        for input in &mut method.sig.inputs {
            match input {
                FnArg::Typed(param) => *param.pat = wild(),
                FnArg::Receiver(receiver) => receiver.mutability = None,
            }
        }
    }
}

/// A method of the client; none if nobody could say what it returns.
fn call(method: &TraitItemFn, item: &ItemTrait, names: &Names, runtime: &syn::Path) -> Option<TokenStream> {
    if !item.generics.params.is_empty() {
        return None;
    }
    let Signature { ident, generics, inputs, output, .. } = &method.sig;
    let conditions = attr::conditions(&method.attrs);
    let caller = &names.caller;
    let where_clause = &generics.where_clause;
    let inputs = inputs.iter().filter_map(|input| match input {
        FnArg::Typed(param) if !is_marked(&param.attrs, "context") => Some(&param.ty),
        _ => None,
    });
    let returned = if is_marked(&method.attrs, "notification") {
        quote!(#runtime::Notify<'_, #caller, ()>)
    } else {
        let mut reply = reply(output)?;
        // The compiler decides only of types without parameters.
        reply.plain |= !generics.params.is_empty();
        let ty = &reply.ty;
        let fallible = client::fallible(runtime, &reply);
        quote!(#runtime::Call<'_, #caller, (), #ty #fallible>)
    };
    Some(quote_spanned! {render::at(ident.span())=>
        #(#[cfg(#conditions)])*
        #[doc(hidden)]
        pub fn #ident #generics (&self #(, _: #inputs)*) -> #returned #where_clause {
            ::core::unreachable!()
        }
    })
}

fn reply(output: &ReturnType) -> Option<Reply> {
    let ReturnType::Type(_, ty) = output else {
        return Some(Reply { ty: parse_quote!(()), plain: true });
    };
    let mut nameable = true;
    types::walk(&mut ty.clone(), &mut |part| nameable &= !matches!(part, Part::Impl(_) | Part::SelfType(_)));
    nameable
        .then(|| Reply { ty: with_lifetime(ty, "'static"), plain: matches!(types::bare(ty), Type::Tuple(_)) })
}

/// Whether a helper attribute has `word` among its words, be they right or wrong.
fn is_marked(attrs: &[syn::Attribute], word: &str) -> bool {
    let marks = |attr: &syn::Attribute| {
        let mut words = attr.meta.to_token_stream().into_iter().flat_map(|token| match token {
            proc_macro2::TokenTree::Group(group) => group.stream(),
            other => other.into(),
        });
        words.any(|token| matches!(token, proc_macro2::TokenTree::Ident(ident) if ident == word))
    };
    attrs.iter().any(|attr| attr.path().is_ident("rpc") && marks(attr))
}

fn wild() -> Pat {
    Pat::Wild(PatWild { attrs: Vec::new(), underscore_token: <Token![_]>::default() })
}
