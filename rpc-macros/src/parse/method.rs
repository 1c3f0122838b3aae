//! One method: its signature, its name, and its parameters as a whole.

use syn::{GenericParam, Safety, Signature, TraitItemFn};

use super::{param, reply};
use crate::attr::{self, MethodWords, ServiceWords};
use crate::errors::Errors;
use crate::model::{Form, Kind, Method, Param, Role, WireName};

/// The longest list of parameters that the runtime can decode: tuples have to end somewhere.
const MOST_PARAMS: usize = 16;

/// Names that begin so belong to JSON-RPC.
const RESERVED: &str = "rpc.";

/// Whether a name, or the beginning of one, is JSON-RPC's own.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
}

pub(super) fn method(item: &TraitItemFn, service: &ServiceWords, errors: &mut Errors) -> Option<Method> {
    let words = MethodWords::read(&item.attrs, errors);
    let sig = &item.sig;
    for attr in attr::hidden_conditions(&item.attrs) {
        errors.at(attr, "a condition within `cfg_attr` is not seen here; write it as `#[cfg(all(..))]`");
    }

    check_signature(item, errors);
    param::receiver(sig, errors);
    let params = param::params(sig, errors);
    check_params(&params, errors);
    let wire = wire_name(&words, service, sig, errors);
    let kind = match reply::reply(sig, errors) {
        Some(reply) if words.notification => {
            reply::check_nothing(&reply, errors);
            Kind::Notification
        }
        reply => Kind::Request(Box::new(reply?)),
    };

    Some(Method {
        ident: sig.ident.clone(),
        wire: wire?,
        form: if sig.asyncness.is_some() { Form::Async } else { Form::Plain },
        kind,
        sent: words.params.or(service.params).unwrap_or_default(),
        params,
        docs: attr::docs(&item.attrs),
        attrs: attr::for_client(&item.attrs),
        conditions: attr::conditions(&item.attrs),
    })
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
    if !sig.generics.params.is_empty() {
        let only_lifetimes =
            sig.generics.params.iter().all(|param| matches!(param, GenericParam::Lifetime(_)));
        let message = if only_lifetimes {
            "parameters are lent for the time of the call, and replies are owned; leave the lifetimes away"
        } else {
            "a method of a service cannot be generic: what travels must have one type; use concrete types"
        };
        errors.at(&sig.generics, message);
    } else if let Some(clause) = &sig.generics.where_clause {
        errors.at(clause, "a method of a service has no conditions; move them to the trait");
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, "a method of a service has a fixed number of parameters; take a `Vec<T>`");
    }
}

/// What can be wrong with the parameters together.
fn check_params(params: &[Param], errors: &mut Errors) {
    let mut names: Vec<&WireName> = Vec::new();
    let mut has_context = false;
    for param in params {
        match &param.role {
            Role::Context(_) if has_context => {
                errors.at(&param.ident, "there is already a context; leave one of the two away");
            }
            Role::Context(_) => has_context = true,
            Role::Wire { name, .. } => {
                if names.contains(&name) {
                    let message = format!(
                        "two parameters have the name `{name}` on the wire; \
                         give this one another with `#[rpc(name = \"..\")]`"
                    );
                    errors.push(syn::Error::new(name.span(), message));
                }
                if names.len() == MOST_PARAMS {
                    errors.at(
                        &param.ident,
                        format!("a method takes at most {MOST_PARAMS} parameters; put some into a struct"),
                    );
                }
                names.push(name);
            }
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
    let own = words.name.as_ref().map_or_else(|| WireName::of(&sig.ident), WireName::from);
    if own.to_string().is_empty() {
        errors.at(&own, "a name cannot be empty");
        return None;
    }
    let prefix = service.prefix();
    let whole = format!("{prefix}{own}");
    // Where the prefix is reserved, that has been said of it.
    if is_reserved(&whole) && !is_reserved(&prefix) {
        errors
            .at(&own, format!("names that begin with `{RESERVED}` are reserved by JSON-RPC; choose another"));
        return None;
    }
    Some(WireName::new(&whole, own.span()))
}
