//! A method that begins a subscription: its stream, and the names of what belongs to it.

use syn::spanned::Spanned;
use syn::{
    AssocType, GenericArgument, Generics, PathArguments, ReturnType, Signature, Type, TypeImplTrait,
    TypeParamBound, parse_quote_spanned,
};

use super::{Naming, reply};
use crate::attr::{MethodWords, ServiceWords, SubscriptionWords};
use crate::errors::Errors;
use crate::model::{Borrows, Items, Reply, Sent, Style, Subscription, WireName};
use crate::types;

/// What is called what, if nothing else is said.
pub(super) struct Names {
    item: WireName,
    unsubscribe: Option<WireName>,
}

impl Names {
    pub(super) fn new(words: &MethodWords, service: &ServiceWords, sig: &Signature, wire: &WireName) -> Self {
        let prefix = service.prefix();
        let given = |name: &Option<(_, syn::LitStr)>| {
            let (_, name) = name.as_ref()?;
            Some(WireName::new(&format!("{prefix}{}", name.value()), name.span()))
        };
        let of = &words.subscription;
        let style = of.style.as_ref().map(|(_, style)| *style).unwrap_or_default();
        if let Some(item) = style.item() {
            // The names of a protocol are no part of the service's namespace.
            let item = match &of.item {
                Some((_, name)) => WireName::new(&name.value(), name.span()),
                None => WireName::new(item, wire.span()),
            };
            return Self { item, unsubscribe: None };
        }
        let item = given(&of.item).unwrap_or_else(|| wire.clone());
        let is_none = of.unsubscribe.as_ref().is_some_and(|(_, name)| name.value().is_empty());
        let unsubscribe = given(&of.unsubscribe).unwrap_or_else(|| {
            let own = match &words.name {
                Some(name) => opposite(&name.value()),
                None => {
                    let ident =
                        syn::Ident::new(&opposite(&WireName::of(&sig.ident).to_string()), sig.ident.span());
                    Naming(service.rename_all).name(&ident).to_string()
                }
            };
            WireName::new(&format!("{prefix}{own}"), wire.span())
        });
        Self { item, unsubscribe: (!is_none).then_some(unsubscribe) }
    }
}

/// What ends that which `name` begins.
fn opposite(name: &str) -> String {
    const BEGIN: &str = "subscribe";
    if let Some(rest) = name.strip_prefix(BEGIN) {
        return format!("un{BEGIN}{rest}");
    }
    // As in `blockchain.headers.subscribe`.
    match name.strip_suffix(BEGIN) {
        Some(before) if !before.ends_with(char::is_alphanumeric) => format!("{before}un{BEGIN}"),
        _ => format!("un{BEGIN}_{name}"),
    }
}

/// Reads a method with the word `subscription`; none if it returns no stream, which has then been reported.
pub(super) fn subscription(
    words: &SubscriptionWords,
    service: &ServiceWords,
    sig: &Signature,
    generics: &Generics,
    names: Names,
    errors: &mut Errors,
) -> Option<Subscription> {
    let ReturnType::Type(_, ty) = &sig.output else {
        errors.at(&sig.ident, format!("`{}` returns no stream; {HINT}", sig.ident));
        return None;
    };
    let Some((reply, items)) = stream(ty, generics) else {
        errors.at(ty, format!("a subscription returns a stream; {HINT}"));
        return None;
    };
    Some(Subscription {
        reply,
        items,
        style: words.style.as_ref().map(|(_, style)| *style).unwrap_or_default(),
        item: names.item,
        unsubscribe: names.unsubscribe,
        token: words.token.as_ref().map(|(_, token)| token.value()),
        overflow: words.overflow.as_ref().map(|(_, overflow)| *overflow).unwrap_or_default(),
        notices: words.notices.is_some() || service.notices.is_some(),
    })
}

const HINT: &str = "write `impl Stream<Item = T>`, or a `Result` of one";

/// The stream in a return type: what is returned, with `()` in place of the stream, and its items. None if there is none, or
/// something else beside it that has no name.
pub(crate) fn stream(ty: &Type, generics: &Generics) -> Option<(Reply, Items)> {
    let mut found = Vec::new();
    let mut reply = types::bare(ty).clone();
    types::replace_impl(&mut reply, &mut |stream| {
        let item = item(stream);
        let placeholder = parse_quote_spanned!(stream.span()=> ());
        found.push(item);
        placeholder
    });
    let [Some(item)] = &found[..] else { return None };
    let probe = reply::probe(&reply, generics);
    let items = Items { ty: item.clone(), probe: reply::probe(item, generics) };
    Some((Reply { ty: types::bare(ty).clone(), probe, borrows: Borrows::Nothing }, items))
}

/// `T` of `impl Stream<Item = T>`.
fn item(stream: &TypeImplTrait) -> Option<Type> {
    stream.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => Some(ty.clone()),
            _ => None,
        })
    })
}

/// Words that cannot stand beside `subscription`, or not without it.
pub(super) fn check_words(words: &MethodWords, errors: &mut Errors) {
    let of = &words.subscription;
    let Some(subscription) = &of.subscription else {
        if let Some(word) = of.any_detail() {
            errors.at(
                word,
                format!("`{word}` says something of a subscription; add `subscription`, or leave it away"),
            );
        }
        return;
    };
    if let Some(word) = &words.notification {
        errors.at(word, "a subscription is answered; leave `notification` away, or `subscription`");
    }
    if let Some(word) = &words.blocking {
        errors.at(word, "a stream waits without a thread of its own; leave `blocking` away");
    }
    if let (Some((word, _)), Some((_, Style::Electrum))) = (&of.item, &of.style) {
        errors.at(word, "items in the style of Electrum have the name of the method; leave `item` away");
    }
    let is_progress = of.style.as_ref().is_some_and(|(_, style)| style.is_progress());
    if let (Some((word, _)), true) = (&of.unsubscribe, is_progress) {
        errors
            .at(word, "what reports its progress is ended by cancelling the call; leave `unsubscribe` away");
    }
    if let (Some((word, _)), false) = (&of.token, is_progress) {
        errors.at(
            word,
            r#"only what reports its progress has a token; leave `token` away, or write `style = "progress"`"#,
        );
    }
    if let (Some((word, Sent::ByPosition)), true) = (&words.params, is_progress) {
        errors.at(
            word,
            "the token of a progress has a name, and so have the parameters beside it; leave `params` away",
        );
    }
    if let (Some((word, _)), true) = (&words.empty_params, is_progress) {
        errors.at(word, "the token of a progress is always sent; leave `empty_params` away");
    }
    if let Some(word) = &words.idempotent {
        errors.at(word, format!("each `{subscription}` is another one; leave `idempotent` away"));
    }
}
