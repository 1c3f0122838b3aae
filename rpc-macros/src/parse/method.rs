//! One method: its signature, its names, and what its words say of it.

use syn::{GenericParam, Generics, Safety, Signature, TraitItemFn};

use super::{Naming, param, params, reply, subscription};
use crate::attr::{self, MethodWords, ServiceWords};
use crate::errors::Errors;
use crate::model::{Extent, Form, Kind, Method, Param, Sent, Unknown, WireName};

/// Names that begin so belong to JSON-RPC.
const RESERVED: &str = "rpc.";

/// Whether a name, or the beginning of one, is JSON-RPC's own.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
}

/// Reads a method of a trait with these `generics`.
pub(super) fn method(
    item: &TraitItemFn,
    service: &ServiceWords,
    generics: &Generics,
    errors: &mut Errors,
) -> Option<Method> {
    let words = MethodWords::read(&item.attrs, errors);
    let sig = &item.sig;
    let naming = Naming(service.rename_all);
    for attr in attr::hidden_conditions(&item.attrs) {
        errors.at(attr, "a condition within `cfg_attr` is not seen here; write it as `#[cfg(all(..))]`");
    }

    check_signature(item, errors);
    check_words(&words, sig, errors);
    param::receiver(sig, errors);
    let params = param::params(sig, naming, errors);
    params::check(&params, &words, errors);
    let wire = wire_name(&words, service, sig, errors);
    let aliases = words.aliases.iter().filter_map(|alias| free(WireName::from(alias), errors)).collect();
    let wire = wire?;
    let kind = if words.subscription.subscription.is_some() {
        let names = subscription::Names::new(&words, service, sig, &wire);
        Kind::Subscription(Box::new(subscription::subscription(
            &words.subscription,
            service,
            sig,
            generics,
            names,
            errors,
        )?))
    } else {
        match reply::reply(sig, generics, errors) {
            Some(reply) if words.notification.is_some() => {
                reply::check_nothing(&reply, errors);
                Kind::Notification
            }
            reply => Kind::Request(Box::new(reply?)),
        }
    };

    Some(Method {
        ident: sig.ident.clone(),
        wire,
        aliases,
        form: match (sig.asyncness, &words.blocking) {
            (Some(_), _) => Form::Async,
            (None, Some(_)) => Form::Blocking,
            (None, None) => Form::Plain,
        },
        kind,
        sent: sent(&words, service, &params),
        empty_params: words.empty_params.as_ref().map(|(_, empty)| *empty).or(service.empty_params),
        unknown: unknown(&words, service, &params),
        timeout: words.timeout.map(|(_, after)| after),
        idempotent: words.idempotent.is_some(),
        order: words.order.as_ref().map(|(_, order)| *order).unwrap_or_default(),
        params,
        docs: attr::docs(&item.attrs),
        attrs: attr::for_client(&item.attrs),
        conditions: attr::conditions(&item.attrs),
    })
}

fn sent(words: &MethodWords, service: &ServiceWords, params: &[Param]) -> Sent {
    // What is sent as it is has no names beside its own.
    if params.iter().any(is_whole) {
        return Sent::ByPosition;
    }
    let style = words.subscription.style.as_ref().map(|(_, style)| *style).unwrap_or_default();
    if style.is_progress() {
        // The token stands among them, under its name.
        return Sent::ByName;
    }
    words.params.as_ref().map(|(_, sent)| *sent).or(service.params).unwrap_or_default()
}

fn unknown(words: &MethodWords, service: &ServiceWords, params: &[Param]) -> Option<Unknown> {
    // Where all of it is one parameter, its type says what it takes.
    if params.iter().any(is_whole) {
        return None;
    }
    words.allow_unknown.as_ref().map(|(_, unknown)| unknown).or(service.allow_unknown.as_ref()).cloned()
}

fn is_whole(param: &Param) -> bool {
    param.wire().is_some_and(|wire| wire.extent == Extent::Whole)
}

fn check_signature(item: &TraitItemFn, errors: &mut Errors) {
    let sig = &item.sig;
    if let Some(token) = &item.modifiers.defaultness {
        errors.at(token, "a method of a service cannot be `default`; remove `default`");
    }
    if let Some(token) = &sig.constness {
        errors.at(token, "a method of a service cannot be `const`; remove `const`");
    }
    match &sig.safety {
        Safety::Unsafe(token) => {
            errors.at(token, "a method that others call from afar cannot be `unsafe`; remove `unsafe`");
        }
        Safety::Safe(token) => errors.at(token, "remove `safe`"),
        Safety::Default => {}
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, "a method of a service has no ABI of its own; remove `extern`");
    }
    if !sig.generics.params.iter().all(|param| matches!(param, GenericParam::Lifetime(_))) {
        errors.at(
            &sig.generics,
            "a method of a service cannot be generic: what travels must have one type; use concrete types, \
             or make the trait generic",
        );
    } else if let Some(clause) = &sig.generics.where_clause {
        errors.at(clause, "a method of a service has no conditions; move them to the trait");
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(
            variadic,
            "a method of a service has a fixed number of parameters; take a `Vec<T>` with `#[rpc(rest)]`",
        );
    }
}

/// Words that cannot stand together, or not on a method of this form.
fn check_words(words: &MethodWords, sig: &Signature, errors: &mut Errors) {
    if let (Some(word), Some(_)) = (&words.blocking, &sig.asyncness) {
        errors.at(
            word,
            "an `async fn` waits without a thread of its own, and must not block one; \
             write a plain `fn`, or leave `blocking` away",
        );
    }
    subscription::check_words(words, errors);
    if words.notification.is_some() {
        if let Some((word, _)) = &words.timeout {
            errors.at(word, "nobody waits for the reply to a notification; leave `timeout` away");
        }
        if let Some(word) = &words.idempotent {
            errors.at(word, "nobody learns whether to repeat a notification; leave `idempotent` away");
        }
    }
}

/// The method's whole name, namespace included.
fn wire_name(
    words: &MethodWords,
    service: &ServiceWords,
    sig: &Signature,
    errors: &mut Errors,
) -> Option<WireName> {
    let own = match &words.name {
        Some(name) => WireName::from(name),
        None => Naming(service.rename_all).name(&sig.ident),
    };
    if own.is_empty() {
        errors.at(&own, "a name cannot be empty");
        return None;
    }
    let prefix = service.prefix();
    let whole = WireName::new(&format!("{prefix}{own}"), own.span());
    // Where the prefix is reserved, that has been said of it.
    if is_reserved(&prefix) { Some(whole) } else { free(whole, errors) }
}

/// `name`, if it may be used.
fn free(name: WireName, errors: &mut Errors) -> Option<WireName> {
    let text = name.to_string();
    if text.is_empty() {
        errors.at(&name, "a name cannot be empty");
    } else if is_reserved(&text) {
        errors.at(
            &name,
            format!("names that begin with `{RESERVED}` are reserved by JSON-RPC; choose another"),
        );
    } else {
        return Some(name);
    }
    None
}
