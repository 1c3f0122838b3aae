//! The trait itself: what it may contain, and how its methods get along with each other.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Generics, Ident, ItemTrait, TraitItem, TraitItemConst, TraitItemFn, TraitItemType, Visibility,
};

use super::{generics, method, variants};
use crate::attr::{self, ServiceWords};
use crate::errors::Errors;
use crate::model::{Kind, Method, Names, Service, WireName};

/// Reads a service, or fails with every mistake in it.
pub(crate) fn service(words: &ServiceWords, item: &ItemTrait, mut errors: Errors) -> syn::Result<Service> {
    check_words(words, &mut errors);
    check_trait(item, &mut errors);

    let generics = generics(item);
    let methods = item.items.iter().filter_map(|item| trait_item(item, words, &generics, &mut errors));
    let methods: Vec<_> = methods.collect();
    check_names_differ(&methods, &mut errors);
    let methods = methods.into_iter().flat_map(|method| variants::variants(method, &mut errors)).collect();

    errors.into_result()?;
    Ok(Service {
        runtime: words.runtime(),
        names: names(item),
        vis: item.vis.clone(),
        generics,
        halves: words.halves(),
        auto_impl: words.auto_impl.is_some(),
        methods,
    })
}

/// The names of what is generated for `item`.
pub(crate) fn names(item: &ItemTrait) -> Names {
    let service = &item.ident;
    let mut taken = HashSet::new();
    collect_idents(item.to_token_stream(), &mut taken);
    Names {
        client: format_ident!("{}Client", service.unraw(), span = service.span()),
        server: format_ident!("{}Server", service.unraw(), span = service.span()),
        caller: untaken("C", &taken),
        implementor: untaken("S", &taken),
        service: service.clone(),
    }
}

fn check_words(words: &ServiceWords, errors: &mut Errors) {
    match (&words.namespace, &words.separator) {
        (Some(namespace), _) if namespace.value().is_empty() => {
            errors.at(namespace, "a namespace cannot be empty; leave `namespace` away to have none");
        }
        (None, Some(separator)) => errors.at(
            separator,
            "`separator` stands between a namespace and a name; add `namespace = \"..\"` or leave it away",
        ),
        (Some(namespace), _) if method::is_reserved(&words.prefix()) => {
            errors.at(namespace, "names that begin with `rpc.` are reserved by JSON-RPC; choose another");
        }
        _ => {}
    }
}

fn check_trait(item: &ItemTrait, errors: &mut Errors) {
    attr::refuse(&item.attrs, "write the words for the trait in `#[rpc_service(..)]`", errors);
    for attr in item.attrs.iter().filter(|attr| attr::is_ours(attr)) {
        errors.at(attr, "`#[rpc_service]` is already given; leave one of the two away");
    }
    if let Some(token) = &item.unsafety {
        errors.at(token, "a service trait cannot be `unsafe`; remove `unsafe`");
    }
    if let Some(token) = &item.modifiers.auto_token {
        errors.at(token, "a service trait cannot be an `auto` trait; remove `auto`");
    }
    generics::check(&item.generics, errors);
}

fn trait_item(
    item: &TraitItem,
    words: &ServiceWords,
    generics: &Generics,
    errors: &mut Errors,
) -> Option<Method> {
    const ONLY_METHODS: &str = "a service trait has only methods; move this to a trait of its own";
    match item {
        TraitItem::Fn(item) => return method::method(item, words, generics, errors),
        TraitItem::Const(TraitItemConst { const_token, ident, .. }) => {
            errors.at(quote!(#const_token #ident), ONLY_METHODS);
        }
        TraitItem::Type(TraitItemType { type_token, ident, .. }) => {
            errors.at(quote!(#type_token #ident), ONLY_METHODS);
        }
        TraitItem::Macro(item) => errors.at(&item.mac, "a macro cannot be seen into; write the methods out"),
        other => match visible_method(other) {
            Some((vis, item)) => {
                errors.at(vis, "a method is as visible as its trait; remove this");
                return method::method(&item, words, generics, errors);
            }
            None => errors.at(other, "a service trait has only methods, as `async fn f(&self) -> T;`"),
        },
    }
    None
}

/// A method with a visibility of its own, which is no trait item.
pub(crate) fn visible_method(item: &TraitItem) -> Option<(Visibility, TraitItemFn)> {
    let TraitItem::Verbatim(tokens) = item else { return None };
    let method = |input: ParseStream<'_>| {
        let attrs = Attribute::parse_outer(input)?;
        let vis = input.parse()?;
        let method: TraitItemFn = input.parse()?;
        Ok((vis, TraitItemFn { attrs, ..method }))
    };
    method.parse2(tokens.clone()).ok()
}

/// Two methods of one name could not be told apart. Those under a condition are left to the check that is made when a
/// server is built: which of them exist is not known here.
fn check_names_differ(methods: &[Method], errors: &mut Errors) {
    let mut taken: Vec<&WireName> = Vec::new();
    for method in methods.iter().filter(|method| method.conditions.is_empty()) {
        if taken.contains(&&method.wire) {
            let message = format!(
                "two methods have the name `{}` on the wire; give this one another with `#[rpc(name = \"..\")]`",
                method.wire,
            );
            errors.push(syn::Error::new(method.wire.span(), message));
        }
        taken.push(&method.wire);
    }
    for alias in
        methods.iter().filter(|method| method.conditions.is_empty()).flat_map(|method| &method.aliases)
    {
        if taken.contains(&alias) {
            errors.at(alias, format!("`{alias}` already names a method; leave this alias away"));
        }
        taken.push(alias);
    }
    check_unsubscribing(methods, &taken, errors);
}

/// What ends a subscription is a method too, though the trait has none for it.
fn check_unsubscribing(methods: &[Method], taken: &[&WireName], errors: &mut Errors) {
    for method in methods.iter().filter(|method| method.conditions.is_empty()) {
        if let Kind::Subscription(subscription) = &method.kind
            && let Some(name) = &subscription.unsubscribe
            && let Some(other) = taken.iter().find(|other| **other == name)
        {
            let message = format!(
                "`{name}` ends the subscription `{}`; give this method another name, or say \
                 `unsubscribe = \"..\"` of the subscription",
                method.wire,
            );
            errors.at(*other, message);
        }
    }
}

/// A name for a type parameter that the user's types cannot mean: type parameters have no hygiene.
fn untaken(name: &str, taken: &HashSet<String>) -> Ident {
    let mut name = name.to_owned();
    while taken.contains(&name) {
        name.push('_');
    }
    format_ident!("{name}")
}

fn collect_idents(tokens: TokenStream, idents: &mut HashSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                idents.insert(ident.to_string());
            }
            TokenTree::Group(group) => collect_idents(group.stream(), idents),
            _ => {}
        }
    }
}
