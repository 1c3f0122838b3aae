//! Instead of a service: its trait, as close to what the user wrote as the compiler takes it, and a client and a server
//! whose methods can be named but not run.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    FnArg, GenericParam, Generics, ItemTrait, LifetimeParam, Pat, PatWild, Path, ReturnType, Signature,
    Token, TraitItem, TraitItemFn, TypeParam, TypeReference, parse_quote,
};

use crate::attr;
use crate::model::{Borrows, Names, Reply};
use crate::parse;
use crate::render::{self, client, generics, server};
use crate::types::{self, Part};

pub(crate) fn service(item: &ItemTrait, runtime: &Path) -> TokenStream {
    let item = repaired(item);
    let names = parse::names(&item);
    let of = parse::generics(&item);
    // Without the bounds of a service: what implements it is not to be judged by what it will not be.
    let service_trait = render::desugared(item.clone(), |_| TokenStream::new());
    let client_type = client::declaration(runtime, &names, &item.vis, &of, None);
    let server_type = server::declaration(runtime, &names, &item.vis, &of);
    let client_impl = client_impl(&item, &of, &names, runtime);
    let server_impls = server_impls(&item, &of, &names, runtime);
    quote! {
        #service_trait
        #client_type
        #server_type
        #client_impl
        #server_impls
    }
}

fn client_impl(item: &ItemTrait, of: &Generics, names: &Names, runtime: &Path) -> TokenStream {
    let Names { client, caller, .. } = names;
    let vis = &item.vis;
    let methods = item.items.iter().filter_map(|method| match method {
        TraitItem::Fn(method) => call(method, of, names, runtime),
        _ => None,
    });
    let generics = generics::with_last(of, parse_quote!(#caller: #runtime::Caller));
    let (impl_generics, args, conditions) = generics.split_for_impl();
    quote! {
        #[allow(warnings)]
        impl #impl_generics #client #args #conditions {
            #vis const METHODS: &'static [#runtime::MethodInfo] = &[];
            #(#methods)*
        }
    }
}

fn server_impls(item: &ItemTrait, of: &Generics, names: &Names, runtime: &Path) -> TokenStream {
    let Names { service, server, implementor, .. } = names;
    let vis = &item.vis;
    let (_, trait_args, _) = of.split_for_impl();
    // An implementation is not asked for, unless it says what the trait's parameters are.
    let says = (!of.params.is_empty()).then(|| quote!(#service #trait_args +));
    let any = generics::with_last(of, parse_quote!(#implementor: ?::core::marker::Sized));
    let sized = generics::with_last(of, parse_quote!(#implementor: #says));
    let shared = generics::with_last(of, parse_quote!(#implementor: #says ?::core::marker::Sized));
    let serving = generics::with_last(
        of,
        parse_quote!(#implementor: ::core::marker::Send + ::core::marker::Sync + ?::core::marker::Sized + 'static),
    );
    let (any, args, conditions) = any.split_for_impl();
    let [(sized, ..), (shared, ..), (serving, ..)] =
        [&sized, &shared, &serving].map(Generics::split_for_impl);
    let mut outliving = of.clone();
    let predicates = &mut outliving.make_where_clause().predicates;
    for param in &of.params {
        match param {
            GenericParam::Type(TypeParam { ident, .. }) => predicates.push(parse_quote!(#ident: 'static)),
            GenericParam::Lifetime(LifetimeParam { lifetime, .. }) => {
                predicates.push(parse_quote!(#lifetime: 'static));
            }
            GenericParam::Const(_) => {}
        }
    }
    let outliving = &outliving.where_clause;
    quote! {
        #[allow(warnings)]
        impl #any #server #args #conditions {
            #vis const METHODS: &'static [#runtime::MethodInfo] = &[];
        }

        #[allow(warnings)]
        impl #sized #server #args #conditions {
            #vis fn new(_: #implementor) -> Self {
                ::core::unreachable!()
            }
        }

        impl #shared ::core::convert::From<#runtime::private::Arc<#implementor>> for #server #args #conditions {
            fn from(_: #runtime::private::Arc<#implementor>) -> Self {
                ::core::unreachable!()
            }
        }

        impl #serving #runtime::Service for #server #args #outliving {
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
    parse::repair_generics(&mut item.generics);
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

/// A method of the client; none if what it returns is not known.
fn call(method: &TraitItemFn, of: &Generics, names: &Names, runtime: &Path) -> Option<TokenStream> {
    let Signature { ident, generics, inputs, output, .. } = &method.sig;
    let conditions = attr::conditions(&method.attrs);
    let caller = &names.caller;
    let where_clause = &generics.where_clause;
    let inputs = inputs.iter().filter_map(|input| match input {
        FnArg::Typed(param) if !is_marked(&param.attrs, "context") => {
            let ty = &param.ty;
            let conditions = attr::conditions(&param.attrs);
            Some(quote!(#(#[cfg(#conditions)])* _: #ty))
        }
        _ => None,
    });
    let returned = if is_marked(&method.attrs, "notification") {
        quote!(#runtime::Notify<'static, #caller>)
    } else {
        let mut all = of.clone();
        all.params.extend(generics.params.clone());
        if let ReturnType::Type(_, ty) = output
            && is_marked(&method.attrs, "subscription")
            && let Some((reply, items)) = parse::stream(ty, &all)
        {
            let fallible = client::fallible(runtime, &reply);
            let ty = client::subscribed(runtime, &reply, &items);
            quote!(#runtime::Subscribe<'static, #caller, #ty #fallible>)
        } else {
            let reply = reply(output, &all)?;
            let ty = types::owned(&reply.ty, runtime);
            let fallible = client::fallible(runtime, &reply);
            quote!(#runtime::Call<'static, #caller, #ty #fallible>)
        }
    };
    Some(quote_spanned! {render::at(ident.span())=>
        #(#[cfg(#conditions)])*
        #[doc(hidden)]
        pub fn #ident #generics (&self #(, #inputs)*) -> #returned #where_clause {
            ::core::unreachable!()
        }
    })
}

fn reply(output: &ReturnType, generics: &Generics) -> Option<Reply> {
    let borrows = Borrows::Nothing;
    let ReturnType::Type(_, ty) = output else {
        return Some(Reply { ty: parse_quote!(()), probe: None, borrows });
    };
    let mut nameable = true;
    types::walk(&mut ty.clone(), &mut |part| match part {
        Part::Impl(_) | Part::SelfType(_) => nameable = false,
        Part::Reference(TypeReference { mutability, .. }) => nameable &= mutability.is_none(),
        Part::Lifetime(_) => {}
    });
    nameable.then(|| Reply { ty: (**ty).clone(), probe: parse::probe(ty, generics), borrows })
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
